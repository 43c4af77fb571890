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
