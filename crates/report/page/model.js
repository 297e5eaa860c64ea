// What the page shows, and what follows from it: no element of the page is touched here.
// The types say what racefuzz embeds (crates/report/src/format/html/data.rs).

/**
 * A place in the source: the index of its file, the line, the column.
 * @typedef {[number, number, number]} Place
 *
 * @typedef {object} Thread
 * @property {string} name
 * @property {boolean} column whether it has a column
 *
 * @typedef {object} SharedObject
 * @property {string} name
 * @property {string} kind
 * @property {boolean} lock
 * @property {boolean} story whether the story is about it
 * @property {string} initial
 *
 * @typedef {object} Event_
 * @property {number} step
 * @property {number} thread
 * @property {string} text
 * @property {string} order
 * @property {Place | null} place
 * @property {[number, string][]} sets objects and what they hold after it
 * @property {number | null} reads the step of the store that it read, -1 for an initial value
 * @property {number | null} missed the store that it missed
 * @property {number[] | null} after the events with rows that happen before it
 * @property {boolean} quiet
 *
 * @typedef {object} Row
 * @property {"step" | "wait" | "switch" | "repeat" | "gap" | "end"} kind
 * @property {number | null} number
 * @property {number | null} step
 * @property {number | null} thread
 * @property {string} text
 * @property {string[]} marks
 * @property {Place | null} place
 * @property {number[]} hidden
 * @property {number} more
 *
 * @typedef {object} Wait
 * @property {number} thread
 * @property {string} text
 * @property {number | null} object
 * @property {number | null} holder
 * @property {number} since
 * @property {number | null} until
 *
 * @typedef {object} Decision
 * @property {string | null} sentence
 * @property {number} step
 * @property {[number, number][]} curve
 * @property {[number, number] | null} swapped
 * @property {number | null} newest
 *
 * @typedef {object} Stepping
 * @property {Thread[]} threads
 * @property {SharedObject[]} objects
 * @property {Event_[]} events
 * @property {Row[]} rows
 * @property {Wait[]} waits
 * @property {[number, number][]} modification
 * @property {[number, number][]} synchronizes
 * @property {Decision | null} decision
 *
 * @typedef {object} SourceFile
 * @property {string} name
 * @property {[number, string][]} parts
 *
 * @typedef {object} Repair
 * @property {number} number
 * @property {string} kind
 * @property {string} title
 * @property {string} sure
 * @property {boolean} verified
 * @property {string | null} behind
 * @property {string[]} facts
 * @property {number | null} kept
 * @property {[number, number] | null} parallelism
 * @property {[number, number] | null} waits
 * @property {{ file: string, lines: [number | null, string, string][] }[]} files
 *
 * @typedef {object} Piece
 * @property {string} word
 * @property {string} tone
 * @property {string} text
 * @property {Place | null} place
 * @property {[string, Place][]} schedule
 *
 * @typedef {object} Data
 * @property {string} version
 * @property {string} program
 * @property {{ word: string, tone: string, headline: string, run: string, paragraphs: string[] }} verdict
 * @property {string[]} remarks
 * @property {string | null} token
 * @property {{ label: string, line: string }[]} commands
 * @property {SourceFile[]} files
 * @property {Stepping | null} stepping
 * @property {Repair[]} repairs
 * @property {{ pieces: Piece[] } | null} audit
 *
 * Where one stands: a row, or an event that has no row.
 * @typedef {{ row: Row | null, event: Event_ | null, thread: number | null, place: Place | null, text: string }} Stop
 *
 * An arrow between two steps.
 * @typedef {{ from: number, to: number, kind: "reads" | "missed" | "before" | "order" | "waits" }} Arrow
 */

/**
 * The places that one can step to, in order. Rows of a fold or a gap open to the events behind them.
 * @param {Stepping} stepping
 * @param {(row: Row) => boolean} opened whether what is hidden behind a row is shown
 * @returns {Stop[]}
 */
function stops(stepping, opened) {
  const events = new Map(stepping.events.map((event) => [event.step, event]));
  /** @type {Stop[]} */
  const all = [];
  for (const row of stepping.rows) {
    const event = row.step === null ? null : events.get(row.step) ?? null;
    if (row.kind === "step" || row.kind === "wait" || row.kind === "end") {
      all.push({ row, event, thread: row.thread, place: row.place, text: row.text });
    }
    if (!opened(row)) continue;
    for (const step of row.hidden) {
      const event = events.get(step);
      if (event) all.push({ row: null, event, thread: event.thread, place: event.place, text: event.text });
    }
  }
  return all;
}

