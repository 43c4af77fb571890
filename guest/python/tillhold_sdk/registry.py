"""The rules and decisions of a plugin: what the two decorators collect, and how the host's calls reach them."""

from . import context as contexts
from . import wire
from .cells import column_of
from .conflict import Conflict, checked_resolution
from .context import Context
from .row import DROP, Row, refuse

_types = wire.types
_Verdict = wire.transforming.Verdict

RULES = {}
DECISIONS = {}


def transform(table, *, reads, writes=()):
    """Makes a function of (context, row) the rule of a table."""

    def known(function):
        _enter(RULES, table, Rule(table, reads, writes, function))
        return function

    return known


def resolve(table, *, reads="*", writes="*"):
    """Makes a function of (context, conflict) the decision of a table. `"*"` is every column that travels; of those
    the key cannot be written."""

    def known(function):
        _enter(DECISIONS, table, Rule(table, reads, writes, function))
        return function

    return known


def _enter(where, table, rule):
    if table.lower() in where:
        raise ValueError(f"{table} has two functions: {where[table.lower()].function.__name__} and "
                         f"{rule.function.__name__}")
    where[table.lower()] = rule


class Rule:
    def __init__(self, table, reads, writes, function):
        self.table = table
        self.reads = _names(reads)
        self.writes = _names(writes)
        self.function = function

    def used(self):
        return _types.TableUse(self.table, self.reads, self.writes)

    def answer(self, context, rows, columns):
        if len(columns) != len(self.reads):
            raise wire.Refused(f"{len(columns)} columns of {self.table}")
        row, function = Row(self, rows, columns), self.function
        verdicts, reasons = [_Verdict.KEEP] * rows, []
        for at in range(rows):
            row._at = at
            said = function(context, row)
            if said is None:
                continue
            row._forget()
            if said is DROP:
                verdicts[at] = _Verdict.DROP
            elif type(said) is refuse:
                verdicts[at] = _Verdict.REFUSE
                reasons.append(said.reason)
            else:
                raise TypeError(f"a rule gives nothing, DROP or refuse(...), not {said!r}")
        return wire.transforming.Answer(verdicts, reasons, self._changes(row._written))

    def _changes(self, written):
        """Only columns in which something changed."""
        changes = []
        for number, (name, (rows, values)) in enumerate(written.items()):
            if rows:
                try:
                    column = column_of(values)
                except wire.Refused as error:
                    raise wire.Refused(f"{name} of {self.table}: {error}") from None
                changes.append(wire.transforming.Change(number, rows, column))
        return changes


def _names(names):
    return [names] if isinstance(names, str) else list(names)


def describe_rules(config):
    contexts.check(config)
    return [rule.used() for rule in RULES.values()]


def describe_decisions(config):
    contexts.check(config)
    return [decision.used() for decision in DECISIONS.values()]


def run_rules(given, table, rows, columns):
    rule = RULES.get(table.lower())
    if rule is None:
        raise wire.Refused(f"there is no rule for {table}")
    return rule.answer(Context(given), rows, columns)


def run_decisions(given, conflicts):
    context = Context(given)
    return [_decided(context, conflict).wire for conflict in conflicts]


def _decided(context, given):
    decision = DECISIONS.get(given.table.lower())
    if decision is None:
        raise wire.Refused(f"there is no decision for {given.table}")
    return checked_resolution(decision.function(context, Conflict(given)))
