// The forms other than the page, with the tools that read them: SARIF and JSON against their schemas, DOT
// by Graphviz, Mermaid by its own parser. Usage: node forms.js FOLDER SARIF-SCHEMA
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import Ajv from "ajv";
import Ajv2020 from "ajv/dist/2020.js";
import { chromium } from "playwright-core";

const [folder, sarifSchema] = process.argv.slice(2);
const here = new URL("../", import.meta.url).pathname;
const files = (ending) => readdirSync(folder).filter((file) => file.endsWith(ending)).sort();
const read = (file) => readFileSync(join(folder, file), "utf8");
const json = (path) => JSON.parse(readFileSync(path, "utf8"));

/** Every object of a schema with nothing but what it describes. */
function closed(schema) {
  if (Array.isArray(schema)) return schema.map(closed);
  if (schema === null || typeof schema !== "object") return schema;
  const all = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, key === "const" || key === "enum" ? value : closed(value)]));
  return all.properties && all.type === "object" ? { ...all, additionalProperties: false } : all;
}

const checks = [];
{
  const ajv = new Ajv({ strict: false, validateFormats: false, unicodeRegExp: false });
  const valid = ajv.compile(json(sarifSchema));
  for (const file of files(".sarif")) {
    assert.ok(valid(JSON.parse(read(file))), `${file}: ${ajv.errorsText(valid.errors)}`);
    checks.push(file);
  }
  assert.ok(files(".sarif").some((file) => JSON.parse(read(file)).runs[0].results.some((result) => result.fixes?.length)), "some have fixes");
}
{
  // Open for those who read, and closed here: a field that is not described is missed.
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, strictTuples: false });
  const schema = json(join(here, "../../book/text/report-1.schema.json"));
  const valid = ajv.compile({ ...closed(schema), $id: "closed" });
  new Ajv2020({ strict: true, strictTuples: false }).compile(schema);
  const snapshots = join(here, "../../../snapshots");
  const documents = files(".json").filter((file) => !file.includes("perfetto")).map((file) => [file, JSON.parse(read(file))]);
  // What the tests of the crates compare with.
  for (const file of readdirSync(snapshots)) {
    const content = readFileSync(join(snapshots, file), "utf8").replace(/^---\n[\s\S]*?\n---\n/, "");
    if (!/"format": "racefuzz-(report|fix|audit)"/.test(content)) continue;
    documents.push([file, JSON.parse(content)]);
  }
  assert.ok(documents.length >= 12);
  for (const [file, document] of documents) {
    // A closed choice tells every branch that does not fit; the deepest error is the one that matters.
    const deepest = () => [...valid.errors].sort((one, two) => two.instancePath.length - one.instancePath.length).slice(0, 4).map((error) => `${error.instancePath} ${error.message} ${JSON.stringify(error.params)}`).join("\n");
    assert.ok(valid(document), valid.errors ? `${file}: ${deepest()}` : file);
    checks.push(file);
  }
}
for (const file of files(".dot")) {
  const drawn = spawnSync("dot", ["-Tsvg", join(folder, file)], { encoding: "utf8" });
  assert.equal(drawn.stderr, "", file);
  assert.equal(drawn.status, 0, file);
  assert.match(drawn.stdout, /<svg[\s\S]*<polygon/, file);
  checks.push(file);
}
{
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  const page = await browser.newPage();
  await page.addScriptTag({ path: join(here, "node_modules/mermaid/dist/mermaid.min.js") });
  for (const file of files(".mmd")) {
    const kind = await page.evaluate(async (text) => {
      const drawing = await globalThis.mermaid.render("drawing", text);
      return [(await globalThis.mermaid.parse(text)).diagramType, drawing.svg.includes("<svg")];
    }, read(file));
    assert.deepEqual(kind, ["sequence", true], file);
    checks.push(file);
  }
  await browser.close();
}
console.log(`forms: ${checks.length} files read by their tools`);
