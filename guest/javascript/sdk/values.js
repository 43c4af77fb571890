// Cells as an author sees them: SQL Server's values, lossless.
//
//     bit                               boolean
//     tinyint, smallint, int, bigint    bigint
//     real, float                       number
//     decimal, numeric, money           Decimal
//     character types, xml              string
//     binary, varbinary, image          Uint8Array
//     date                              Day
//     time                              Time
//     datetime, datetime2               Timestamp
//     datetimeoffset                    OffsetTimestamp
//     uniqueidentifier                  Guid
//     anything else                     Other
//     NULL                              null

const TEN = 10n;
const TICKS_1970 = 621_355_968_000_000_000n;
const TICKS_A_MILLISECOND = 10_000n;

/** An exact number: `unscaled * 10^-scale`, up to 38 digits. JavaScript's own numbers end at 2^53. */
export class Decimal {
  constructor(unscaled, scale) {
    this.unscaled = BigInt(unscaled);
    this.scale = scale;
  }

  /** Reads `-12.50`; throws at anything that is not plain digits with at most one point. */
  static parse(text) {
    const parts = /^(-?)(\d+)(?:\.(\d*))?$/.exec(text);
    if (!parts) throw new TypeError(`'${text}' is no decimal`);
    const fraction = parts[3] ?? "";
    return new Decimal(BigInt(parts[1] + parts[2] + fraction), fraction.length);
  }

  /** With `scale` decimals, half a unit away from zero, as SQL Server rounds. */
  rounded(scale) {
    if (scale >= this.scale) {
      return new Decimal(this.unscaled * TEN ** BigInt(scale - this.scale), scale);
    }
    const divisor = TEN ** BigInt(this.scale - scale);
    const half = this.unscaled < 0n ? -divisor / 2n : divisor / 2n;
    return new Decimal((this.unscaled + half) / divisor, scale);
  }

  plus(other) {
    const scale = Math.max(this.scale, other.scale);
    return new Decimal(this.rounded(scale).unscaled + other.rounded(scale).unscaled, scale);
  }

  minus(other) {
    return this.plus(new Decimal(-other.unscaled, other.scale));
  }

  times(other) {
    return new Decimal(this.unscaled * other.unscaled, this.scale + other.scale);
  }

  /** -1, 0 or 1. */
  compare(other) {
    const scale = Math.max(this.scale, other.scale);
    const [one, two] = [this.rounded(scale).unscaled, other.rounded(scale).unscaled];
    return one < two ? -1 : one > two ? 1 : 0;
  }

  /** Of the same value, whatever the zeros at their ends. */
  equals(other) {
    return this.compare(other) === 0;
  }

  toString() {
    const negative = this.unscaled < 0n;
    const digits = String(negative ? -this.unscaled : this.unscaled).padStart(this.scale + 1, "0");
    const whole = digits.slice(0, digits.length - this.scale);
    const point = this.scale > 0 ? "." + digits.slice(digits.length - this.scale) : "";
    return (negative ? "-" : "") + whole + point;
  }
}

/** Days since 1970-01-01. */
export class Day {
  constructor(days) {
    this.days = days;
  }
}

/** Ticks of 100 ns since midnight, a bigint. */
export class Time {
  constructor(ticks) {
    this.ticks = ticks;
  }
}

/** Ticks of 100 ns since 0001-01-01 00:00, a bigint, without a time zone. */
export class Timestamp {
  constructor(ticks) {
    this.ticks = ticks;
  }

  /** JavaScript's own, as if it were UTC; it has milliseconds, and the digits after them are cut off. */
  date() {
    return new Date(Number((this.ticks - TICKS_1970) / TICKS_A_MILLISECOND));
  }

  static of(date) {
    return new Timestamp(BigInt(date.getTime()) * TICKS_A_MILLISECOND + TICKS_1970);
  }
}

/** The instant in UTC, in ticks as `Timestamp` has them, and the minutes east of UTC at which it was written. */
export class OffsetTimestamp {
  constructor(utc, offsetMinutes) {
    this.utc = utc;
    this.offsetMinutes = offsetMinutes;
  }
}

/** 16 bytes, in the order in which the text is read. */
export class Guid {
  constructor(bytes) {
    this.bytes = bytes;
  }

  toString() {
    const digits = Array.from(this.bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-").toUpperCase();
  }
}

/** A type that this version of the contract has no case for, in canonical text. */
export class Other {
  constructor(sqlType, text) {
    this.sqlType = sqlType;
    this.text = text;
  }
}

/** The name of a value's shape; undefined for what is no cell. */
export function shapeOf(value) {
  if (value === null) return "NULL";
  switch (typeof value) {
    case "boolean":
      return "boolean";
    case "bigint":
      return "integer";
    case "number":
      return "float";
    case "string":
      return "text";
    case "object":
      // Not by its constructor: the bytes that the host hands over are of another global object.
      return ArrayBuffer.isView(value) ? "binary" : SHAPES.get(value.constructor);
    default:
      return undefined;
  }
}

const SHAPES = new Map([
  [Decimal, "decimal"],
  [Day, "date"],
  [Time, "time"],
  [Timestamp, "timestamp"],
  [OffsetTimestamp, "timestamp with offset"],
  [Guid, "guid"],
  [Other, "other"],
]);

/** A value as it can be sent; undefined, a Date and the like are mistakes of the rule. */
export function checked(value, column) {
  if (shapeOf(value) === undefined) {
    const what = value === undefined ? "undefined" : (value.constructor?.name ?? typeof value);
    throw new TypeError(`${column} cannot be set to ${what}`);
  }
  return value;
}

/** -1, 0 or 1; null where there is no order (NULL, texts, guids: collations differ). */
export function order(one, other) {
  const shape = shapeOf(one);
  if (shape !== shapeOf(other)) return null;
  if (shape === "decimal") return one.compare(other);
  const key = ORDERED[shape];
  if (!key) return null;
  const [a, b] = [key(one), key(other)];
  return a < b ? -1 : a > b ? 1 : a === b ? 0 : null;
}

const ORDERED = {
  integer: (value) => value,
  float: (value) => value,
  date: (value) => value.days,
  time: (value) => value.ticks,
  timestamp: (value) => value.ticks,
  "timestamp with offset": (value) => value.utc,
};

/** Whether two cells are the same. */
export function same(one, other) {
  const shape = shapeOf(one);
  if (shape !== shapeOf(other)) return false;
  switch (shape) {
    case "decimal":
      return one.equals(other);
    case "binary":
      return String(one) === String(other);
    case "guid":
      return String(one.bytes) === String(other.bytes);
    case "timestamp with offset":
      return one.utc === other.utc && one.offsetMinutes === other.offsetMinutes;
    case "other":
      return one.text === other.text;
    default:
      return ORDERED[shape] ? order(one, other) === 0 : one === other;
  }
}
