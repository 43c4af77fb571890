// Lines for the operator: the only thing that a plugin may ask of its host. At most 100 a batch, each at most 1,024 bytes;
// never personal data. In a test on the author's own machine they go to standard error.

let write = (level, line) => console.error(`${level}: ${line}`);

export function info(line) {
  write("info", line);
}

export function warning(line) {
  write("warning", line);
}

/** For the kit: who hears the lines. */
export function hear(listener) {
  write = listener;
}

/** For the kit: an object in the place of `console`, whose lines are the operator's. */
export function asConsole() {
  const [telling, warns] = [info, warning].map((say) => (...parts) => say(parts.map(shown).join(" ")));
  return { debug: telling, info: telling, log: telling, trace: telling, error: warns, warn: warns };
}

function shown(part) {
  if (typeof part !== "object" || part === null || part instanceof Error) return String(part);
  try {
    return JSON.stringify(part, (_, value) => (typeof value === "bigint" ? String(value) : value)) ?? String(part);
  } catch {
    return String(part);
  }
}
