// The page: what is put where, and what happens when a key is pressed.

/** @type {Data} */
const data = JSON.parse(document.getElementById("data")?.textContent ?? "{}");
const stepping = data.stepping;
const known = new Set(stepping ? stepping.rows.flatMap((row) => row.number ?? []) : []);

/** @type {Map<string, number[]>} the numbers of the steps on each line, by file and line */
const stepsByLine = new Map();
for (const row of stepping?.rows ?? []) {
  if (row.place === null || row.number === null) continue;
  const key = `${row.place[0]} ${row.place[1]}`;
  stepsByLine.set(key, [...(stepsByLine.get(key) ?? []), row.number]);
}

/** What is shown. */
const view = {
  /** @type {Stop[]} */
  stops: [],
  at: 0,
  /** @type {Set<Row>} */
  opened: new Set(),
  every: false,
  edges: false,
  passing: false,
  repair: data.repairs.find((repair) => !repair.behind)?.number ?? 1,
  file: -1,
  /** @type {{ place: Place, label: string } | null} a place that was asked for, of no step */
  pinned: null,
};

const page = /** @type {HTMLElement} */ (document.getElementById("page"));
const source = sourcePane(data.files, (file) => {
  view.file = file;
  update();
});
const tableBox = h("div", { class: "trace-box", id: "trace", tabindex: -1 });
const canvas = svg("svg", { class: "arrows", "aria-hidden": "true" });
const stepTitle = h("div", { class: "step-title" });
const stepFacts = h("ul", { class: "facts" });
const stateBox = h("div", {});
const threadBox = h("div", {});
const said = h("p", { class: "sr", role: "status", "aria-live": "polite" });
const counter = h("span", { class: "counter", "aria-hidden": "true" });
const slider = h("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "Step", oninput: () => go(Number(slider.value)) });
const repairBox = h("div", {});

/** @returns {Shown} */
function shown() {
  return {
    stepping: /** @type {Stepping} */ (stepping),
    stops: view.stops,
    at: view.at,
    opened: view.opened,
    every: view.every,
    edges: view.edges,
    passing: view.passing,
    repair: data.repairs.find((repair) => repair.number === view.repair) ?? null,
    go,
    open: (row) => {
      if (view.opened.has(row)) view.opened.delete(row);
      else view.opened.add(row);
      rebuild();
    },
  };
}

/** Builds the table anew; one stays where one stood. */
function rebuild() {
  if (!stepping) return;
  const before = view.stops[view.at];
  view.stops = stops(stepping, (row) => isOpen(row, view.every, view.opened));
  const same = (/** @type {Stop} */ stop) => before && (before.row ? stop.row === before.row : stop.event === before.event);
  const at = view.stops.findIndex(same);
  view.at = at >= 0 ? at : Math.min(view.at, view.stops.length - 1);
  slider.max = String(view.stops.length - 1);
  tableBox.style.setProperty("--columns", String(stepping.threads.filter((thread) => thread.column).length));
  tableBox.replaceChildren(traceTable(shown()), canvas);
  update();
}

/** Goes to a stop. @param {number} at */
function go(at) {
  if (!stepping || view.stops.length === 0) return;
  if (view.passing) setPassing(false);
  view.at = Math.max(0, Math.min(at, view.stops.length - 1));
  view.pinned = null;
  view.file = -1;
  update();
  writeAddress();
  drawn.rows.get(view.at)?.scrollIntoView({ block: "nearest" });
}

function writeAddress() {
  const number = view.stops[view.at]?.row?.number;
  const fields = [];
  if (number !== null && number !== undefined) fields.push(`step=${number}`);
  if (data.repairs.length > 0) fields.push(`repair=${view.repair}`);
  history.replaceState(null, "", `#${fields.join("&")}`);
}

/** Shows what belongs to the current stop. */
function update() {
  if (stepping) {
    const now_ = shown();
    markRows(now_);
    const table = tableBox.querySelector("table");
    if (table) drawArrows(canvas, table, now_);
    const { title, facts, said: text } = describe(now_);
    stepTitle.replaceChildren(...title);
    stepFacts.replaceChildren(...facts.map((fact) => h("li", {}, ...fact)));
    said.textContent = text;
    stateBox.replaceChildren(stateTable(now_));
    threadBox.replaceChildren(threadList(now_));
    slider.value = String(view.at);
    const number = view.stops[view.at]?.row?.number;
    slider.setAttribute("aria-valuetext", number ? `step ${number}` : text);
    counter.textContent = number ? `step ${number} of ${Math.max(...known)}` : `${view.at + 1} of ${view.stops.length}`;
  }
  updateSource();
}

function updateSource() {
  const stop = view.pinned ? undefined : view.stops[view.at];
  let place = view.pinned?.place ?? stop?.place ?? null;
  // A place whose source is not embedded leads nowhere.
  const has = (/** @type {Place | null} */ place) => place !== null && source.known.some(({ index }) => index === place[0]);
  const others = stepping && !view.pinned ? standing() : [];
  const first = source.known[0]?.index ?? -1;
  const file = view.file >= 0 ? view.file : has(place) && place ? place[0] : first;
  if (!has(place)) place = null;
  const number = stop?.row?.number;
  const label = view.pinned ? view.pinned.label : stop ? `${number ? `${number} ` : ""}${stop.thread === null || !stepping ? "" : `${stepping.threads[stop.thread].name}: `}${stop.text}` : "";
  showSource(source, file, stop, place, others, label, stepsByLine);
}

/** Where the other threads stand. */
function standing() {
  /** @type {Map<number, Place>} */
  const places = new Map();
  view.stops.slice(0, view.at + 1).forEach((stop) => {
    if (stop.thread !== null && stop.place) places.set(stop.thread, stop.place);
  });
  const current = view.stops[view.at]?.thread ?? null;
  return [...places].flatMap(([thread, place]) => (thread === current || !stepping ? [] : [{ thread, name: stepping.threads[thread].name, place }]));
}

/** @param {boolean} passing */
function setPassing(passing) {
  view.passing = passing;
  const input = /** @type {HTMLInputElement | null} */ (document.getElementById("passing"));
  if (input) {
    input.value = passing ? "1" : "0";
    input.setAttribute("aria-valuetext", passing ? "passing" : "failing");
  }
  document.body.classList.toggle("is-passing", passing);
  rebuild();
}

/** @param {number} number */
function choose(number) {
  const focused = document.activeElement?.id;
  view.repair = number;
  repairBox.replaceChildren(repairsSection(data.repairs, view.repair, choose, known));
  if (focused) document.getElementById(focused)?.focus();
  rebuild();
  writeAddress();
}

/** Goes to the next or previous row with a mark. @param {number} direction */
function goMarked(direction) {
  for (let at = view.at + direction; at >= 0 && at < view.stops.length; at += direction) {
    if ((view.stops[at].row?.marks.length ?? 0) > 0) return go(at);
  }
  go(direction > 0 ? view.stops.length - 1 : 0);
}

const themes = ["auto", "light", "dark"];
/** @param {string} theme */
function setTheme(theme) {
  if (theme === "auto") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.setAttribute("data-theme", theme);
  themeButton.textContent = theme;
  themeButton.setAttribute("aria-label", `Colours: ${theme}`);
}
const themeButton = h("button", { type: "button", class: "small", onclick: () => setTheme(themes[(themes.indexOf(themeButton.textContent ?? "auto") + 1) % themes.length]) }, "auto");

/** A button that is on or off. @param {string} text @param {string} key @param {() => boolean} flip */
function toggle(text, key, flip) {
  const button = h("button", { type: "button", class: "small", "aria-pressed": "false", title: `key: ${key}` }, text);
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(flip()));
    rebuild();
  });
  return button;
}
const everyButton = toggle("every step", "a", () => (view.every = !view.every));
const edgesButton = toggle("whole graph", "g", () => (view.edges = !view.edges));

