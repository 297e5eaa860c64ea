// The panes beside the trace: the step, the source, the state, the threads.

/**
 * The source pane: a tab for each file.
 * @param {SourceFile[]} files
 * @param {(file: number) => void} select
 */
function sourcePane(files, select) {
  const known = files.map((file, index) => ({ file, index })).filter(({ file }) => file.parts.length > 0);
  const short = (/** @type {string} */ name) => name.split("/").slice(-2).join("/");
  const tabs = known.map(({ file, index }) =>
    h("button", { type: "button", role: "tab", id: `tab-${index}`, "aria-controls": "source-lines", "aria-selected": "false", tabindex: -1, title: file.name, onclick: () => select(index) }, short(file.name)),
  );
  const list = h("div", { role: "tablist", "aria-label": "Files", class: "tabs" }, ...tabs);
  list.addEventListener("keydown", (event) => {
    const move = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    const at = tabs.findIndex((tab) => tab === document.activeElement);
    if (!move || at < 0) return;
    const next = (at + move + tabs.length) % tabs.length;
    tabs[next].focus();
    select(known[next].index);
    event.preventDefault();
    event.stopPropagation();
  });
  const lines = h("div", { id: "source-lines", role: "tabpanel", tabindex: 0, class: "code", "aria-label": "Source" });
  const path = h("p", { class: "path" });
  return { list, lines, path, known };
}

/**
 * Shows a file with the line of the current step and the lines where the other threads stand.
 * @param {ReturnType<typeof sourcePane>} pane
 * @param {number} shown the index of the file
 * @param {Stop | undefined} stop
 * @param {Place | null} place
 * @param {{ thread: number, name: string, place: Place }[]} others
 * @param {string} label what happens there
 * @param {Map<string, number[]>} steps the numbers of the steps on a line, by file and line
 */
function showSource(pane, shown, stop, place, others, label, steps) {
  for (const tab of pane.list.children) {
    const own = tab.id === `tab-${shown}`;
    tab.setAttribute("aria-selected", String(own));
    tab.setAttribute("tabindex", own ? "0" : "-1");
  }
  const file = pane.known.find(({ index }) => index === shown)?.file;
  pane.lines.setAttribute("aria-labelledby", `tab-${shown}`);
  if (!file) {
    pane.path.textContent = "";
    pane.lines.replaceChildren(h("p", { class: "muted" }, "The source of this step is not known."));
    return;
  }
  const within = place && place[0] === shown ? functionAt(file.parts, place[1]) : null;
  const where = place && place[0] === shown ? `${file.name}:${place[1]}` : file.name;
  pane.path.textContent = within ? `${where} in ${within}` : where;
  /** @type {HTMLElement | null} */
  let current = null;
  const content = file.parts.flatMap(([first, text], part) => {
    const lines = text.split("\n").flatMap((line, at) => {
      const number = first + at;
      const here = place !== null && place[0] === shown && place[1] === number;
      const standing = others.filter((other) => other.place[0] === shown && other.place[1] === number);
      const dots = standing.map((other) =>
        h("span", { class: `dot ${colour(other.thread)}`, title: `${other.name} stands here`, role: "img", "aria-label": `${other.name} stands here` }),
      );
      const element = h(
        "div",
        { class: here ? `line current ${colour(stop?.thread ?? null)}` : "line", "data-line": number },
        h("span", { class: "gutter" }, ...dots),
        h("span", { class: "ln" }, `${number}`),
        h("code", {}, ...coloured(line, here && place ? place[2] : null)),
        ...stepTags(steps.get(`${shown} ${number}`) ?? [], stop?.row?.number ?? null),
      );
      if (!here) return [element];
      current = element;
      element.setAttribute("aria-current", "location");
      return [element, h("div", { class: `note ${colour(stop?.thread ?? null)}` }, label)];
    });
    return part > 0 ? [h("div", { class: "cut" }, "\u22ef"), ...lines] : lines;
  });
  pane.lines.replaceChildren(...content);
  if (current) centre(pane.lines, current);
}

/**
 * Links to the steps on a line of source.
 * @param {number[]} numbers
 * @param {number | null} current
 * @returns {HTMLElement[]}
 */
function stepTags(numbers, current) {
  const most = 8;
  const tags = numbers.slice(0, most).map((number) =>
    h("a", { href: `#step=${number}`, class: number === current ? "tag now" : "tag", title: `step ${number}`, tabindex: -1 }, `${number}`),
  );
  if (numbers.length > most) tags.push(h("a", { class: "tag more" }, "\u2026"));
  return tags.length ? [h("span", { class: "tags", "aria-hidden": "true" }, ...tags)] : [];
}

/** @param {HTMLElement} box @param {HTMLElement} element */
function centre(box, element) {
  box.scrollTop = element.offsetTop - box.clientHeight / 2 + element.offsetHeight;
}

