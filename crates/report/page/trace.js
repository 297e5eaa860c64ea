// The trace: a column for each thread, a row for each step, arrows for the step where one stands.

/**
 * What is drawn now.
 * @typedef {object} Shown
 * @property {Stepping} stepping
 * @property {Stop[]} stops
 * @property {number} at
 * @property {Set<Row>} opened rows that show what is hidden behind them
 * @property {boolean} every whether everything hidden is shown
 * @property {boolean} edges whether all edges are drawn
 * @property {boolean} passing whether the schedule that passes is shown
 * @property {Repair | null} repair
 * @property {(at: number) => void} go
 * @property {(row: Row) => void} open
 */

/** The elements that stand for steps: by place among the stops, and by event. */
const drawn = {
  /** @type {Map<number, HTMLTableRowElement>} */
  rows: new Map(),
  /** @type {Map<number, HTMLElement>} */
  cells: new Map(),
  /** @type {Map<number, HTMLElement>} */
  stops: new Map(),
};

/** @param {Row} row @param {boolean} every @param {Set<Row>} opened */
function isOpen(row, every, opened) {
  return row.hidden.length > 0 && (every || opened.has(row));
}

/**
 * The table, new.
 * @param {Shown} shown
 * @returns {HTMLElement}
 */
function traceTable(shown) {
  const { stepping } = shown;
  drawn.rows.clear();
  drawn.cells.clear();
  drawn.stops.clear();
  const columns = stepping.threads.map((thread, id) => ({ ...thread, id })).filter((thread) => thread.column);
  const objects = stepping.objects.map((object, id) => ({ ...object, id })).filter((object) => object.story);
  const numbers = new Set(stepping.rows.flatMap((row) => row.number ?? []));
  const head = h(
    "tr",
    {},
    h("th", { scope: "col", class: "number" }, "step"),
    ...columns.map((thread) =>
      h("th", { scope: "col", class: `thread ${colour(thread.id)}` }, h("span", { class: "dot", "aria-hidden": "true" }), thread.name),
    ),
    ...objects.map((object) => h("th", { scope: "col", class: "value" }, h("code", {}, object.name))),
  );
  const body = h("tbody", {});
  const span = columns.length;

  /** @param {number | null} thread @param {(Node | string)[]} content @param {string} kind */
  const cells = (thread, content, kind) => {
    if (!columns.some((column) => column.id === thread)) {
      return [h("td", { colspan: span, class: `cell wide ${kind}` }, ...content)];
    }
    return columns.map((column) =>
      column.id === thread
        ? h("td", { class: `cell ${kind} ${colour(thread)}`, "data-thread": column.name }, ...content)
        : h("td", { class: "empty" }),
    );
  };
  /** @param {number | null} step @param {number} before */
  const state = (step, before) => {
    if (step === null) return objects.map(() => h("td", { class: "value empty" }));
    const [after, was] = [values(stepping, step), values(stepping, before)];
    return objects.map((object) => {
      const changed = after[object.id] !== was[object.id];
      return h("td", { class: changed ? "value changed" : "value", "data-object": object.name }, after[object.id]);
    });
  };

  if (shown.passing) {
    passingRows(shown, body, cells, span + objects.length);
  } else {
    let before = -1;
    let stop = 0;
    /** @param {Stop} at @param {Node[]} marks @param {string} kind */
    const add = (at, marks, kind) => {
      const index = stop;
      stop += 1;
      const own = at.row?.number ?? null;
      const label = own === null ? "\u00b7" : `${own}`;
      const who = at.thread === null ? "" : stepping.threads[at.thread].name;
      const name = own === null ? `${who}: ${at.text}` : `Step ${own}, ${who}: ${at.text}`;
      const act = h("span", { class: "act" }, at.text);
      const step = at.event ? at.event.step : null;
      const prefix = columns.some((column) => column.id === at.thread) || !who ? [] : [`${who}: `];
      const row = h(
        "tr",
        { class: kind, onclick: () => shown.go(index) },
        h("th", { scope: "row", class: "number" }, h("button", { type: "button", tabindex: -1, "aria-label": name }, label)),
        ...cells(at.thread, [...prefix, act, ...marks], kind),
        ...state(step, before),
      );
      if (step !== null) {
        before = step;
        drawn.cells.set(step, act);
      }
      drawn.rows.set(index, row);
      drawn.stops.set(index, act);
      body.append(row);
    };
    const events = new Map(stepping.events.map((event) => [event.step, event]));
    for (const row of stepping.rows) {
      const open = isOpen(row, shown.every, shown.opened);
      if (row.kind === "step" || row.kind === "wait" || row.kind === "end") {
        const event = row.step === null ? null : events.get(row.step) ?? null;
        const marks = row.marks.map((mark) =>
          h("span", { class: mark === "decided" ? "mark decided" : "mark" }, ...prose(mark, numbers)),
        );
        const waits = shown.repair?.waits;
        if (waits && row.step === waits[0]) {
          const until = stepping.rows.find((other) => other.step === waits[1])?.number;
          marks.push(h("span", { class: "mark held" }, ...prose(`with the repair: waits here until step ${until} is done`, numbers)));
        }
        add({ row, event, thread: row.thread, place: row.place, text: row.text }, marks, row.kind);
      } else {
        const count = row.hidden.length + row.more;
        const content = row.hidden.length
          ? h("button", { type: "button", class: "fold", "aria-expanded": open, onclick: () => shown.open(row) }, row.text)
          : row.text;
        const title = count ? `${count} steps` : "";
        body.append(
          h("tr", { class: row.kind, title }, h("th", { class: "number", scope: "row" }, h("span", { class: "sr" }, row.kind)), ...cells(row.thread, [content], row.kind), ...state(null, -1)),
        );
      }
      if (open) {
        for (const step of row.hidden) {
          const event = events.get(step);
          if (event) add({ row: null, event, thread: event.thread, place: event.place, text: event.text }, [], event.quiet ? "hidden-step quiet" : "hidden-step");
        }
        if (row.more) {
          body.append(h("tr", { class: "gap" }, h("th", { class: "number", scope: "row" }, h("span", { class: "sr" }, "gap")), h("td", { colspan: span + objects.length, class: "cell wide" }, `and ${row.more} more steps`)));
        }
      }
    }
  }
  const caption = shown.passing ? "The nearest schedule that passes" : "The steps of each thread, in the order of execution";
  return h("table", { class: "trace" }, h("caption", { class: "sr" }, caption), h("thead", {}, head), body);
}

