"""A row on its way, as a rule sees it."""

import decimal

from .cells import decoded, shape_of
from .values import SHAPES, Timestamp, checked


class _Drop:
    def __repr__(self):
        return "DROP"


# The row ends here.
DROP = _Drop()


class refuse:
    """The row is set aside for a person, with this reason. Never personal data."""

    __slots__ = ("reason",)

    def __init__(self, reason):
        self.reason = str(reason)

    def __eq__(self, other):
        return type(other) is refuse and other.reason == self.reason

    def __repr__(self):
        return f"refuse({self.reason!r})"


class Row:
    """One row: the columns that the rule declared under `reads`, by name.

    Reading always gives the row as it came, whatever has been set since. It is this row only while the rule runs: keep
    what you read, not the row. Naming a column that was not declared is a mistake of the rule and raises.
    """

    # Beneath, it is the whole batch and a number: `_texts` and its like hold a column's cells under the name that the
    # rule wrote, from the first time that it is read; `_written` the numbers and values of what was set.
    __slots__ = ("_at", "_columns", "_decimals", "_decoded", "_integers", "_others", "_rows", "_rule", "_texts",
                 "_written")

    def __init__(self, rule, rows, columns):
        self._rule = rule
        self._rows = rows
        self._columns = columns
        self._texts, self._integers, self._decimals, self._others = {}, {}, {}, {}
        self._decoded = {}
        self._written = {name: ([], []) for name in rule.writes}
        self._at = 0

    def text(self, column):
        """None when the cell is NULL, or its column holds no text."""
        try:
            return self._texts[column][self._at]
        except KeyError:
            return self._read(self._texts, column, column, str)

    def integer(self, column):
        try:
            return self._integers[column][self._at]
        except KeyError:
            return self._read(self._integers, column, column, int)

    def decimal(self, column):
        """Exact, as decimal.Decimal."""
        try:
            return self._decimals[column][self._at]
        except KeyError:
            return self._read(self._decimals, column, column, decimal.Decimal)

    def boolean(self, column):
        return self._of(column, bool)

    def float(self, column):
        return self._of(column, float)

    def timestamp(self, column):
        """Ticks of 100 ns since 0001-01-01 00:00; `.datetime()` makes Python's own of it."""
        return self._of(column, Timestamp)

    def value(self, column):
        """The cell whatever its type: what `tillhold_sdk.values` lists."""
        return self._of(column, None)

    def is_null(self, column):
        return self._of(column, None) is None

    def set(self, column, value):
        """Changes a column that the rule declared under `writes`; None becomes NULL. The last word counts."""
        try:
            rows, values = self._written[column]
        except KeyError:
            rows, values = self._writable(column)
        if type(value) not in SHAPES:
            checked(value, column)
        if rows and rows[-1] == self._at:
            values[-1] = value
        else:
            rows.append(self._at)
            values.append(value)

    def _forget(self):
        """What was set for this row: it does not go on."""
        for rows, values in self._written.values():
            if rows and rows[-1] == self._at:
                rows.pop()
                values.pop()

    def _of(self, column, shape):
        try:
            return self._others[column, shape][self._at]
        except KeyError:
            return self._read(self._others, (column, shape), column, shape)

    def _read(self, kept, key, column, shape):
        """All cells of a column, decoded once."""
        at = _place(self._rule.reads, column)
        if at is None:
            raise LookupError(f"{column} of {self._rule.table} is not declared under `reads`")
        given = self._columns[at]
        if shape is None or shape is shape_of(given):
            if at not in self._decoded:
                self._decoded[at] = decoded(given, self._rows)
            kept[key] = self._decoded[at]
        else:
            kept[key] = [None] * self._rows
        return kept[key][self._at]

    def _writable(self, column):
        at = _place(self._rule.writes, column)
        if at is None:
            raise LookupError(f"{column} of {self._rule.table} is not declared under `writes`")
        return self._written[self._rule.writes[at]]


def _place(names, name):
    """Blind to case, as SQL Server is with names."""
    for at, known in enumerate(names):
        if known.upper() == name.upper():
            return at
    return None
