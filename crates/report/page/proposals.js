// Repairs and audits.

/**
 * The repairs: a list to choose from, and the chosen one as a diff.
 * @param {Repair[]} repairs
 * @param {number} chosen the number of the chosen one
 * @param {(number: number) => void} choose
 * @param {Set<number>} known numbers of steps
 * @returns {HTMLElement}
 */
function repairsSection(repairs, chosen, choose, known) {
  const options = repairs.map((repair) => {
    const input = h("input", { type: "radio", name: "repair", value: repair.number, id: `repair-${repair.number}`, onchange: () => choose(repair.number) });
    input.checked = repair.number === chosen;
    const numbers = [];
    if (repair.kept !== null) numbers.push(`keeps ${percent(repair.kept)}`);
    if (repair.parallelism) numbers.push(`parallelism ${repair.parallelism[0].toFixed(2)} \u2192 ${repair.parallelism[1].toFixed(2)}`);
    return h(
      "div",
      { class: repair.behind ? "option behind" : "option" },
      input,
      h(
        "label",
        { for: `repair-${repair.number}` },
        h("span", { class: "title" }, `${repair.number}. ${repair.title}`),
        h("span", { class: "sub" }, h("span", { class: repair.verified ? "badge good" : "badge open" }, repair.verified ? "verified" : repair.sure.split(",")[0]), ` ${repair.kind}`, numbers.length ? ` \u00b7 ${numbers.join(" \u00b7 ")}` : ""),
      ),
    );
  });
  const repair = repairs.find((repair) => repair.number === chosen) ?? repairs[0];
  const diff = repair.files.flatMap(({ file, lines }) => [
    h("p", { class: "path" }, file),
    h(
      "div",
      { class: "code diff", tabindex: 0, role: "region", "aria-label": `Changes of ${file}` },
      ...lines.map(([number, sign, text]) =>
        h(
          "div",
          { class: sign === "+" ? "line added" : sign === "-" ? "line removed" : "line" },
          h("span", { class: "ln" }, number === null ? "" : `${number}`),
          sign === " "
            ? h("span", { class: "sign" }, sign)
            : h("span", { class: "sign", role: "img", "aria-label": sign === "+" ? "added" : "removed" }, sign),
          h("code", {}, ...coloured(text, null)),
        ),
      ),
    ),
  ]);
  const shown = h(
    "div",
    { class: "repair", "aria-live": "polite" },
    h("h3", {}, `${repair.number}. ${repair.title}`),
    h("p", { class: "muted" }, repair.behind ? `${repair.sure}; ${repair.behind}` : repair.sure),
    ...diff,
    h("ul", { class: "facts" }, ...repair.facts.map((fact) => h("li", {}, ...prose(fact, known)))),
  );
  return h(
    "section",
    { class: "repairs panel", "aria-labelledby": "repairs-title" },
    h("h2", { id: "repairs-title" }, repairs.length === 1 ? "The repair" : `${repairs.length} repairs`),
    h("div", { class: "two" }, h("div", { class: "options", role: "radiogroup", "aria-label": "Repairs" }, ...options), shown),
  );
}

/** @param {number} share */
function percent(share) {
  return share >= 0.9995 ? "100 %" : `${(share * 100).toFixed(1)} %`;
}

/**
 * The pieces of synchronisation, each of which leads to its place in the source.
 * @param {Piece[]} pieces
 * @param {(place: Place, label: string) => void} show
 * @returns {HTMLElement}
 */
function auditSection(pieces, show) {
  const items = pieces.map((piece) => {
    const place = piece.place;
    const to = place ? h("button", { type: "button", class: "small", onclick: () => show(place, piece.text) }, "show") : null;
    const steps = piece.schedule.map(([text, place]) =>
      h("li", {}, h("button", { type: "button", class: "plain-button", onclick: () => show(place, text) }, text)),
    );
    const schedule = steps.length ? h("details", {}, h("summary", {}, "the schedule that fails without it"), h("ol", {}, ...steps)) : null;
    return h("li", {}, h("span", { class: `badge ${piece.tone}` }, piece.word), h("div", {}, h("p", {}, ...prose(piece.text, new Set()), " ", to), schedule));
  });
  return h("section", { class: "audit panel", "aria-labelledby": "audit-title" }, h("h2", { id: "audit-title" }, "Synchronisation"), h("ul", { class: "pieces" }, ...items));
}
