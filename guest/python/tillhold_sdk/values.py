"""Cells as an author sees them: SQL Server's values, lossless.

    bit                               bool
    tinyint, smallint, int, bigint    int
    real, float                       float
    decimal, numeric, money           decimal.Decimal
    character types, xml              str
    binary, varbinary, image          bytes
    date                              datetime.date
    time                              Time
    datetime, datetime2               Timestamp
    datetimeoffset                    OffsetTimestamp
    uniqueidentifier                  Guid
    anything else                     Other
    NULL                              None
"""

import datetime
import decimal
from typing import NamedTuple

# 38 digits times 38 digits come out whole; half a unit goes away from zero, as in SQL Server. Python's own 28 digits
# would silently round a numeric(38).
EXACT = decimal.Context(prec=77, rounding=decimal.ROUND_HALF_UP)
decimal.DefaultContext.prec = EXACT.prec
decimal.DefaultContext.rounding = EXACT.rounding
decimal.setcontext(EXACT.copy())

_EPOCH = datetime.datetime(1, 1, 1)
_TICKS_A_MICROSECOND = 10


class Timestamp(int):
    """Ticks of 100 ns since 0001-01-01 00:00, without a time zone. A whole number, so that no digit is lost."""

    __slots__ = ()

    def datetime(self):
        """Python's own, which has microseconds: the seventh digit is cut off."""
        return _EPOCH + datetime.timedelta(microseconds=self // _TICKS_A_MICROSECOND)

    @classmethod
    def of(cls, moment):
        passed = moment - _EPOCH
        seconds = passed.days * 86_400 + passed.seconds
        return cls((seconds * 1_000_000 + passed.microseconds) * _TICKS_A_MICROSECOND)


class Time(int):
    """Ticks of 100 ns since midnight."""

    __slots__ = ()


class OffsetTimestamp(NamedTuple):
    """The instant in UTC, in ticks as `Timestamp` counts them, and the minutes east of UTC at which it was written."""

    utc: int
    offset_minutes: int


class Guid(NamedTuple):
    """16 bytes, in the order in which the text is read."""

    bytes: bytes

    def __str__(self):
        digits = self.bytes.hex().upper()
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


class Other(NamedTuple):
    """A type that this version of the contract has no case for, in canonical text."""

    sql_type: str
    text: str


def rounded(number, decimals):
    """`number` with so many decimals, half a unit away from zero, as SQL Server rounds."""
    return number.quantize(unit(decimals), context=EXACT)


def unit(decimals):
    """The least step of a number with so many decimals."""
    return _UNITS[decimals] if decimals < len(_UNITS) else decimal.Decimal((0, (1,), -decimals))


_UNITS = [decimal.Decimal((0, (1,), -decimals)) for decimals in range(39)]


def order(one, other):
    """-1, 0 or 1; None where there is no order (NULL, texts, guids: collations differ)."""
    shape = type(one)
    if shape is not type(other) or shape not in _ORDERED or one != one or other != other:
        return None
    if shape is OffsetTimestamp:
        one, other = one.utc, other.utc
    return (one > other) - (one < other)


_ORDERED = {int, float, decimal.Decimal, datetime.date, Time, Timestamp, OffsetTimestamp}
SHAPES = {
    type(None): "NULL", bool: "boolean", int: "integer", float: "float", decimal.Decimal: "decimal", str: "text",
    bytes: "binary", datetime.date: "date", Time: "time", Timestamp: "timestamp",
    OffsetTimestamp: "timestamp with offset", Guid: "guid", Other: "other",
}


def checked(value, column):
    """A value as it can be sent; an int for a decimal column and the like are the host's affair."""
    if type(value) not in SHAPES:
        raise TypeError(f"{column} cannot be set to a {type(value).__name__}: {value!r}")
    return value


def shape_name(shape):
    return SHAPES[shape]
