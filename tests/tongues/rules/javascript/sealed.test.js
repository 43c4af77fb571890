// A rule that asks for the clock fails in a test as it does in a component, and the test around it keeps its own.

import assert from "node:assert/strict";
import test from "node:test";
import { transform } from "./sdk/index.js";
import { judge } from "./sdk/testing.js";

const asked = {
  now: () => Date.now(),
  date: () => new Date(),
  text: () => Date(),
  performance: () => performance.now(),
  random: () => Math.random(),
  known: () => assert.ok(new Date(5) instanceof Date && Date.UTC(1970) === 0),
};
const rule = transform("ax.ASKED", { reads: ["WORD"] }, (_, row) => void asked[row.text("WORD")]());

test("there is neither clock nor dice while a rule runs", () => {
  for (const word of ["now", "date", "text", "performance"]) {
    assert.throws(() => judge(rule, { WORD: word }), /context\.time/, word);
  }
  assert.throws(() => judge(rule, { WORD: "random" }), /randomness/);
  judge(rule, { WORD: "known" });
  assert.ok(Date.now() > 0 && new Date().getFullYear() > 2000 && performance.now() > 0 && Math.random() < 1);
});
