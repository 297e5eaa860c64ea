// The pages in a real browser: what is shown, by keyboard, in the dark, on a narrow screen, to a screen
// reader. Usage: node browser.js PAGES [PICTURE]
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [pages, picture] = process.argv.slice(2);
const here = new URL("../", import.meta.url).pathname;
const axe = readFileSync(join(here, "node_modules/axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
let checked = 0;

/** A page that may ask for nothing and say nothing on the console. */
async function open(file, { width = 1300, height = 900, scheme = "light", hash = "" } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme });
  const page = await context.newPage();
  const address = `file://${join(pages, file)}`;
  page.on("console", (message) => assert.fail(`${file}: ${message.text()}`));
  page.on("pageerror", (error) => assert.fail(`${file}: ${error.message}`));
  page.on("request", (request) => assert.ok(request.url().startsWith(address) || request.url().startsWith("data:"), `${file} asks for ${request.url()}`));
  await page.goto(address + hash);
  const data = await page.evaluate(() => JSON.parse(document.getElementById("data").textContent));
  return { page, data, close: () => context.close() };
}

/** No violation that axe knows of. */
async function accessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const told = violations.map((one) => `${one.id}: ${one.help}\n  ${one.nodes.map((node) => node.html).join("\n  ")}`);
  assert.equal(told.join("\n"), "", what);
}

const line = (page) => page.evaluate(() => {
  const current = document.querySelector(".source .line.current");
  return current ? { number: Number(current.dataset.line), text: current.querySelector("code").textContent, underlined: current.querySelector("u")?.textContent } : null;
});
const state = (page) => page.evaluate(() =>
  Object.fromEntries([...document.querySelectorAll(".state tbody tr")].map((row) => [row.querySelector("code").textContent, [...row.querySelectorAll("td")].map((cell) => cell.textContent)])));
const current = (page) => page.locator("tr[aria-current=step]");

/** Steps through all of it, and compares the line, the row and the address with the data. */
async function stepThrough(page, data, file) {
  const rows = data.stepping.rows.filter((row) => ["step", "wait", "end"].includes(row.kind));
  await page.keyboard.press("Home");
  for (const [at, row] of rows.entries()) {
    if (at > 0) await page.keyboard.press(at % 2 ? "ArrowDown" : "ArrowRight");
    assert.equal((await current(page).locator(".act").textContent()).trim(), row.text, `${file}: row ${at}`);
    if (row.number !== null) {
      assert.match(await page.evaluate(() => location.hash), new RegExp(`step=${row.number}(&|$)`));
      assert.match(await page.locator("[role=status]").textContent(), new RegExp(`^Step ${row.number}, `));
    }
    const shown = await line(page);
    if (row.place && data.files[row.place[0]].parts.length) {
      assert.equal(shown?.number, row.place[1], `${file}: line of row ${at}`);
      const box = await page.locator(".source .line.current").boundingBox();
      const pane = await page.locator("#source-lines").boundingBox();
      assert.ok(box.y >= pane.y && box.y + box.height <= pane.y + pane.height + 1, `${file}: the line is in sight`);
    }
  }
  await page.keyboard.press("ArrowDown");
  assert.equal((await current(page).locator(".act").textContent()).trim(), rows[rows.length - 1].text, "the last one is the last");
  await page.keyboard.press("ArrowUp");
  if (rows.length > 1) assert.equal((await current(page).locator(".act").textContent()).trim(), rows[rows.length - 2].text);
  checked += rows.length;
}

/** In the dark, on a narrow screen, on paper. */
async function looks(file) {
  const back = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await open(file);
  await accessible(light.page, `${file}, light`);
  const bright = await back(light.page);
  await light.page.keyboard.press("t");
  await light.page.keyboard.press("t");
  assert.notEqual(await back(light.page), bright, `${file}: t changes the colours`);
  await light.page.emulateMedia({ media: "print" });
  assert.equal(await light.page.locator(".tools").isVisible(), false, `${file}: no buttons on paper`);
  await light.close();
  const dark = await open(file, { scheme: "dark" });
  assert.notEqual(await back(dark.page), bright, `${file}: dark where the system is`);
  await accessible(dark.page, `${file}, dark`);
  await dark.close();
  const narrow = await open(file, { width: 400, height: 800 });
  const wide = await narrow.page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 400, `${file}: ${wide} pixels on a narrow screen`);
  await narrow.close();
}

async function stepping(file, more) {
  assert.ok(statSync(join(pages, file)).size < 300_000, `${file} is small`);
  const { page, data, close } = await open(file);
  await stepThrough(page, data, file);
  await more(page, data);
  await close();
  await looks(file);
}