/**
 * A line of source; what stands at the column is underlined.
 * @param {string} line
 * @param {number | null} column from 1
 * @returns {Node[]}
 */
function coloured(line, column) {
  const paint = (/** @type {string} */ text) =>
    rust(text).map((part) => (part.kind === "plain" ? document.createTextNode(part.text) : h("span", { class: `rust-${part.kind}` }, part.text)));
  const characters = [...line];
  const rest = column === null ? "" : characters.slice(column - 1).join("");
  const word = /^[\w!]+/.exec(rest)?.[0];
  if (column === null || !word) return paint(line);
  return [...paint(characters.slice(0, column - 1).join("")), h("u", {}, word), ...paint(rest.slice(word.length))];
}

/**
 * What there is to say of the current step.
 * @param {Shown} shown
 * @returns {{ title: Node[], facts: Node[][], said: string }}
 */
function describe(shown) {
  const { stepping, stops, at } = shown;
  const stop = stops[at];
  const numbers = new Map(stepping.rows.flatMap((row) => (row.number !== null && row.step !== null ? [[row.step, row.number]] : [])));
  const known = new Set(numbers.values());
  const events = new Map(stepping.events.map((event) => [event.step, event]));
  /** @type {string[]} */
  const facts = [];
  if (!stop) return { title: [], facts: [], said: "" };
  const name = stop.thread === null ? "" : stepping.threads[stop.thread].name;
  const step = (/** @type {number} */ event) => {
    const number = numbers.get(event);
    if (number !== undefined) return `step ${number}`;
    const other = events.get(event);
    return other ? `a step of ${stepping.threads[other.thread].name}` : "an earlier step";
  };
  const event = stop.event;
  if (stop.row) facts.push(...stop.row.marks.map((mark) => (mark === "decided" ? "here it was decided: whatever comes next, it fails" : mark)));
  if (event) {
    if (event.reads !== null) {
      const source = event.reads < 0 ? null : events.get(event.reads);
      const whose = source && source.thread !== event.thread ? ` by ${stepping.threads[source.thread].name}` : "";
      const joined = stepping.synchronizes.some(([from, to]) => from === event.reads && to === event.step);
      facts.push(event.reads < 0 ? "reads the initial value" : `reads what was stored in ${step(event.reads)}${whose}${joined ? ", and synchronises with it" : ""}`);
    }
    if (event.missed !== null) facts.push(`does not see ${step(event.missed)}, the newest store`);
    for (const [from, to] of stepping.synchronizes) {
      if (to === event.step && from !== event.reads && numbers.has(from)) facts.push(`synchronises with ${step(from)}`);
      if (from === event.step && numbers.has(to)) facts.push(`${step(to)} synchronises with it`);
    }
    if (event.order) facts.push(`memory ordering ${event.order}`);
    if (event.after && stop.row) {
      const earlier = stepping.rows.flatMap((row) => (row.step !== null && row.number !== null && row.step < event.step ? [row] : []));
      const loose = earlier.filter((row) => !(event.after ?? []).includes(/** @type {number} */ (row.step)));
      const list = loose.map((row) => /** @type {number} */ (row.number));
      if (list.length) facts.push(`nothing orders it after ${list.length > 1 ? "steps" : "step"} ${ranges(list)}`);
      else if (earlier.length) facts.push("everything above happens before it");
    }
  }
  if (stop.row?.kind === "wait") {
    const wait = waiting(stepping, now(stops, at)).find((wait) => wait.thread === stop.thread);
    if (wait && wait.until === null) facts.push("it waits for ever");
    else if (wait && wait.until !== null) facts.push(`it goes on with ${step(wait.until)}`);
  }
  const number = stop.row?.number ?? null;
  const label = number === null ? name : `Step ${number} \u00b7 ${name}`;
  const title = [h("span", { class: `who ${colour(stop.thread)}` }, h("span", { class: "dot", "aria-hidden": "true" }), label), h("span", { class: "what" }, stop.text)];
  return { title, facts: facts.map((fact) => prose(fact, known)), said: [number === null ? name : `Step ${number}, ${name}`, stop.text, ...facts].join(". ") };
}

/**
 * The state before and after the current step.
 * @param {Shown} shown
 * @returns {HTMLElement}
 */
