// Write Tillhold plugins as plain functions over a row.
//
//     export const tidy = transform("ax.RETAILCUSTTABLE", { reads: [...], writes: [...] }, (context, row) => { ... });
//
// * A rule reads the columns that it declared, changes those that it declared, and gives a verdict: nothing (the row goes
//   on), DROP, or refuse("why").
// * A decision (`resolve`) gets a conflict with its three sides; `conflict.merge` goes column by column.
// * There is no clock, no file, no network, no randomness: `Date.now()`, `new Date()` and `Math.random()` throw, and
//   `context.time` is the batch's time. `console.log` and `log.info` are lines for the operator.
// * Each batch gets a fresh instance: a variable remembers nothing from batch to batch.
// * An exception refuses the batch; the profile says what then becomes of it. Selling goes on.

export { CHANNEL, LATER, OFFLINE, PERSON, defer, merge, takeChannel, takeOffline } from "./conflict.js";
export { settings } from "./context.js";
export * as log from "./log.js";
export { resolve, transform } from "./registry.js";
export { DROP, refuse } from "./row.js";
export { Day, Decimal, Guid, OffsetTimestamp, Other, Time, Timestamp, order, same } from "./values.js";
