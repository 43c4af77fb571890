// Columns as cells and back: the one place of the kit that knows how a batch lies in memory.
//
// A column is decoded when a rule first reads it; what no rule reads is never decoded.

import { Day, Decimal, Guid, Other, OffsetTimestamp, Time, Timestamp, shapeOf } from "./values.js";

const LOW = (1n << 64n) - 1n;
const DECODER = new TextDecoder("utf-8", { fatal: true });
const ENCODER = new TextEncoder();

/** The whole batch, or the config, cannot be worked with; the text says why. */
export class Refused extends Error {}

function packed(cells, cut) {
  const { offsets, bytes } = cells;
  return Array.from({ length: offsets.length - 1 }, (_, at) => cut(bytes, offsets[at], offsets[at + 1]));
}

function texts(cells) {
  const every = DECODER.decode(cells.bytes);
  if (every.length === cells.bytes.length) {
    // One byte a letter: the text is cut as it is.
    return packed(cells, (_, start, end) => every.slice(start, end));
  }
  return packed(cells, (bytes, start, end) => DECODER.decode(bytes.subarray(start, end)));
}

const listed = (make) => (cells) => Array.from(cells, make);

// The case of a column: what its cells are, and how they are decoded.
const CASES = {
  booleans: ["boolean", listed((bit) => Boolean(bit))],
  integers: ["integer", listed((whole) => BigInt(whole))],
  floats: ["float", listed((number) => number)],
  decimals: ["decimal", ({ scale, low, high }) => Array.from(low, (_, at) => ofHalves(scale, low[at], high[at]))],
  texts: ["text", texts],
  binaries: ["binary", (cells) => packed(cells, (bytes, start, end) => bytes.slice(start, end))],
  dates: ["date", listed((days) => new Day(days))],
  times: ["time", listed((ticks) => new Time(ticks))],
  timestamps: ["timestamp", listed((ticks) => new Timestamp(ticks))],
  "offset-timestamps": [
    "timestamp with offset",
    ({ utc, offsetMinutes }) => Array.from(utc, (ticks, at) => new OffsetTimestamp(ticks, offsetMinutes[at])),
  ],
  guids: [
    "guid",
    (every) => Array.from({ length: every.length / 16 }, (_, at) => new Guid(every.slice(16 * at, 16 * at + 16))),
  ],
  others: ["other", ({ sqlType, texts: cells }) => texts(cells).map((text) => new Other(sqlType, text))],
};

export function shapeOfColumn(column) {
  return CASES[column.data.tag][0];
}

/** The cells, null for NULL. */
export function decoded(column, rows) {
  const cells = CASES[column.data.tag][1](column.data.val);
  const { validity } = column;
  if (cells.length !== rows || (validity.length !== 0 && validity.length !== rows)) {
    throw new Refused(`a column of ${cells.length} cells for ${rows} rows`);
  }
  return validity.length === 0 ? cells : cells.map((cell, at) => (validity[at] ? cell : null));
}

function ofHalves(scale, low, high) {
  return new Decimal(high * (LOW + 1n) + low, scale);
}

function halves(decimal) {
  const { unscaled } = decimal;
  if (BigInt.asIntN(128, unscaled) !== unscaled) throw new Refused(`${decimal} needs more than 128 bits`);
  return [unscaled & LOW, unscaled >> 64n];
}

function whole(value) {
  if (BigInt.asIntN(64, value) !== value) throw new Refused(`${value} needs more than 64 bits`);
  return value;
}

/** The values as one column. Its case is that of the first that is not NULL; the others must agree. */
export function columnOf(values) {
  const first = values.find((value) => value !== null) ?? null;
  const shape = shapeOf(first);
  const other = values.find((value) => value !== null && shapeOf(value) !== shape);
  if (other !== undefined) throw new Refused(`${shapeOf(other)} beside ${shape}`);
  const nulls = values.includes(null);
  const validity = nulls ? Uint8Array.from(values, (value) => (value === null ? 0 : 1)) : new Uint8Array(0);
  const { blank, tag, column } = COLUMNS[shape];
  const whole = nulls ? values.map((value) => value ?? blank) : values;
  return { validity, data: { tag, val: column(whole) } };
}