const help = h(
  "dialog",
  { class: "help", "aria-labelledby": "help-title" },
  h("h2", { id: "help-title" }, "Keys"),
  h(
    "dl",
    {},
    ...[
      ["\u2193 \u2192 j", "next step"],
      ["\u2191 \u2190 k", "previous step"],
      ["n p", "next or previous remark"],
      ["Home End", "first and last step"],
      ["g", "the whole execution graph"],
      ["a", "every step, also what is left out or folded"],
      ["s", "the nearest schedule that passes"],
      ["t", "colours: as the system, light, dark"],
      ["?", "this list"],
    ].flatMap(([keys, what]) => [h("dt", {}, ...keys.split(" ").map((key) => h("kbd", {}, key))), h("dd", {}, what)]),
  ),
  h("form", { method: "dialog" }, h("button", { class: "small" }, "close")),
);

/** @type {Record<string, () => void>} */
const keys = {
  ArrowDown: () => go(view.at + 1),
  ArrowRight: () => go(view.at + 1),
  j: () => go(view.at + 1),
  ArrowUp: () => go(view.at - 1),
  ArrowLeft: () => go(view.at - 1),
  k: () => go(view.at - 1),
  n: () => goMarked(1),
  p: () => goMarked(-1),
  Home: () => go(0),
  End: () => go(view.stops.length - 1),
  g: () => edgesButton.click(),
  a: () => everyButton.click(),
  s: () => document.getElementById("passing") && setPassing(!view.passing),
  t: () => themeButton.click(),
  "?": () => help.showModal(),
};

