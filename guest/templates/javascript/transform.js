// Rows on their way: addresses for receipts come to the register in one spelling.

import { refuse, transform } from "./sdk/index.js";

const columns = { reads: ["RECEIPTEMAIL"], writes: ["RECEIPTEMAIL"] };

export const tidy = transform("ax.RETAILCUSTTABLE", columns, (context, row) => {
  if (context.flow === "push") return;
  const address = row.text("RECEIPTEMAIL") ?? "";
  const tidied = address.trim().toLowerCase();
  if (tidied !== "" && !tidied.includes("@")) return refuse("RECEIPTEMAIL is no address");
  if (tidied !== address) row.set("RECEIPTEMAIL", tidied);
});
