"""The contract's own types: a component's inside it, stand-ins of the same shape outside.

componentize-py makes the module `wit_world` from the WIT files beside this one. A world has only the interfaces that
it exports, so each is looked for by itself.
"""

from importlib import import_module
from types import SimpleNamespace


def _made(name):
    try:
        return import_module(name)
    except ImportError:
        return None


def _record(name, *fields):
    def begin(self, *values):
        if len(values) != len(fields):
            raise TypeError(f"{name} has {len(fields)} fields, not {len(values)}")
        for field, value in zip(fields, values):
            setattr(self, field, value)

    def same(self, other):
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def shown(self):
        return f"{name}({', '.join(repr(value) for value in self.__dict__.values())})"

    return type(name, (), {"__init__": begin, "__eq__": same, "__repr__": shown, "__hash__": None})


def _stand_ins(records, variants):
    made = {name: _record(name, *fields.split()) for name, fields in records.items()}
    for variant, cases in variants.items():
        for case in cases.split():
            name, empty = case.rstrip("!"), case.endswith("!")
            made[f"{variant}_{name}"] = _record(f"{variant}_{name}", *([] if empty else ["value"]))
    return made


def _enum(*names):
    from enum import Enum

    return Enum("Enum", {name: number for number, name in enumerate(names)})


types = _made("wit_world.imports.types") or SimpleNamespace(
    Flow=_enum("PULL", "PUSH"),
    **_stand_ins(
        {
            "Context": "config flow scope store register time",
            "TableUse": "table reads writes",
            "Column": "validity data",
            "DecimalColumn": "scale low high",
            "PackedColumn": "offsets bytes",
            "OffsetTimestampColumn": "utc offset_minutes",
            "OtherColumn": "sql_type texts",
            "Decimal": "scale low high",
            "OffsetTimestamp": "utc offset_minutes",
            "Other": "sql_type text",
            "Cell": "column value",
        },
        {
            "ColumnData": "Booleans Integers Floats Decimals Texts Binaries Dates Times Timestamps OffsetTimestamps"
            " Guids Others",
            "Value": "Null! Boolean Integer Float Decimal Text Binary Date Time Timestamp OffsetTimestamp Guid Other",
        },
    ),
)
transforming = _made("wit_world.exports.transform") or SimpleNamespace(
    Verdict=_enum("KEEP", "DROP", "REFUSE"),
    **_stand_ins({"Change": "column rows values", "Answer": "verdicts reasons changes"}, {}),
)
resolving = _made("wit_world.exports.resolve") or SimpleNamespace(
    **_stand_ins(
        {"Conflict": "table key columns base channel offline"},
        {"Resolution": "TakeChannel! TakeOffline! Merged Deferred"},
    ),
)
logging = _made("wit_world.imports.log")


class Refused(Exception):
    """The whole batch, or the config, cannot be worked with; the text says why."""
