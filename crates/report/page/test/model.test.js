// What follows from the data of a page, without a browser.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { runInNewContext } from "node:vm";

const names = ["stops", "now", "values", "waiting", "arrows", "arrowsAt", "relation", "passing", "parts", "functionAt", "ranges", "address", "rust"];
const text = readFileSync(new URL("../model.js", import.meta.url), "utf8");
const model = runInNewContext(`${text}\n({ ${names.join(", ")} })`, { URLSearchParams });
// What another context makes has other prototypes.
const same = (actual, expected) => assert.deepEqual(JSON.parse(JSON.stringify(actual)), expected);

const event = (step, thread, more = {}) => ({ step, thread, text: `e${step}`, order: "", place: null, sets: [], reads: null, missed: null, after: [], quiet: false, ...more });
const row = (kind, step, thread, more = {}) => ({ kind, step, thread, number: step, text: `r${step}`, marks: [], place: null, hidden: [], more: 0, ...more });

const stepping = {
  threads: [{ name: "main", column: true }, { name: "other", column: true }],
  objects: [
    { name: "n", kind: "variable", lock: false, story: true, initial: "5" },
    { name: "lock", kind: "mutex", lock: true, story: false, initial: "free" },
  ],
  events: [
    event(1, 0, { reads: -1 }),
    event(2, 1, { sets: [[1, "other"]] }),
    event(3, 1, { sets: [[0, "6"]], after: [2] }),
    event(4, 1, { after: [2, 3], sets: [[1, "free"]] }),
    event(5, 0, { reads: 3, after: [1, 2, 3, 4] }),
    event(6, 0, { missed: 3, reads: -1, after: [1, 5] }),
  ],
  rows: [row("step", 1, 0), row("switch", null, 0), row("step", 3, 1), row("repeat", null, 1, { hidden: [4] }), row("wait", null, 0), row("step", 5, 0), row("step", 6, 0)],
  waits: [{ thread: 0, text: "lock", object: 1, holder: 1, since: 3, until: 5 }, { thread: 1, text: "park", object: null, holder: null, since: 6, until: null }],
  modification: [[3, 6]],
  synchronizes: [[3, 5], [4, 5]],
  decision: { sentence: "", step: 5, curve: [[0, 0.5], [1, 1]], swapped: [3, 5], newest: null },
};

test("one stops at steps, waits and ends, and at what is hidden where that is open", () => {
  same(model.stops(stepping, () => false).map((stop) => stop.text), ["r1", "r3", "rnull", "r5", "r6"]);
  same(model.stops(stepping, (row) => row.kind === "repeat").map((stop) => stop.text), ["r1", "r3", "e4", "rnull", "r5", "r6"]);
});

test("what has happened at a row without an event is what happened before it", () => {
  const stops = model.stops(stepping, () => false);
  same([0, 1, 2, 3].map((at) => model.now(stops, at)), [1, 3, 3, 5]);
  assert.equal(model.now([], 0), -1);
});

test("values are those of the last write", () => {
  same(model.values(stepping, -1), ["5", "free"]);
  same(model.values(stepping, 2), ["5", "other"]);
  same(model.values(stepping, 6), ["6", "free"]);
});

test("a thread waits from when it could not go on until it does", () => {
  const who = (step) => model.waiting(stepping, step).map((wait) => wait.thread);
  same([1, 2, 4, 5, 6].map(who), [[], [0], [0], [1], [1]]);
});

test("a pair of steps has one arrow, the one that says most", () => {
  const arrows = model.arrows(stepping).map(({ from, to, kind }) => `${from} ${to} ${kind}`);
  same(arrows, ["3 5 reads", "3 6 missed", "4 5 before", "3 6 order"]);
  same(model.arrowsAt(stepping, 3).map((arrow) => arrow.kind), ["reads", "missed"]);
});

test("events stand before, behind or beside each other", () => {
  const events = new Map(stepping.events.map((event) => [event.step, event]));
  assert.equal(model.relation(events, 3, 5), "before");
  assert.equal(model.relation(events, 5, 3), "after");
  assert.equal(model.relation(events, 3, 6), "unordered");
  assert.equal(model.relation(events, 9, 6), "unknown");
});

test("the schedule that passes has the two steps in the other order", () => {
  const rows = model.passing(stepping);
  same(rows.map(({ row, moved }) => [row.step, moved]), [[1, false], [5, true], [3, false]]);
  const newest = { ...stepping, decision: { ...stepping.decision, swapped: null, newest: 5 } };
  same(model.passing(newest).map(({ row, newest }) => [row.step, newest]), [[1, false], [3, false], [5, true]]);
  assert.equal(model.passing({ ...stepping, decision: null }), null);
});

test("numbers of steps and code are found in a text", () => {
  const kinds = (text) => model.parts(text).filter((part) => part.kind !== "text").map((part) => `${part.kind} ${part.text}`);
  same(kinds("stored 6 in `n` (step 6), out of steps 1 to 4"), ["code n", "step 6", "step 1", "step 4"]);
  same(kinds("steps 1 and 2; 3 threads; step by step"), ["step 1", "step 2"]);
  same(kinds("nothing orders it after steps 1, 2"), ["step 1", "step 2"]);
  assert.equal(model.parts("steps 1 to 4 `x`").map((part) => part.text).join(""), "steps 1 to 4 x");
});

test("a line is named by the function around it", () => {
  const text = "impl Stack {\n    pub(crate) fn pop(&self) -> u32 {\n        // fn not(\n        loop {\n            self.head.load()\n        }\n    }\n}\nstatic N: u32 = 0;";
  const parts = [[10, text]];
  assert.equal(model.functionAt(parts, 14), "pop");
  assert.equal(model.functionAt(parts, 11), "pop");
  assert.equal(model.functionAt(parts, 18), null);
  assert.equal(model.functionAt(parts, 99), null);
});

test("numbers are written as ranges", () => {
  assert.equal(model.ranges([1, 3, 4, 6, 7, 8]), "1, 3, 4, 6 to 8");
  assert.equal(model.ranges([]), "");
});

test("the address says where one stands, and nothing else", () => {
  same(model.address("#step=7&repair=2"), { step: 7, repair: 2 });
  same(model.address("#step=x"), { step: null, repair: null });
  same(model.address(""), { step: null, repair: null });
});

test("source keeps its text", () => {
  const line = `    let s = "a // b"; // the 2nd for`;
  const parts = model.rust(line);
  assert.equal(parts.map((part) => part.text).join(""), line);
  same(parts.filter((part) => part.kind !== "plain").map((part) => part.kind), ["word", "string", "comment"]);
});