document.addEventListener("keydown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  const own = target.closest("input, textarea, select, [role=tablist], dialog");
  // What scrolls keeps its arrow keys.
  const scrolls = event.key.startsWith("Arrow") && target.closest(".code, pre");
  if (event.ctrlKey || event.metaKey || event.altKey || own || scrolls) return;
  const action = keys[event.key];
  if (!action || (!stepping && event.key !== "t" && event.key !== "?")) return;
  const inTable = target.closest(".trace");
  action();
  event.preventDefault();
  if (inTable) drawn.rows.get(view.at)?.querySelector("button")?.focus();
});

function readAddress() {
  const { step, repair } = address(location.hash);
  if (repair !== null && data.repairs.some((one) => one.number === repair) && repair !== view.repair) choose(repair);
  if (step === null) return;
  const at = view.stops.findIndex((stop) => stop.row?.number === step);
  if (at >= 0) go(at);
}
window.addEventListener("hashchange", readAddress);
window.addEventListener("resize", () => update());

/** @returns {HTMLElement} */
function header() {
  const { word, tone, headline, run, paragraphs } = data.verdict;
  const program = headline.startsWith(`${data.program}:`) ? "" : data.program;
  return h(
    "header",
    { class: "top" },
    h("div", { class: "tools" }, h("span", { class: "brand" }, "racefuzz"), themeButton, h("button", { type: "button", class: "small", "aria-label": "Keys", onclick: () => help.showModal() }, "?")),
    h("h1", {}, h("span", { class: `badge ${tone}` }, word), " ", ...prose(headline, known)),
    h("p", { class: "run" }, [program, run].filter(Boolean).join(" \u00b7 ")),
    ...paragraphs.map((text) => h("p", { class: "story" }, ...prose(text, known))),
  );
}

/** @returns {HTMLElement} */
function debuggerSection() {
  const button = (/** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ onclick) => h("button", { type: "button", "aria-label": label, title: label, onclick }, text);
  const controls = h(
    "div",
    { class: "controls", role: "group", "aria-label": "Stepping" },
    button("\u21e4", "First step", () => go(0)),
    button("\u2190", "Previous step", () => go(view.at - 1)),
    slider,
    button("\u2192", "Next step", () => go(view.at + 1)),
    button("\u21e5", "Last step", () => go(view.stops.length - 1)),
    counter,
    edgesButton,
    everyButton,
  );
  const there = new Set(stepping ? arrows(stepping).map((arrow) => /** @type {string} */ (arrow.kind)) : []);
  if (stepping?.rows.some((row) => row.kind === "wait")) there.add("waits");
  const legend = h(
    "p",
    { class: "legend" },
    ...[
      ["reads", "reads from"],
      ["missed", "newer store, not seen"],
      ["before", "synchronises with"],
      ["order", "overwrites"],
      ["waits", "waits for"],
    ].flatMap(([kind, text]) => (there.has(kind) ? [h("span", { class: `key ${kind}` }, text)] : [])),
    h("span", { class: "key bar" }, "happens before the current step"),
  );
  return h(
    "section",
    { class: "debugger", "aria-labelledby": "trace-title" },
    h("h2", { id: "trace-title", class: "sr" }, "The execution, step by step"),
    h("div", { class: "left" }, controls, h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Trace" }, tableBox), legend),
    h(
      "div",
      { class: "right" },
      h("section", { class: "pane", "aria-labelledby": "step-pane" }, h("h3", { id: "step-pane", class: "sr" }, "This step"), stepTitle, stepFacts),
      sourceSection(),
      h("section", { class: "pane", "aria-labelledby": "state-pane" }, h("h3", { id: "state-pane" }, "State"), stateBox, threadBox),
    ),
  );
}

