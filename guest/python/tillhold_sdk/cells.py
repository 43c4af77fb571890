"""Columns as cells and back: the one place of the kit that knows how a batch lies in memory.

A column is decoded when a rule first reads it, and then as a whole: a thousand cells in one comprehension cost a
fraction of a thousand calls. What no rule reads is never decoded.
"""

import datetime
import decimal
from itertools import accumulate

from . import wire
from .values import EXACT, Guid, OffsetTimestamp, Other, Time, Timestamp, shape_name, unit

_types = wire.types
_NULL = type(None)
_ORDINAL_1970 = datetime.date(1970, 1, 1).toordinal()
_LOW = (1 << 64) - 1
_INTEGER_MOST = (1 << 63) - 1
_DECIMAL_MOST = (1 << 127) - 1


def _decimal(scale, low, high):
    return EXACT.multiply(decimal.Decimal((high << 64) + low), unit(scale))


def halves(number, scale):
    """The two halves of `number` with so many decimals; more decimals than that it must not have."""
    whole = int(EXACT.scaleb(number, scale))
    if not -_DECIMAL_MOST <= whole <= _DECIMAL_MOST:
        raise wire.Refused(f"{number} with {scale} decimals")
    return whole & _LOW, whole >> 64


def scale_of(number):
    """Decimals that `number` needs."""
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):
        raise wire.Refused(f"{number} is no number that a column holds")
    return max(0, -exponent)


def _packed(cells):
    """The bytes of each cell."""
    ends, every = cells.offsets, cells.bytes
    return [every[start:end] for start, end in zip(ends, ends[1:])]


def _texts(cells):
    ends, every = cells.offsets, cells.bytes.decode()
    if len(every) == len(cells.bytes):
        # One byte a letter: the text is cut as it is.
        return [every[start:end] for start, end in zip(ends, ends[1:])]
    return [cell.decode() for cell in _packed(cells)]


def _decimals(cells):
    scaled, number, step = EXACT.multiply, decimal.Decimal, unit(cells.scale)
    if not any(cells.high):
        return [scaled(number(low), step) for low in cells.low]
    return [scaled(number((high << 64) + low), step) for low, high in zip(cells.low, cells.high)]


def _moments(cells):
    return [OffsetTimestamp(*cell) for cell in zip(cells.utc, cells.offset_minutes)]


def _same(cells):
    return cells


# The case of a column: what its cells are in Python, and how they are decoded.
_SHAPES = {
    _types.ColumnData_Booleans: (bool, _same),
    _types.ColumnData_Integers: (int, _same),
    _types.ColumnData_Floats: (float, _same),
    _types.ColumnData_Decimals: (decimal.Decimal, _decimals),
    _types.ColumnData_Texts: (str, _texts),
    _types.ColumnData_Binaries: (bytes, _packed),
    _types.ColumnData_Dates: (datetime.date, lambda cells: [_date(days) for days in cells]),
    _types.ColumnData_Times: (Time, lambda cells: [Time(ticks) for ticks in cells]),
    _types.ColumnData_Timestamps: (Timestamp, lambda cells: [Timestamp(ticks) for ticks in cells]),
    _types.ColumnData_OffsetTimestamps: (OffsetTimestamp, _moments),
    _types.ColumnData_Guids: (
        Guid,
        lambda every: [Guid(every[at : at + 16]) for at in range(0, len(every), 16)],
    ),
    _types.ColumnData_Others: (
        Other,
        lambda cells: [Other(cells.sql_type, text) for text in _texts(cells.texts)],
    ),
}


def shape_of(column):
    return _SHAPES[type(column.data)][0]


def decoded(column, rows):
    """The cells, None for NULL."""
    cells = _SHAPES[type(column.data)][1](column.data.value)
    if len(cells) != rows or len(column.validity) not in (0, rows):
        raise wire.Refused(f"a column of {len(cells)} cells for {rows} rows")
    if column.validity:
        return [cell if valid else None for cell, valid in zip(cells, column.validity)]
    return cells


def _date(days):
    return datetime.date.fromordinal(days + _ORDINAL_1970)


def column_of(values):
    """The values as one column. Its case is that of the first that is not NULL; the others must agree."""
    shapes = dict.fromkeys(map(type, values))
    validity = b""
    if _NULL in shapes:
        del shapes[_NULL]
        validity = bytes(value is not None for value in values)
        blank = _BLANKS[next(iter(shapes), None)]
        values = [blank if value is None else value for value in values]
    if len(shapes) > 1:
        first, second = list(shapes)[:2]
        raise wire.Refused(f"{shape_name(second)} beside {shape_name(first)}")
    return _types.Column(validity, _ENCODED[next(iter(shapes), None)](values))


def _pack(cells):
    return _types.PackedColumn(list(accumulate(map(len, cells), initial=0)), b"".join(cells))