function stateTable(shown) {
  const { stepping, stops, at } = shown;
  const event = stops[at]?.event ?? null;
  const after = now(stops, at);
  // A row without an event changes nothing.
  const index = stepping.events.findIndex((other) => other.step === after);
  const before = event ? (index > 0 ? stepping.events[index - 1].step : -1) : after;
  const [was, is] = [values(stepping, before), values(stepping, after)];
  const rows = stepping.objects
    .map((object, id) => ({ object, id }))
    .sort((one, two) => Number(two.object.story) - Number(one.object.story))
    .filter(({ object, id }, place) => place < 14 || object.story || was[id] !== is[id])
    .map(({ object, id }) => {
      const changed = was[id] !== is[id];
      const value = (/** @type {string} */ text) => (object.lock && text !== "free" ? `held by ${text}` : text);
      return h(
        "tr",
        { class: changed ? "changed" : "" },
        h("th", { scope: "row" }, h("code", {}, object.name), h("span", { class: "kind" }, ` ${object.kind}`)),
        h("td", {}, value(was[id])),
        h("td", {}, changed ? h("strong", {}, value(is[id])) : value(is[id])),
      );
    });
  if (!rows.length) return h("p", { class: "muted" }, "The execution has no object with a value.");
  const head = h("tr", {}, h("th", { scope: "col" }, "object"), h("th", { scope: "col" }, "before"), h("th", { scope: "col" }, "after"));
  return h("table", { class: "state" }, h("caption", { class: "sr" }, "Values before and after this step"), h("thead", {}, head), h("tbody", {}, ...rows));
}

/**
 * What each thread is about.
 * @param {Shown} shown
 * @returns {HTMLElement}
 */
function threadList(shown) {
  const { stepping, stops, at } = shown;
  const step = now(stops, at);
  const current = stops[at]?.thread ?? null;
  const waits = waiting(stepping, step);
  const last = (/** @type {number} */ thread) => stepping.events.filter((event) => event.thread === thread && event.step <= step).pop();
  const items = stepping.threads.flatMap((thread, id) => {
    if (!thread.column) return [];
    const wait = waits.find((wait) => wait.thread === id);
    const done = last(id);
    const ends = stepping.rows.some((row, index) => row.kind === "end" && row.thread === id && stops.findIndex((stop) => stop.row === stepping.rows[index]) <= at);
    let text = "is ready";
    if (wait) {
      const holder = wait.holder === null ? "" : wait.holder === id ? ", which it holds itself" : `, held by ${stepping.threads[wait.holder].name}`;
      text = `waits: ${wait.text}${wait.object === null ? "" : holder}`;
    } else if (ends) text = "has ended";
    else if (id === current) text = "runs";
    else if (!done) text = "has not begun";
    else if (done.text === "finish" || done.text.startsWith("finish")) text = "has finished";
    return [h("li", { class: wait ? "waits" : "" }, h("span", { class: `dot ${colour(id)}`, "aria-hidden": "true" }), h("strong", {}, thread.name), ` ${text}`)];
  });
  return h("ul", { class: "threads" }, ...items);
}

/**
 * The chance to fail after each step, as a drawing.
 * @param {Decision} decision
 * @param {number} last the number of the last step
 * @returns {SVGElement}
 */
function curve(decision, last) {
  const [width, height, left, bottom] = [360, 104, 36, 20];
  const end = Math.max(last, ...decision.curve.map(([step]) => step));
  const x = (/** @type {number} */ step) => left + (step / Math.max(1, end)) * (width - left - 10);
  const y = (/** @type {number} */ share) => 10 + (1 - share) * (height - bottom - 10);
  const points = [...decision.curve];
  const known = points[points.length - 1];
  if (known[0] < end) points.push([end, known[1]]);
  const line = points.map(([step, share], i) => `${i ? "L" : "M"}${x(step).toFixed(1)} ${y(share).toFixed(1)}`).join(" ");
  const text = decision.curve.map(([step, share]) => `${Math.round(share * 100)} % after ${step} steps`).join(", ");
  const label = (/** @type {number} */ px, /** @type {number} */ py, /** @type {string} */ content, /** @type {string} */ anchor) =>
    svg("text", { x: px, y: py, "text-anchor": anchor, class: "axis" }, content);
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, class: "curve", role: "img", "aria-label": `Schedules that fail among those that begin as this one: ${text}` },
    svg("line", { x1: left, y1: y(0), x2: width - 10, y2: y(0), class: "grid" }),
    svg("line", { x1: left, y1: y(1), x2: width - 10, y2: y(1), class: "grid" }),
    label(left - 5, y(1) + 4, "100 %", "end"),
    label(left - 5, y(0) + 4, "0 %", "end"),
    svg("path", { d: `${line} L${x(end)} ${y(0)} L${x(0)} ${y(0)} z`, class: "area" }),
    svg("path", { d: line, class: "share" }),
    ...decision.curve.map(([step, share]) => svg("circle", { cx: x(step), cy: y(share), r: 3, class: "point" })),
    ...decision.curve.flatMap(([step], i) => {
      const next = decision.curve[i + 1];
      // Of two that would touch, the later one is the one that decides.
      return next && x(next[0]) - x(step) < 16 ? [] : [label(x(step), height - 5, `${step}`, "middle")];
    }),
  );
}
