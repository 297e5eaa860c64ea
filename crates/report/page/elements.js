// Elements of the page.

/**
 * An element with attributes, listeners (`onclick`) and children.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string | number | boolean | null | undefined | ((event: any) => void)>} attributes
 * @param {...(Node | string | null | undefined | false | (Node | string)[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name.startsWith("aria-")) element.setAttribute(name, String(value));
    else if (value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat()) if (child || child === "") element.append(child);
  return element;
}

/**
 * An element of a drawing.
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...(Node | string)} children
 * @returns {SVGElement}
 */
function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/**
 * A text with code as code and steps as links to them.
 * @param {string} text
 * @param {Set<number>} known the numbers that lead somewhere
 * @returns {Node[]}
 */
function prose(text, known) {
  return parts(text).map((part) => {
    if (part.kind === "code") return h("code", {}, part.text);
    if (part.kind === "step" && known.has(Number(part.text))) {
      return h("a", { href: `#step=${part.text}`, class: "step-link" }, part.text);
    }
    return document.createTextNode(part.text);
  });
}

/**
 * The colour of a thread, as a class.
 * @param {number | null} thread
 * @returns {string}
 */
function colour(thread) {
  return thread === null ? "" : `t${thread % 8}`;
}

/**
 * A button that copies a text.
 * @param {string} text
 * @param {string} what
 * @returns {HTMLElement}
 */
function copyButton(text, what) {
  const button = h("button", { type: "button", class: "small", "aria-label": `Copy ${what}` }, "copy");
  button.addEventListener("click", () => {
    // Pages from disk may have no clipboard; a selection always works.
    const done = () => {
      button.textContent = "copied";
      setTimeout(() => (button.textContent = "copy"), 1500);
    };
    const area = h("textarea", { class: "sr" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
    done();
  });
  return button;
}
