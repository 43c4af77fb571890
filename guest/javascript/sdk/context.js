// What a plugin knows about a batch, and how its config reads.

import { Refused } from "./cells.js";
import { Timestamp } from "./values.js";

let known = [];

/**
 * Declares the names that the config may set; without it the config is the plugin's own affair. A config then has lines
 * `name=value`; `;` may stand for a line's end, `#` opens a comment. An unknown name is told when the plugin is loaded.
 */
export function settings(...names) {
  known = names;
}

/** Given with every batch. There is nothing else to ask: no clock, no file, no network. */
export class Context {
  #settings;

  constructor(given) {
    this.config = given.config;
    /** "pull": down, from the channel database to the register; "push": up. */
    this.flow = given.flow;
    this.scope = given.scope;
    this.store = given.store;
    this.register = given.register;
    /** The batch's logical time in UTC. */
    this.time = new Timestamp(given.time);
    this.#settings = parse(given.config);
  }

  /** What the config says under `name`, if the plugin declared its settings. */
  setting(name) {
    return this.#settings.get(name);
  }

  /** Whether it is this store's number: as SQL Server compares, blind to case and to blanks at the end. */
  isOwnStore(store) {
    const plain = (number) => number.replace(/ +$/, "").toLowerCase();
    return store !== null && plain(this.store) !== "" && plain(store) === plain(this.store);
  }
}

export function parse(config) {
  const read = new Map();
  if (known.length === 0) return read;
  for (const written of config.split(/[\n;]/)) {
    const line = written.split("#")[0].trim();
    if (line === "") continue;
    const at = line.indexOf("=");
    if (at < 0) throw new Refused(`'${line}' is not name=value`);
    const name = line.slice(0, at).trim();
    if (!known.includes(name)) throw new Refused(`there is no setting '${name}'; there are ${known.join(", ")}`);
    if (read.has(name)) throw new Refused(`'${name}' is set twice`);
    read.set(name, line.slice(at + 1).trim());
  }
  return read;
}