/**
 * The last event that has happened at a stop; -1 if none has.
 * @param {Stop[]} all
 * @param {number} at
 * @returns {number}
 */
function now(all, at) {
  for (let i = Math.min(at, all.length - 1); i >= 0; i -= 1) {
    const event = all[i].event;
    if (event) return event.step;
  }
  return -1;
}

/**
 * What each object holds once all events up to a step have happened.
 * @param {Stepping} stepping
 * @param {number} step
 * @returns {string[]}
 */
function values(stepping, step) {
  const held = stepping.objects.map((object) => object.initial);
  for (const event of stepping.events) {
    if (event.step > step) break;
    for (const [object, value] of event.sets) held[object] = value;
  }
  return held;
}

/**
 * Who waits once all events up to a step have happened.
 * @param {Stepping} stepping
 * @param {number} step
 * @returns {Wait[]}
 */
function waiting(stepping, step) {
  return stepping.waits.filter((wait) => wait.since <= step + 1 && (wait.until === null || wait.until > step));
}

/**
 * The arrows from and to a step.
 * @param {Stepping} stepping
 * @param {number} step
 * @returns {Arrow[]}
 */
function arrowsAt(stepping, step) {
  return arrows(stepping).filter((arrow) => arrow.to === step || (arrow.from === step && arrow.kind !== "order"));
}

/**
 * The edges of the execution graph, apart from program order. A store that is read by what synchronises
 * with it, or overwrites it, has one arrow, not two.
 * @param {Stepping} stepping
 * @returns {Arrow[]}
 */
function arrows(stepping) {
  /** @type {Arrow[]} */
  const all = [];
  const read = new Set();
  for (const event of stepping.events) {
    if (event.reads !== null && event.reads >= 0) {
      all.push({ from: event.reads, to: event.step, kind: "reads" });
      read.add(`${event.reads} ${event.step}`);
    }
    if (event.missed !== null) all.push({ from: event.missed, to: event.step, kind: "missed" });
  }
  for (const [from, to] of stepping.synchronizes) {
    if (!read.has(`${from} ${to}`)) all.push({ from, to, kind: "before" });
  }
  for (const [from, to] of stepping.modification) {
    if (!read.has(`${from} ${to}`)) all.push({ from, to, kind: "order" });
  }
  return all;
}

/**
 * How an event stands to another one in happens-before.
 * @param {Map<number, Event_>} events
 * @param {number} other
 * @param {number} step
 * @returns {"before" | "after" | "unordered" | "unknown"}
 */
function relation(events, other, step) {
  const [one, two] = [events.get(other), events.get(step)];
  if (!one || !two || !one.after || !two.after) return "unknown";
  if (two.after.includes(other)) return "before";
  return one.after.includes(step) ? "after" : "unordered";
}

/**
 * The rows of the nearest schedule that passes, as far as they are known: up to the step that comes earlier
 * there, or the load that reads another store.
 * @param {Stepping} stepping
 * @returns {{ row: Row, moved: boolean, newest: boolean }[] | null}
 */
function passing(stepping) {
  const decision = stepping.decision;
  if (!decision) return null;
  const shown = stepping.rows.filter((row) => row.kind === "step");
  const at = (/** @type {number} */ step) => shown.findIndex((row) => row.step === step);
  if (decision.newest !== null) {
    const load = at(decision.newest);
    if (load < 0) return null;
    return shown.slice(0, load + 1).map((row, i) => ({ row, moved: false, newest: i === load }));
  }
  if (!decision.swapped) return null;
  const [first, second] = decision.swapped.map(at);
  if (first < 0 || second < 0) return null;
  const thread = shown[second].thread;
  // What its thread does before the step comes before it there, too.
  const moved = shown.slice(first, second + 1).filter((row) => row.thread === thread);
  const rest = shown.slice(first, second).filter((row) => row.thread !== thread);
  const line = (/** @type {boolean} */ moved) => (/** @type {Row} */ row) => ({ row, moved, newest: false });
  return [...shown.slice(0, first).map(line(false)), ...moved.map(line(true)), ...rest.slice(0, 1).map(line(false))];
}