/**
 * The rows of the schedule that passes.
 * @param {Shown} shown
 * @param {HTMLElement} body
 * @param {(thread: number | null, content: (Node | string)[], kind: string) => HTMLElement[]} cells
 * @param {number} width
 */
function passingRows(shown, body, cells, width) {
  for (const { row, moved, newest } of passing(shown.stepping) ?? []) {
    const marks = [];
    if (moved) marks.push(h("span", { class: "mark good" }, "comes earlier here"));
    if (newest) marks.push(h("span", { class: "mark good" }, "reads the newest value here"));
    const text = newest ? row.text.replace(/\u279c.*/, "\u279c the newest value") : row.text;
    body.append(
      h("tr", { class: moved || newest ? "step moved" : "step" }, h("th", { scope: "row", class: "number" }, `${row.number}`), ...cells(row.thread, [h("span", { class: "act" }, text), ...marks], "step"), ...Array.from({ length: width - shown.stepping.threads.filter((thread) => thread.column).length }, () => h("td", { class: "value empty" }))),
    );
  }
  body.append(h("tr", { class: "passes" }, h("th", { scope: "row", class: "number" }, h("span", { class: "sr" }, "end")), h("td", { colspan: width, class: "cell wide" }, "from here on this execution was run to its end, and it passes")));
}

/**
 * Marks where one stands, what has happened and what has not.
 * @param {Shown} shown
 */
