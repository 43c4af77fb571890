// The rule that every language writes: addresses masked, other stores' sales left out, amounts in whole cents.

import { DROP, refuse, transform } from "./sdk/index.js";

const columns = { reads: ["STORE", "RECEIPTEMAIL", "GROSSAMOUNT"], writes: ["RECEIPTEMAIL", "GROSSAMOUNT"] };

transform("ax.RETAILTRANSACTIONTABLE", columns, (context, row) => {
  if (!context.isOwnStore(row.text("STORE"))) return DROP;
  const address = row.text("RECEIPTEMAIL");
  if (address) {
    const at = address.indexOf("@");
    if (at < 1) return refuse("RECEIPTEMAIL is no address");
    // A letter of four bytes is two places of a string.
    const [first] = address;
    row.set("RECEIPTEMAIL", `${first}***${address.slice(at)}`);
  }
  const amount = row.decimal("GROSSAMOUNT");
  const cents = amount?.rounded(2);
  if (cents && !cents.equals(amount)) row.set("GROSSAMOUNT", cents);
});

const shapes = ["BIT", "BIG", "FLT", "DEC", "TXT", "BIN", "DAY", "TIM", "AT", "OFFS", "GUID"];

/** Every shape of value goes in and comes out whole. */
transform("ax.SHAPES", { reads: shapes, writes: shapes.map((shape) => `${shape}2`) }, (_, row) => {
  for (const shape of shapes) row.set(`${shape}2`, row.value(shape));
});

/** What the engine would answer with the moment of the build, and what is said to the operator. */
const asked = { now: () => Date.now(), date: () => new Date(), random: () => Math.random(), known: () => new Date(0) };

transform("ax.WORDS", { reads: ["WORD"] }, (_, row) => {
  const word = row.text("WORD") ?? "";
  console.log("heard", word, 1n, { of: 1n });
  try {
    asked[word]?.();
  } catch (error) {
    return refuse(error.message);
  }
});