def _pack_texts(cells):
    every = "".join(cells)
    packed = every.encode()
    if len(packed) != len(every):
        return _pack([cell.encode() for cell in cells])
    # One byte a letter: the letters' counts are the bytes'.
    return _types.PackedColumn(list(accumulate(map(len, cells), initial=0)), packed)


def _integers(values):
    if values:
        _integer(min(values))
        _integer(max(values))
    return _types.ColumnData_Integers(values)


def _integer(value):
    if not -_INTEGER_MOST <= value + 1 <= _INTEGER_MOST + 1:
        raise wire.Refused(f"{value} needs more than 64 bits")
    return value


def _decimal_column(values):
    """A column has one scale: the greatest, so that no digit is lost."""
    scale = scale_of(values[0])
    if not all(map(values[0].same_quantum, values)):
        scale = max(map(scale_of, values))
    factor, scaled = decimal.Decimal((0, (1,), scale)), EXACT.multiply
    wholes = [int(scaled(value, factor)) for value in values]
    most = max(max(wholes), -min(wholes))
    if most > _DECIMAL_MOST:
        raise wire.Refused(f"{most} with {scale} decimals")
    low = [whole & _LOW for whole in wholes]
    return _types.ColumnData_Decimals(_types.DecimalColumn(scale, low, [whole >> 64 for whole in wholes]))


def _offset_timestamps(values):
    return _types.ColumnData_OffsetTimestamps(
        _types.OffsetTimestampColumn(
            [value.utc for value in values], [value.offset_minutes for value in values]
        )
    )


def _others(values):
    sql_type = next((value.sql_type for value in values if value.sql_type), "")
    packed = _pack_texts([value.text for value in values])
    return _types.ColumnData_Others(_types.OtherColumn(sql_type, packed))


_BLANKS = {
    None: 0, bool: False, int: 0, float: 0.0, decimal.Decimal: decimal.Decimal(0), str: "", bytes: b"",
    datetime.date: datetime.date(1970, 1, 1), Time: Time(0), Timestamp: Timestamp(0),
    OffsetTimestamp: OffsetTimestamp(0, 0), Guid: Guid(bytes(16)), Other: Other("", ""),
}
_ENCODED = {
    None: _integers,
    bool: _types.ColumnData_Booleans,
    int: _integers,
    float: _types.ColumnData_Floats,
    decimal.Decimal: _decimal_column,
    str: lambda values: _types.ColumnData_Texts(_pack_texts(values)),
    bytes: lambda values: _types.ColumnData_Binaries(_pack(values)),
    datetime.date: lambda values: _types.ColumnData_Dates([v.toordinal() - _ORDINAL_1970 for v in values]),
    Time: lambda values: _types.ColumnData_Times([int(value) for value in values]),
    Timestamp: lambda values: _types.ColumnData_Timestamps([int(value) for value in values]),
    OffsetTimestamp: _offset_timestamps,
    Guid: lambda values: _types.ColumnData_Guids(b"".join(value.bytes for value in values)),
    Other: _others,
}


def from_value(value):
    """A cell by itself, as a conflict has it."""
    return _SINGLE[type(value)](value)


_SINGLE = {
    _types.Value_Null: lambda value: None,
    _types.Value_Boolean: lambda value: value.value,
    _types.Value_Integer: lambda value: value.value,
    _types.Value_Float: lambda value: value.value,
    _types.Value_Decimal: lambda value: _decimal(value.value.scale, value.value.low, value.value.high),
    _types.Value_Text: lambda value: value.value,
    _types.Value_Binary: lambda value: value.value,
    _types.Value_Date: lambda value: _date(value.value),
    _types.Value_Time: lambda value: Time(value.value),
    _types.Value_Timestamp: lambda value: Timestamp(value.value),
    _types.Value_OffsetTimestamp: lambda value: OffsetTimestamp(value.value.utc, value.value.offset_minutes),
    _types.Value_Guid: lambda value: Guid(value.value),
    _types.Value_Other: lambda value: Other(value.value.sql_type, value.value.text),
}


def to_value(value):
    return _TO_SINGLE[type(value)](value)


def _decimal_value(value):
    scale = scale_of(value)
    return _types.Value_Decimal(_types.Decimal(scale, *halves(value, scale)))


_TO_SINGLE = {
    _NULL: lambda value: _types.Value_Null(),
    bool: _types.Value_Boolean,
    int: lambda value: _types.Value_Integer(_integer(value)),
    float: _types.Value_Float,
    decimal.Decimal: _decimal_value,
    str: _types.Value_Text,
    bytes: _types.Value_Binary,
    datetime.date: lambda value: _types.Value_Date(value.toordinal() - _ORDINAL_1970),
    Time: lambda value: _types.Value_Time(int(value)),
    Timestamp: lambda value: _types.Value_Timestamp(int(value)),
    OffsetTimestamp: lambda value: _types.Value_OffsetTimestamp(_types.OffsetTimestamp(*value)),
    Guid: lambda value: _types.Value_Guid(value.bytes),
    Other: lambda value: _types.Value_Other(_types.Other(*value)),
}
