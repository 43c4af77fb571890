// The rules and decisions of a plugin: what the two functions below collect, and how the host's calls reach them.

import { Refused, columnOf } from "./cells.js";
import { Conflict, checkedResolution } from "./conflict.js";
import { Context, parse } from "./context.js";
import { DROP, Row } from "./row.js";

export const rules = new Map();
export const decisions = new Map();

/** Makes a function of (context, row) the rule of a table; gives the function back. */
export function transform(table, { reads, writes = [] }, rule) {
  return enter(rules, { table, reads: list(reads), writes: list(writes), run: rule });
}

/**
 * Makes a function of (context, conflict) the decision of a table. "*" is every column that travels; of those the key
 * cannot be written.
 */
export function resolve(table, { reads = "*", writes = "*" }, decision) {
  return enter(decisions, { table, reads: list(reads), writes: list(writes), run: decision });
}

function list(names) {
  return typeof names === "string" ? [names] : names;
}

function enter(where, entry) {
  const name = entry.table.toLowerCase();
  if (where.has(name)) throw new Error(`${entry.table} has two functions`);
  where.set(name, entry);
  return entry.run;
}

export function describe(where, config) {
  parse(config);
  return Array.from(where.values(), ({ table, reads, writes }) => ({ table, reads, writes }));
}

export function runRules(given, table, rows, columns) {
  const rule = rules.get(table.toLowerCase());
  if (!rule) throw new Refused(`there is no rule for ${table}`);
  return answer(rule, new Context(given), rows, columns);
}

export function answer(rule, context, rows, columns) {
  if (columns.length !== rule.reads.length) throw new Refused(`${columns.length} columns of ${rule.table}`);
  const verdicts = new Array(rows).fill("keep");
  const reasons = [];
  const written = Row.written(rule, rows, columns, (row, at) => {
    const said = rule.run(context, row);
    if (said === undefined) return true;
    if (said !== DROP && said?.verdict !== "refuse") {
      throw new TypeError("a rule gives nothing, DROP or refuse(...)");
    }
    verdicts[at] = said.verdict;
    if (said !== DROP) reasons.push(said.reason);
    return false;
  });
  return { verdicts, reasons, changes: changes(rule, written) };
}

/** Only columns in which something changed. */
function changes(rule, written) {
  const changed = [];
  written.forEach(({ rows, values }, column) => {
    if (rows.length === 0) return;
    try {
      changed.push({ column, rows: Uint32Array.from(rows), values: columnOf(values) });
    } catch (error) {
      if (error instanceof Refused) throw new Refused(`${rule.writes[column]} of ${rule.table}: ${error.message}`);
      throw error;
    }
  });
  return changed;
}

export function runDecisions(given, conflicts) {
  const context = new Context(given);
  return conflicts.map((conflict) => {
    const decision = decisions.get(conflict.table.toLowerCase());
    if (!decision) throw new Refused(`there is no decision for ${conflict.table}`);
    return checkedResolution(decision.run(context, new Conflict(conflict)));
  });
}
