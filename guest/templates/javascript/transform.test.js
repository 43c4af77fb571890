import assert from "node:assert/strict";
import test from "node:test";
import { refuse } from "./sdk/index.js";
import { judge } from "./sdk/testing.js";
import { tidy } from "./transform.js";

test("addresses have one spelling", () => {
  const row = { RECEIPTEMAIL: " Anna@Example.org" };
  assert.deepEqual(judge(tidy, row).changes, { RECEIPTEMAIL: "anna@example.org" });
  assert.deepEqual(judge(tidy, row, { flow: "push" }).changes, {});
  assert.deepEqual(judge(tidy, { RECEIPTEMAIL: "" }).changes, {});
});

test("what is no address is refused", () => {
  assert.deepEqual(judge(tidy, { RECEIPTEMAIL: "anna" }).verdict, refuse("RECEIPTEMAIL is no address"));
});
