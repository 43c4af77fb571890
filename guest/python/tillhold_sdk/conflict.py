"""A conflict as a resolver sees it: one row, three sides, column by column."""

from enum import Enum

from . import wire
from .cells import from_value, to_value
from .values import checked, order


class Winner(Enum):
    """Who wins a column that both sides changed."""

    CHANNEL = "the channel"
    OFFLINE = "the register"
    # The greater of the two: for moments and counters that only grow. A person decides where there is no order.
    LATER = "the later"
    PERSON = "a person"


CHANNEL, OFFLINE, LATER, PERSON = Winner

Changed = Enum("Changed", ["NEITHER", "CHANNEL", "OFFLINE", "ALIKE", "BOTH"])


class Side(dict):
    """One side of a conflict: cells by column name, blind to case."""

    def __init__(self, table, columns, values):
        super().__init__(zip(columns, map(from_value, values)))
        self._table = table
        self._spelt = {name.upper(): name for name in columns}

    def __missing__(self, column):
        name = self._spelt.get(column.upper())
        if name is None:
            raise LookupError(f"{column} of {self._table} is not declared under `reads`")
        return self[name]


class Conflict:
    """A row that changed at the register and, since the register last saw it, at the channel too.

    `table`, `key` (cells by name) and `columns`; `base` is the row as the register last knew it from the channel,
    `channel` as it is there now, `offline` as the register left it. A side is None where the row does not exist; else
    it is asked by column: `conflict.offline["RECEIPTEMAIL"]`.
    """

    def __init__(self, given):
        def side(values):
            return None if values is None else Side(given.table, given.columns, values)

        self.table = given.table
        self.columns = list(given.columns)
        self.key = {cell.column: from_value(cell.value) for cell in given.key}
        self.base, self.channel, self.offline = side(given.base), side(given.channel), side(given.offline)

    def changed(self, column):
        """Which side changed a column since the base row, as `Changed`."""
        def of(side):
            # A side without the row differs from one that has it, whatever the cell.
            return (side is not None, None if side is None else side[column])

        base, channel, offline = of(self.base), of(self.channel), of(self.offline)
        at_channel, at_offline = channel != base, offline != base
        if at_channel and at_offline:
            return Changed.ALIKE if channel == offline else Changed.BOTH
        return Changed.CHANNEL if at_channel else Changed.OFFLINE if at_offline else Changed.NEITHER

    def merge(self, winner):
        """Column by column: what one side changed is taken; for what both changed `winner(column)` is asked. The
        conflict waits for a person when one of the sides is gone, or when a column is left to a person."""
        if self.channel is None or self.offline is None:
            side = "the channel" if self.channel is None else "the register"
            return defer(f"{side} deleted the row, the other side changed it")
        cells, left = {}, []
        for column in self.columns:
            at_channel, at_offline = self.channel[column], self.offline[column]
            changed, taken = self.changed(column), at_channel
            if changed is Changed.OFFLINE:
                taken = at_offline
            elif changed is Changed.BOTH:
                won = _won(winner(column), at_channel, at_offline)
                if won is PERSON:
                    left.append(column)
                    continue
                taken = at_offline if won is OFFLINE else at_channel
            if taken != at_channel:
                cells[column] = taken
        return defer(f"both sides changed {', '.join(left)}") if left else merge(cells)


def _won(winner, at_channel, at_offline):
    if winner is LATER:
        which = order(at_offline, at_channel)
        return PERSON if which is None else OFFLINE if which > 0 else CHANNEL
    if not isinstance(winner, Winner):
        raise TypeError(f"a winner is CHANNEL, OFFLINE, LATER or PERSON, not {winner!r}")
    return winner


class Resolution:
    """What becomes of a conflict; made by the four functions below."""

    __slots__ = ("shown", "wire")

    def __init__(self, shown, made):
        self.shown = shown
        self.wire = made

    def __eq__(self, other):
        return type(other) is Resolution and other.shown == self.shown

    def __repr__(self):
        return f"{self.shown[0]}({', '.join(repr(part) for part in self.shown[1:])})"


def take_channel():
    """The channel's row, whole; the register's changes are given up."""
    return Resolution(("take_channel",), wire.resolving.Resolution_TakeChannel())


def take_offline():
    """The register's changes win: each cell that it changed, over the channel's row; its deletion; its whole row where
    the channel has none."""
    return Resolution(("take_offline",), wire.resolving.Resolution_TakeOffline())


def merge(cells):
    """The channel's row with these cells (a dict by column), for both sides."""
    made = [wire.types.Cell(name, to_value(checked(value, name))) for name, value in cells.items()]
    return Resolution(("merge", dict(cells)), wire.resolving.Resolution_Merged(made))


def defer(reason):
    """A person decides, for this reason."""
    return Resolution(("defer", str(reason)), wire.resolving.Resolution_Deferred(str(reason)))


def checked_resolution(decided):
    if type(decided) is not Resolution:
        raise TypeError(
            f"a decision gives take_channel(), take_offline(), merge(...) or defer(...), not {decided!r}"
        )
    return decided
