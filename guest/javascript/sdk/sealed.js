// What a plugin does not have, and an engine offers all the same. In a component the clock stands still at the moment of the
// build, and the dice fall alike on every register: a rule that asked them would be wrong without a word. They throw.

const CLOCK = "a plugin has no clock: context.time is the batch's own time";
const DICE = "a plugin has no randomness: the same rows must get the same answer";

/** Puts them away; what it gives back is the way to have them again. */
export function seal() {
  const { performance, crypto } = globalThis;
  const all = [
    [globalThis, "Date", timeless(globalThis.Date)],
    [Math, "random", refusal(DICE)],
    [performance, "now", refusal(CLOCK)],
    [crypto, "getRandomValues", refusal(DICE)],
    [crypto, "randomUUID", refusal(DICE)],
  ];
  const there = all.filter(([where, name]) => where?.[name] !== undefined);
  const before = there.map(([where, name]) => Object.getOwnPropertyDescriptor(where, name));
  there.forEach(([where, name, value]) => {
    Object.defineProperty(where, name, { value, configurable: true, writable: true });
  });
  return () =>
    there.forEach(([where, name], at) => {
      if (before[at]) Object.defineProperty(where, name, before[at]);
      else delete where[name];
    });
}

function refusal(words) {
  return () => {
    throw new Error(words);
  };
}

/** A date of numbers or of a text is a date as ever; one of nothing would be now. */
function timeless(Date) {
  return new Proxy(Date, {
    construct: (target, given) => (given.length === 0 ? refusal(CLOCK)() : new target(...given)),
    apply: refusal(CLOCK),
    get: (target, name) => (name === "now" ? refusal(CLOCK) : target[name]),
  });
}