await stepping("refcount.html", async (page, data) => {
  // A link to a step.
  await page.goto(`file://${join(pages, "refcount.html")}#step=4`);
  await page.reload();
  assert.equal((await line(page)).underlined, "set");
  assert.match((await line(page)).text, /references\.set\(/);
  assert.deepEqual((await state(page)).references, ["5", "6"]);
  // Only the keyboard: from the beginning of the page to a button, and back by a key.
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the execution");
  await page.keyboard.press("?");
  await page.locator("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "hidden" });
  await page.locator("button[aria-label='Next step']").focus();
  await page.keyboard.press("Enter");
  assert.match(await page.evaluate(() => location.hash), /step=5/);
  // What is left out can be shown.
  const before = await page.locator(".trace tbody tr").count();
  await page.keyboard.press("a");
  assert.ok((await page.locator(".trace tbody tr").count()) > before, "every step is more");
  assert.match(await current(page).textContent(), /add 1/, "one stays where one stood");
  await page.keyboard.press("a");
  // A step that the story speaks of is a link.
  await page.locator(".story .step-link").first().click();
  const told = data.verdict.paragraphs[0].match(/step (\d+)/)[1];
  assert.match(await page.evaluate(() => location.hash), new RegExp(`step=${told}(&|$)`));
  // The address changes at once, the page when it is told so: a key that comes between is undone.
  await page.locator(`tr[aria-current=step] button:text-is("${told}")`).waitFor();
  // The schedule that passes, and back.
  await page.keyboard.press("s");
  assert.ok((await page.locator("tr.moved").count()) > 0);
  assert.equal(await page.locator("tr.passes").count(), 1);
  await page.keyboard.press("s");
  assert.equal(await page.locator("tr.passes").count(), 0);
  assert.ok(await page.locator(".curve .point").count() >= 2);
  const token = await page.locator(".command code").first().textContent();
  assert.equal(token, data.token);
});

await stepping("counter.html", async (page, data) => {
  assert.ok(data.stepping.threads.filter((thread) => thread.column).length > 5);
  await page.keyboard.press("g");
  assert.ok((await page.locator("path.arrow.reads").count()) > 1, "the whole graph has many arrows");
});

await stepping("deadlock.html", async (page) => {
  await page.keyboard.press("End");
  assert.ok((await page.locator(".threads li.waits").count()) >= 3, "everyone waits");
  assert.equal(await page.locator("path.arrow.waits").count(), 1);
  const values = Object.values(await state(page)).map(([, after]) => after);
  assert.ok(values.filter((value) => value.startsWith("held by ")).length >= 3, `${values}`);
});

await stepping("weak.html", async (page, data) => {
  const stale = data.stepping.rows.find((row) => data.stepping.events.some((event) => event.step === row.step && event.missed !== null));
  await page.goto(`file://${join(pages, "weak.html")}#step=${stale.number}`);
  await page.reload();
  assert.equal(await page.locator("path.arrow.missed").count(), 1, "the store that it missed");
  assert.match(await page.locator(".facts").first().textContent(), /does not see step \d+, the newest store/);
});

await stepping("loop.html", async (page) => {
  const folds = page.locator("button.fold");
  const before = await page.locator(".trace tbody tr").count();
  await folds.first().click();
  assert.equal(await folds.first().getAttribute("aria-expanded"), "true");
  assert.ok((await page.locator(".trace tbody tr").count()) > before, "a folded loop unfolds");
});

await stepping("fix.html", async (page, data) => {
  assert.ok(data.repairs.length > 1);
  assert.ok((await page.locator(".diff .line.added").count()) > 0);
  assert.match(await page.locator(".mark.held").textContent(), /waits here until step \d+ is done/);
  const title = await page.locator(".repair h3").textContent();
  await page.locator("input[name=repair]:checked").focus();
  await page.keyboard.press("ArrowDown");
  assert.notEqual(await page.locator(".repair h3").textContent(), title, "another repair, by keyboard");
  assert.match(await page.evaluate(() => location.hash), /repair=2/);
});

await stepping("audit.html", async (page) => {
  await page.locator(".pieces button").first().click();
  assert.ok((await line(page)) !== null, "a piece leads to its line");
});

for (const file of ["audit-holds.html", "verified.html"]) {
  const { page, data, close } = await open(file);
  assert.equal(data.stepping, null);
  assert.equal(await page.locator("h1 .badge.good").count(), 1, file);
  if (data.audit) {
    await page.locator(".pieces summary").first().click();
    await page.locator(".pieces .plain-button").first().click();
    assert.ok((await line(page)) !== null, `${file}: a step leads to its line`);
  }
  await close();
  await looks(file);
}

{
  const { page, close } = await open("treiber-stack.html", { width: 1240, height: 760 });
  const shot = picture ?? join(pages, "page.png");
  await page.screenshot({ path: shot });
  assert.ok(statSync(shot).size < 200_000, `${statSync(shot).size} bytes`);
  await close();
}

await browser.close();
console.log(`pages: ${checked} steps taken, no violation, no request`);