/**
 * A text in parts: code between backticks, numbers of steps, and what is around them.
 * @param {string} text
 * @returns {{ kind: "text" | "code" | "step", text: string }[]}
 */
function parts(text) {
  /** @type {{ kind: "text" | "code" | "step", text: string }[]} */
  const all = [];
  const pattern = /`([^`]+)`|\bsteps? (\d+)(?:(?:, \d+)*(?: to | and |\.\.|, )\d+)?/g;
  let from = 0;
  for (const match of text.matchAll(pattern)) {
    const at = match.index;
    if (at > from) all.push({ kind: "text", text: text.slice(from, at) });
    from = at + match[0].length;
    if (match[1] !== undefined) {
      all.push({ kind: "code", text: match[1] });
      continue;
    }
    for (const piece of match[0].split(/(\d+)/)) {
      if (piece) all.push({ kind: /^\d+$/.test(piece) ? "step" : "text", text: piece });
    }
  }
  if (from < text.length) all.push({ kind: "text", text: text.slice(from) });
  return all;
}

/**
 * Numbers as people write lists of them: `1, 3 to 5`.
 * @param {number[]} numbers in order
 * @returns {string}
 */
function ranges(numbers) {
  /** @type {[number, number][]} */
  const spans = [];
  for (const number of numbers) {
    const last = spans[spans.length - 1];
    if (last && number === last[1] + 1) last[1] = number;
    else spans.push([number, number]);
  }
  return spans.map(([from, to]) => (from === to ? `${from}` : to === from + 1 ? `${from}, ${to}` : `${from} to ${to}`)).join(", ");
}

/**
 * What the address says: `#step=7&repair=2`.
 * @param {string} hash
 * @returns {{ step: number | null, repair: number | null }}
 */
function address(hash) {
  const fields = new URLSearchParams(hash.replace(/^#/, ""));
  const number = (/** @type {string} */ name) => {
    const value = fields.get(name);
    return value !== null && /^\d+$/.test(value) ? Number(value) : null;
  };
  return { step: number("step"), repair: number("repair") };
}

/**
 * The name of the function that a line stands in: of the nearest one above it that is indented less.
 * @param {SourceFile["parts"]} parts of the file
 * @param {number} number of the line
 * @returns {string | null}
 */
function functionAt(parts, number) {
  const part = parts.find(([first, text]) => first <= number && number < first + text.split("\n").length);
  if (!part) return null;
  const lines = part[1].split("\n");
  const indent = (/** @type {string} */ line) => line.length - line.trimStart().length;
  let most = Infinity;
  for (let at = number - part[0]; at >= 0; at -= 1) {
    const line = lines[at];
    if (!line.trim() || line.trimStart().startsWith("//")) continue;
    const name = /^\s*(?:[\w()]+\s+|"[^"]*"\s+)*fn\s+(\w+)/.exec(line)?.[1];
    if (name && (indent(line) < most || at === number - part[0])) return name;
    most = Math.min(most, indent(line));
  }
  return null;
}

/**
 * A line of Rust in parts, as far as colours go.
 * @param {string} line
 * @returns {{ kind: "plain" | "word" | "string" | "comment" | "number", text: string }[]}
 */
function rust(line) {
  const words =
    "as async await break const continue crate dyn else enum extern fn for if impl in let loop match mod move mut pub ref return self Self static struct super trait true false type unsafe use where while";
  const known = new Set(words.split(" "));
  /** @type {{ kind: "plain" | "word" | "string" | "comment" | "number", text: string }[]} */
  const all = [];
  const pattern = /(\/\/.*$)|("(?:[^"\\]|\\.)*")|([A-Za-z_]\w*)|(\d[\w.]*)/g;
  let from = 0;
  for (const match of line.matchAll(pattern)) {
    const at = match.index;
    const word = match[3] !== undefined;
    if (word && !known.has(match[0])) continue;
    if (at > from) all.push({ kind: "plain", text: line.slice(from, at) });
    from = at + match[0].length;
    const kind = match[1] !== undefined ? "comment" : match[2] !== undefined ? "string" : word ? "word" : "number";
    all.push({ kind, text: match[0] });
  }
  if (from < line.length) all.push({ kind: "plain", text: line.slice(from) });
  return all;
}
