// A conflict as a resolver sees it: one row, three sides, column by column.

import { fromValue, toValue } from "./cells.js";
import { checked, order, same } from "./values.js";
import { placeOf } from "./row.js";

// Who wins a column that both sides changed. LATER is the greater of the two, for moments and counters that only grow; a
// person decides where there is no order.
export const CHANNEL = "channel";
export const OFFLINE = "offline";
export const LATER = "later";
export const PERSON = "person";

/** One side of a conflict, asked by column. */
class Side {
  #table;
  #columns;
  #values;

  constructor(table, columns, values) {
    this.#table = table;
    this.#columns = columns;
    this.#values = Array.from(values, fromValue);
  }

  value(column) {
    const at = placeOf(this.#columns, column);
    if (at < 0) throw new ReferenceError(`${column} of ${this.#table} is not declared under reads`);
    return this.#values[at];
  }
}

/**
 * A row that changed at the register and, since the register last saw it, at the channel too: `base` as the register last
 * knew it from the channel, `channel` as it is there now, `offline` as the register left it; null where the row does not
 * exist. `key` has the key's cells by column.
 */
export class Conflict {
  constructor(given) {
    const side = (values) => (values == null ? null : new Side(given.table, given.columns, values));
    this.table = given.table;
    this.columns = given.columns;
    this.key = Object.fromEntries(given.key.map(({ column, value }) => [column, fromValue(value)]));
    this.base = side(given.base);
    this.channel = side(given.channel);
    this.offline = side(given.offline);
  }

  /** Who changed a column since the base row: "neither", "channel", "offline", "alike" or "both". */
  changed(column) {
    const differ = (one, other) => {
      if (one === null || other === null) return one !== other;
      return !same(one.value(column), other.value(column));
    };
    const atChannel = differ(this.channel, this.base);
    const atOffline = differ(this.offline, this.base);
    if (atChannel && atOffline) return differ(this.channel, this.offline) ? "both" : "alike";
    return atChannel ? "channel" : atOffline ? "offline" : "neither";
  }

  /**
   * Column by column: what one side changed is taken; for what both changed `winner(column)` is asked. The conflict waits
   * for a person when one of the sides is gone, or when a column is left to a person.
   */
  merge(winner) {
    if (this.channel === null || this.offline === null) {
      const side = this.channel === null ? "the channel" : "the register";
      return defer(`${side} deleted the row, the other side changed it`);
    }
    const cells = {};
    const left = [];
    for (const column of this.columns) {
      const [atChannel, atOffline] = [this.channel.value(column), this.offline.value(column)];
      const changed = this.changed(column);
      const won = changed === "both" ? wonBy(winner(column), atChannel, atOffline) : changed;
      if (won === PERSON) left.push(column);
      else if (won === OFFLINE && !same(atOffline, atChannel)) cells[column] = atOffline;
    }
    return left.length > 0 ? defer(`both sides changed ${left.join(", ")}`) : merge(cells);
  }
}

function wonBy(winner, atChannel, atOffline) {
  if (winner === LATER) {
    const which = order(atOffline, atChannel);
    return which === null ? PERSON : which > 0 ? OFFLINE : CHANNEL;
  }
  if (![CHANNEL, OFFLINE, PERSON].includes(winner)) {
    throw new TypeError(`a winner is CHANNEL, OFFLINE, LATER or PERSON, not ${winner}`);
  }
  return winner;
}

/** The channel's row, whole; the register's changes are given up. */
export function takeChannel() {
  return { tag: "take-channel" };
}

/** The register's changes win: each cell that it changed, its deletion, its whole row where the channel has none. */
export function takeOffline() {
  return { tag: "take-offline" };
}

/** The channel's row with these cells, an object by column, for both sides. */
export function merge(cells) {
  const cell = ([column, value]) => ({ column, value: toValue(checked(value, column)) });
  return { tag: "merged", val: Object.entries(cells).map(cell) };
}

/** A person decides, for this reason. */
export function defer(reason) {
  return { tag: "deferred", val: String(reason) };
}

export function checkedResolution(decided) {
  if (!["take-channel", "take-offline", "merged", "deferred"].includes(decided?.tag)) {
    throw new TypeError("a decision gives takeChannel(), takeOffline(), merge({...}) or defer(...)");
  }
  return decided;
}
