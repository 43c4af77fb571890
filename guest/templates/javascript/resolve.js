// Rows that both sides changed: what the customer said at the till counts.

import { LATER, OFFLINE, PERSON, resolve } from "./sdk/index.js";

export const receiptWishes = resolve("ax.RETAILCUSTTABLE", { reads: "*", writes: "*" }, (_, conflict) =>
  conflict.merge(winner),
);

/** What only one side changed is taken anyway; this is asked for what both changed. */
function winner(column) {
  if (column === "RECEIPTEMAIL" || column === "RECEIPTOPTION") return OFFLINE;
  return column === "MODIFIEDDATETIME" ? LATER : PERSON;
}
