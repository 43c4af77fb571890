"""Rules under test, on the author's own machine, without WebAssembly and without a database. The same code runs as in
production, from the columns that come in to the answer that goes out.

    judged = judge(tidy, {"RECEIPTEMAIL": " Anna@Example.org"}, flow="push")
    assert judged.verdict is None and judged.changes == {"RECEIPTEMAIL": "anna@example.org"}
"""

from typing import NamedTuple

from . import registry, wire
from .cells import column_of, decoded, to_value
from .conflict import Conflict, checked_resolution
from .context import Context
from .row import DROP, refuse
from .values import checked


class Judged(NamedTuple):
    """What a rule said to one row."""

    # None (the row goes on), DROP or refuse(reason).
    verdict: object
    changes: dict


def judge(rule, row, *, flow="pull", store="S0001", register="000001", scope="test", config="", time=0):
    """One row, a dict of cells by column name, through a function that `@transform` decorates."""
    rule = _entry(registry.RULES, rule)
    given = {name.upper(): value for name, value in row.items()}
    lacking = [name for name in rule.reads if name.upper() not in given]
    if lacking:
        raise LookupError(f"give the row a value for {', '.join(lacking)}")
    columns = [column_of([checked(given[name.upper()], name)]) for name in rule.reads]
    context = Context(_context(flow, store, register, scope, config, time))
    answer = rule.answer(context, 1, columns)
    verdict = {"KEEP": None, "DROP": DROP}.get(answer.verdicts[0].name)
    if answer.reasons:
        verdict = refuse(answer.reasons[0])
    changes = {rule.writes[one.column]: decoded(one.values, 1)[0] for one in answer.changes}
    return Judged(verdict, changes)


def decide(decision, row, channel, offline, *, store="S0001", register="000001", scope="test", config="", time=0):
    """One conflict through a function that `@resolve` decorates: `row` gives every column its value before; each side
    is a dict of the cells that differ, or None for a side without the row."""
    decision = _entry(registry.DECISIONS, decision)
    for name in [*(channel or ()), *(offline or ())]:
        if name not in row:
            raise LookupError(f"give the row a value for {name}")

    def side(changes):
        if changes is None:
            return None
        return [to_value(checked(value, name)) for name, value in {**row, **changes}.items()]

    given = wire.resolving.Conflict(decision.table, [], list(row), side({}), side(channel), side(offline))
    context = Context(_context("pull", store, register, scope, config, time))
    return checked_resolution(decision.function(context, Conflict(given)))


def _context(flow, store, register, scope, config, time):
    return wire.types.Context(config, wire.types.Flow[flow.upper()], scope, store, register, time)


def _entry(entries, function):
    for entry in entries.values():
        if entry.function is function:
            return entry
    raise LookupError(f"{function.__name__} is not decorated")
