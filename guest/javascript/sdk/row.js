// A row on its way, as a rule sees it.

import { decoded, shapeOfColumn } from "./cells.js";
import { checked } from "./values.js";

/** The row ends here. */
export const DROP = Object.freeze({ verdict: "drop" });

/** The row is set aside for a person, with this reason. Never personal data. */
export function refuse(reason) {
  return { verdict: "refuse", reason: String(reason) };
}

/**
 * One row: the columns that the rule declared under `reads`, by name.
 *
 * Reading always gives the row as it came, whatever has been set since. It is this row only while the rule runs: keep what
 * you read, not the row. Naming a column that was not declared is a mistake of the rule and throws.
 */
export class Row {
  #rule;
  #rows;
  #columns;
  #cells = new Map();
  #written;
  #at = 0;

  constructor(rule, rows, columns) {
    this.#rule = rule;
    this.#rows = rows;
    this.#columns = columns;
    this.#written = rule.writes.map(() => ({ rows: [], values: [] }));
  }

  /** null when the cell is NULL, or its column holds no text. */
  text(column) {
    return this.#of(column, "text");
  }

  /** A bigint. */
  integer(column) {
    return this.#of(column, "integer");
  }

  /** An integer as JavaScript's own number; throws where that could not hold it exactly. */
  number(column) {
    const integer = this.#of(column, "integer");
    if (integer === null) return null;
    const number = Number(integer);
    if (!Number.isSafeInteger(number)) throw new RangeError(`${column} is ${integer}: ask row.integer for a bigint`);
    return number;
  }

  /** A Decimal, exact. */
  decimal(column) {
    return this.#of(column, "decimal");
  }

  boolean(column) {
    return this.#of(column, "boolean");
  }

  float(column) {
    return this.#of(column, "float");
  }

  timestamp(column) {
    return this.#of(column, "timestamp");
  }

  /** The cell whatever its type: what values.js lists. */
  value(column) {
    return this.#of(column, undefined);
  }

  isNull(column) {
    return this.value(column) === null;
  }

  /** Changes a column that the rule declared under `writes`; null becomes NULL. The last word counts. */
  set(column, value) {
    const place = placeOf(this.#rule.writes, column);
    if (place < 0) throw new ReferenceError(`${column} of ${this.#rule.table} is not declared under writes`);
    const { rows, values } = this.#written[place];
    const cell = checked(this.#fitting(column, value), column);
    if (rows.at(-1) === this.#at) {
      values[values.length - 1] = cell;
    } else {
      rows.push(this.#at);
      values.push(cell);
    }
  }

  /** A number is a float; in a column of integers that is read too, an integer. Never silently a decimal. */
  #fitting(column, value) {
    if (typeof value !== "number") return value;
    const read = placeOf(this.#rule.reads, column);
    const shape = read < 0 ? "float" : shapeOfColumn(this.#columns[read]);
    if (shape === "decimal") throw new TypeError(`${column} holds decimals: set Decimal.parse("${value}")`);
    if (shape !== "integer") return value;
    if (!Number.isSafeInteger(value)) throw new RangeError(`${column} cannot be set to ${value}: use a bigint`);
    return BigInt(value);
  }

  #of(column, shape) {
    const key = shape === undefined ? column : `${column}\n${shape}`;
    let cells = this.#cells.get(key);
    if (cells === undefined) {
      cells = this.#read(column, shape);
      this.#cells.set(key, cells);
    }
    return cells === null ? null : cells[this.#at];
  }

  /** All cells of a column, decoded once; null when they are of another shape. */
  #read(column, shape) {
    const place = placeOf(this.#rule.reads, column);
    if (place < 0) throw new ReferenceError(`${column} of ${this.#rule.table} is not declared under reads`);
    const given = this.#columns[place];
    if (shape !== undefined && shape !== shapeOfColumn(given)) return null;
    let cells = this.#cells.get(place);
    if (cells === undefined) {
      cells = decoded(given, this.#rows);
      this.#cells.set(place, cells);
    }
    return cells;
  }

  /** For the kit: row by row through `judge`, and what was set for the rows that go on. */
  static written(rule, rows, columns, judge) {
    const row = new Row(rule, rows, columns);
    for (let at = 0; at < rows; at += 1) {
      row.#at = at;
      if (judge(row, at)) continue;
      for (const { rows: numbers, values } of row.#written) {
        if (numbers.at(-1) === at) {
          numbers.pop();
          values.pop();
        }
      }
    }
    return row.#written;
  }
}

/** As written first, for speed; blind to case then, as SQL Server is with names. */
export function placeOf(names, name) {
  const exact = names.indexOf(name);
  return exact >= 0 ? exact : names.findIndex((known) => known.toUpperCase() === name.toUpperCase());
}