/** @returns {HTMLElement} */
function sourceSection() {
  return h("section", { class: "pane source", "aria-labelledby": "source-pane" }, h("h3", { id: "source-pane", class: "sr" }, "Source"), source.list, source.path, source.lines);
}

/** @returns {HTMLElement | null} */
function decisionSection() {
  const decision = stepping?.decision;
  if (!stepping || !decision) return null;
  const last = Math.max(...known);
  const input = h("input", { type: "range", id: "passing", min: 0, max: 1, step: 1, value: 0, "aria-label": "Schedule", "aria-valuetext": "failing", oninput: () => setPassing(input.value === "1") });
  const swap = passing(stepping) ? h("p", { class: "swap" }, h("span", {}, "failing"), input, h("span", {}, "nearest that passes")) : null;
  return h(
    "section",
    { class: "decision panel", "aria-labelledby": "decision-title" },
    h("h2", { id: "decision-title" }, "Where it was decided"),
    h("div", { class: "two" }, h("div", {}, h("p", {}, ...prose(decision.sentence ?? "", known)), swap), h("figure", {}, curve(decision, last), h("figcaption", {}, "schedules that fail, of those that begin with so many steps of this one"))),
  );
}

/** @returns {HTMLElement | null} */
function commandSection() {
  const lines = data.commands.map(({ label, line }) => h("div", { class: "command" }, h("dt", {}, label), h("dd", {}, h("code", {}, line), copyButton(line, line))));
  if (data.token) lines.unshift(h("div", { class: "command" }, h("dt", {}, "token"), h("dd", {}, h("code", {}, data.token), copyButton(data.token, "the token"))));
  if (!lines.length && !data.remarks.length) return null;
  return h(
    "section",
    { class: "commands panel", "aria-labelledby": "commands-title" },
    h("h2", { id: "commands-title" }, lines.length ? "What next" : "About this run"),
    lines.length ? h("dl", {}, ...lines) : null,
    ...data.remarks.map((remark) => h("p", { class: "muted" }, ...prose(remark, known))),
  );
}

/** Shows a place that is of no step. @param {Place} place @param {string} label */
function pin(place, label) {
  view.pinned = { place, label };
  view.file = -1;
  updateSource();
  source.lines.closest("section")?.scrollIntoView({ block: "nearest" });
}

const main = h("main", { id: "content", tabindex: -1 });
if (data.repairs.length > 0) {
  repairBox.append(repairsSection(data.repairs, view.repair, choose, known));
  main.append(repairBox);
}
const audited = data.audit ? auditSection(data.audit.pieces, pin) : null;
if (stepping) {
  if (audited) main.append(audited);
  main.append(debuggerSection());
} else if (audited) {
  main.append(h("div", { class: "debugger" }, h("div", { class: "left" }, audited), h("div", { class: "right" }, sourceSection())));
}
main.append(...[decisionSection(), commandSection()].filter((section) => section !== null));
page.append(header(), main, said, help);
if (stepping) {
  rebuild();
  // The last remark is where the story ends.
  const marked = view.stops.map((stop, at) => (stop.row && stop.row.marks.some((mark) => mark !== "decided") ? at : -1));
  view.at = Math.max(...marked) >= 0 ? Math.max(...marked) : view.stops.length - 1;
  update();
} else {
  updateSource();
}
readAddress();