function markRows(shown) {
  const events = new Map(shown.stepping.events.map((event) => [event.step, event]));
  const current = now(shown.stops, shown.at);
  for (const [index, row] of drawn.rows) {
    const step = shown.stops[index]?.event?.step ?? null;
    const how = step === null || step === current ? "unknown" : relation(events, step, current);
    row.classList.toggle("current", index === shown.at);
    row.classList.toggle("future", index > shown.at);
    row.classList.toggle("ordered", how === "before");
    row.classList.toggle("unordered", how === "unordered" && index < shown.at);
    if (index === shown.at) row.setAttribute("aria-current", "step");
    else row.removeAttribute("aria-current");
    const button = row.querySelector("th button");
    if (button) button.setAttribute("tabindex", index === shown.at ? "0" : "-1");
  }
}

/**
 * The arrow from a thread that waits to the step in which what it waits for was taken.
 * @param {Shown} shown
 * @returns {{ from: HTMLElement, to: HTMLElement, kind: string }[]}
 */
function waitArrows(shown) {
  const stop = shown.stops[shown.at];
  if (!stop || stop.row?.kind !== "wait") return [];
  const step = now(shown.stops, shown.at);
  const wait = waiting(shown.stepping, step).find((wait) => wait.thread === stop.thread && wait.holder !== null);
  const own = drawn.stops.get(shown.at);
  if (!wait || !own) return [];
  const taken = shown.stepping.events.filter(
    (event) => event.step <= step && event.thread === wait.holder && event.sets.some(([object]) => object === wait.object),
  );
  const last = taken[taken.length - 1];
  const to = last && drawn.cells.get(last.step);
  return to ? [{ from: own, to, kind: "waits" }] : [];
}

/**
 * Draws the arrows over the table.
 * @param {SVGElement} canvas
 * @param {HTMLElement} table
 * @param {Shown} shown
 */
function drawArrows(canvas, table, shown) {
  canvas.replaceChildren();
  if (shown.passing) return;
  const [width, height] = [table.offsetWidth, table.offsetHeight];
  canvas.setAttribute("width", String(width));
  canvas.setAttribute("height", String(height));
  const current = now(shown.stops, shown.at);
  const list = shown.edges ? arrows(shown.stepping) : arrowsAt(shown.stepping, current);
  const ends = list.flatMap((arrow) => {
    const [from, to] = [drawn.cells.get(arrow.from), drawn.cells.get(arrow.to)];
    return from && to && from !== to ? [{ from, to, kind: /** @type {string} */ (arrow.kind) }] : [];
  });
  ends.push(...waitArrows(shown));
  const markers = svg("defs", {});
  for (const kind of new Set(ends.map((end) => end.kind))) {
    markers.append(
      svg("marker", { id: `head-${kind}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" }, svg("path", { d: "M0 0 L8 4 L0 8 z", class: `head ${kind}` })),
    );
  }
  canvas.append(markers);
  const origin = table.getBoundingClientRect();
  ends.forEach(({ from, to, kind }, index) => {
    const [one, two] = [from.getBoundingClientRect(), to.getBoundingClientRect()];
    const y1 = one.top - origin.top + one.height / 2;
    const y2 = two.top - origin.top + two.height / 2;
    let path;
    if (Math.abs(one.left - two.left) < 4) {
      // In one column: around its steps, further out for each arrow.
      const x1 = one.right - origin.left + 4;
      const x2 = two.right - origin.left + 4;
      const out = Math.min(Math.max(x1, x2) + 18 + (index % 4) * 9, width - 6);
      path = `M${x1} ${y1} C${out} ${y1} ${out} ${y2} ${x2} ${y2}`;
    } else {
      const right = two.left > one.left;
      const x1 = (right ? one.right : one.left) - origin.left + (right ? 4 : -5);
      const x2 = (right ? two.left : two.right) - origin.left + (right ? -5 : 4);
      const bend = Math.max(20, Math.abs(x2 - x1) / 2) * (right ? 1 : -1);
      path = `M${x1} ${y1} C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
    }
    canvas.append(svg("path", { d: path, class: `arrow ${kind}`, "marker-end": `url(#head-${kind})` }));
  });
}