function pack(parts) {
  const offsets = new Uint32Array(parts.length + 1);
  parts.forEach((part, at) => (offsets[at + 1] = offsets[at] + part.length));
  const bytes = new Uint8Array(offsets[parts.length]);
  parts.forEach((part, at) => bytes.set(part, offsets[at]));
  return { offsets, bytes };
}

function packTexts(cells) {
  const every = cells.join("");
  const bytes = ENCODER.encode(every);
  if (bytes.length !== every.length) return pack(cells.map((cell) => ENCODER.encode(cell)));
  const offsets = new Uint32Array(cells.length + 1);
  cells.forEach((cell, at) => (offsets[at + 1] = offsets[at] + cell.length));
  return { offsets, bytes };
}

/** A column has one scale: the greatest, so that no digit is lost. */
function decimals(values) {
  const scale = values.reduce((most, value) => Math.max(most, value.scale), 0);
  const both = values.map((value) => halves(value.rounded(scale)));
  const low = BigUint64Array.from(both, ([one]) => one);
  return { scale, low, high: BigInt64Array.from(both, ([, one]) => one) };
}

const integers = {
  blank: 0n,
  tag: "integers",
  column: (values) => BigInt64Array.from(values, (value) => whole(value ?? 0n)),
};
const COLUMNS = {
  NULL: integers,
  boolean: { blank: false, tag: "booleans", column: (values) => values },
  integer: integers,
  float: { blank: 0, tag: "floats", column: (values) => Float64Array.from(values) },
  decimal: { blank: new Decimal(0n, 0), tag: "decimals", column: decimals },
  text: { blank: "", tag: "texts", column: packTexts },
  binary: { blank: new Uint8Array(0), tag: "binaries", column: pack },
  date: { blank: new Day(0), tag: "dates", column: (values) => Int32Array.from(values, (value) => value.days) },
  time: { blank: new Time(0n), tag: "times", column: (values) => BigUint64Array.from(values, (value) => value.ticks) },
  timestamp: {
    blank: new Timestamp(0n),
    tag: "timestamps",
    column: (values) => BigInt64Array.from(values, (value) => value.ticks),
  },
  "timestamp with offset": {
    blank: new OffsetTimestamp(0n, 0),
    tag: "offset-timestamps",
    column: (values) => ({
      utc: BigInt64Array.from(values, (value) => value.utc),
      offsetMinutes: Int16Array.from(values, (value) => value.offsetMinutes),
    }),
  },
  guid: { blank: new Guid(new Uint8Array(16)), tag: "guids", column: (values) => pack(values.map((one) => one.bytes)).bytes },
  other: {
    blank: new Other("", ""),
    tag: "others",
    column: (values) => ({ sqlType: values[0].sqlType, texts: packTexts(values.map((value) => value.text)) }),
  },
};

/** A cell by itself, as a conflict has it. */
export function fromValue({ tag, val }) {
  switch (tag) {
    case "null":
      return null;
    case "integer":
      return BigInt(val);
    case "decimal":
      return ofHalves(val.scale, val.low, val.high);
    case "date":
      return new Day(val);
    case "time":
      return new Time(val);
    case "timestamp":
      return new Timestamp(val);
    case "offset-timestamp":
      return new OffsetTimestamp(val.utc, val.offsetMinutes);
    case "guid":
      return new Guid(val);
    case "other":
      return new Other(val.sqlType, val.text);
    default:
      return val;
  }
}

export function toValue(value) {
  switch (shapeOf(value)) {
    case "NULL":
      return { tag: "null" };
    case "integer":
      return { tag: "integer", val: whole(value) };
    case "decimal": {
      const [low, high] = halves(value);
      return { tag: "decimal", val: { scale: value.scale, low, high } };
    }
    case "date":
      return { tag: "date", val: value.days };
    case "time":
      return { tag: "time", val: value.ticks };
    case "timestamp":
      return { tag: "timestamp", val: value.ticks };
    case "timestamp with offset":
      return { tag: "offset-timestamp", val: { utc: value.utc, offsetMinutes: value.offsetMinutes } };
    case "guid":
      return { tag: "guid", val: value.bytes };
    case "other":
      return { tag: "other", val: { sqlType: value.sqlType, text: value.text } };
    default:
      return { tag: shapeOf(value), val: value };
  }
}
