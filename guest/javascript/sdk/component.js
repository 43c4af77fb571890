// What a component exports: the contract's calls, with what goes wrong said before it stops the batch. `tillhold plugin
// build` names these objects; in a test they are not used.

import { write } from "tillhold:plugin/log@0.1.0";
import { Refused } from "./cells.js";
import { asConsole, hear, warning } from "./log.js";
import { decisions, describe, rules, runDecisions, runRules } from "./registry.js";
import { seal } from "./sealed.js";

hear(write);
Object.defineProperty(globalThis, "console", { value: asConsole(), configurable: true, writable: true });
seal();

function answered(call) {
  try {
    return call();
  } catch (error) {
    // What has a payload is the contract's own error; anything else stops the instance.
    if (error instanceof Refused) throw Object.assign(new Error(error.message), { payload: error.message });
    warning(`${error?.name ?? "thrown"}: ${error?.message ?? error}${place(error)}`);
    throw error;
  }
}

/** The author's own line. */
function place(error) {
  const lines = String(error?.stack ?? "").split("\n");
  const own = lines.find((line) => line.includes(".js:") && !line.includes("sdk/"));
  return own ? ` (${own.replace(/^.*\//, "").trim()})` : "";
}

export const transform = {
  describe: (config) => answered(() => describe(rules, config)),
  transform: (context, table, rows, columns) => answered(() => runRules(context, table, rows, columns)),
};

export const resolve = {
  describe: (config) => answered(() => describe(decisions, config)),
  resolve: (context, conflicts) => answered(() => runDecisions(context, conflicts)),
};
