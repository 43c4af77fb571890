import assert from "node:assert/strict";
import test from "node:test";
import { receiptWishes } from "./resolve.js";
import { merge } from "./sdk/index.js";
import { decide } from "./sdk/testing.js";

test("the till knows the address", () => {
  const before = { RECEIPTEMAIL: "old@example.org" };
  const office = { RECEIPTEMAIL: "office@example.org" };
  const till = { RECEIPTEMAIL: "till@example.org" };
  assert.deepEqual(decide(receiptWishes, before, office, till), merge({ RECEIPTEMAIL: "till@example.org" }));
});
