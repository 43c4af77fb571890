// Rules under test, on the author's own machine, without WebAssembly and without a database. The same code runs as in
// production, from the columns that come in to the answer that goes out; there is no clock and no randomness here either.

import { columnOf, decoded, toValue } from "./cells.js";
import { Conflict, checkedResolution } from "./conflict.js";
import { Context } from "./context.js";
import { answer, decisions, rules } from "./registry.js";
import { DROP, refuse } from "./row.js";
import { seal } from "./sealed.js";
import { checked } from "./values.js";

/**
 * One row, an object of cells by column, through a rule: `{ verdict, changes }`, where the verdict is undefined (the row
 * goes on), DROP or refuse(reason). The third argument sets parts of the context: `{ flow: "push", config: "a=1" }`.
 */
export function judge(rule, row, given = {}) {
  const entry = entryOf(rules, rule);
  const cells = new Map(Object.entries(row).map(([name, value]) => [name.toUpperCase(), value]));
  const columns = entry.reads.map((name) => {
    if (!cells.has(name.toUpperCase())) throw new ReferenceError(`give the row a value for ${name}`);
    return columnOf([checked(plain(cells.get(name.toUpperCase())), name)]);
  });
  const said = sealed(() => answer(entry, context(given), 1, columns));
  const verdicts = { keep: undefined, drop: DROP, refuse: refuse(said.reasons[0]) };
  const changes = said.changes.map(({ column, values }) => [entry.writes[column], decoded(values, 1)[0]]);
  return { verdict: verdicts[said.verdicts[0]], changes: Object.fromEntries(changes) };
}

/**
 * One conflict through a decision: `row` gives every column its value before; each side is an object of the cells that
 * differ, or null for a side without the row.
 */
export function decide(decision, row, channel, offline, given = {}) {
  const { table, run } = entryOf(decisions, decision);
  for (const name of Object.keys({ ...channel, ...offline })) {
    if (!(name in row)) throw new ReferenceError(`give the row a value for ${name}`);
  }
  const side = (changes) =>
    changes && Object.entries({ ...row, ...changes }).map(([name, value]) => toValue(checked(plain(value), name)));
  const sides = { base: side({}), channel: side(channel), offline: side(offline) };
  const conflict = new Conflict({ table, key: [], columns: Object.keys(row), ...sides });
  return checkedResolution(sealed(() => run(context(given), conflict)));
}

/** The test around the rule keeps its clock. */
function sealed(call) {
  const open = seal();
  try {
    return call();
  } finally {
    open();
  }
}

/** In a test a whole number stands for an integer. */
function plain(value) {
  return Number.isSafeInteger(value) ? BigInt(value) : value;
}

function context(given) {
  const usual = { config: "", flow: "pull", scope: "test", store: "S0001", register: "000001", time: 0n };
  return new Context({ ...usual, ...given });
}

function entryOf(entries, run) {
  const entry = Array.from(entries.values()).find((one) => one.run === run);
  if (!entry) throw new ReferenceError("the function is of no table: transform(...) and resolve(...) give it back");
  return entry;
}
