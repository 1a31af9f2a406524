// The page, end to end, in headless Chromium: from disk, as a teacher's mail would open it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const root = path.resolve(path.dirname(new URL(import.meta.url).pathname), "../..");
const page_file = path.join(root, "target/playground.html");
const command = path.join(root, "target/debug/chainrule");
const home = fs.mkdtempSync(path.join(os.tmpdir(), "chainrule-page-"));
let browser;

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
});
after(async () => {
  await browser.close();
  fs.rmSync(home, { recursive: true, force: true });
});

/** The page, ready; an error on its console fails the test. */
async function open(hash = "", options = {}) {
  const page = await browser.newPage({ viewport: { width: 1440, height: 1000 }, acceptDownloads: true, ...options });
  page.faults = [];
  page.on("console", (message) => message.type() === "error" && page.faults.push(message.text()));
  page.on("pageerror", (error) => page.faults.push(error.message));
  page.on("request", (request) => /^(http|ws)/.test(request.url()) && page.faults.push(`asked for ${request.url()}`));
  await page.goto(pathToFileURL(page_file).href + hash);
  await page.waitForSelector("html[data-ready]");
  return page;
}

async function close(page) {
  assert.deepEqual(page.faults, []);
  await page.close();
}

const text = (page, selector) => page.locator(selector).first().innerText();
const number = async (page, selector) => Number((await text(page, selector)).replaceAll("−", "-").replaceAll(",", ""));
const run = async (page, epochs) => {
  await page.fill("#count", String(epochs));
  await page.click("#more button");
  await page.waitForFunction((end) => document.getElementById("epoch").textContent === end && !document.querySelector("#train.running"), epochs.toLocaleString("en"), { timeout: 60000 });
};
async function download(page, label, name) {
  const [file] = await Promise.all([page.waitForEvent("download"), page.click(`#code button:text-is("${label}")`)]);
  assert.equal(file.suggestedFilename(), name);
  await file.saveAs(path.join(home, name));
}
/** Runs the command that the page shows, among the page's files, and gives its fingerprint. */
function fingerprint(line) {
  const [name, ...given] = line.replace(/\s+/g, " ").trim().split(" ").map((word) => word.replace(/^'(.*)'$/, "$1"));
  assert.equal(name, "chainrule");
  const output = execFileSync(command, [...given, "--json", "--quiet", "--force", "-o", "out.safetensors"], { cwd: home, encoding: "utf8" });
  return JSON.parse(output).fingerprint;
}

test("the page opens with the seed's example and its first row's numbers", async () => {
  const page = await open();
  const titles = await page.locator("#diagram title").allTextContents();
  for (const one of ["z⁽¹⁾₁ = −0.314; bias 0", "z⁽¹⁾₂ = 0.818; bias 0", "z⁽¹⁾₃ = −0.417; bias 0", "z⁽²⁾₁ = −0.07362; bias 0", "z⁽²⁾₂ = 0.02454; bias 0", "x⁽³⁾₁ = 0.0017178"]) assert.ok(titles.includes(one), `${one} in ${titles}`);
  assert.equal(await text(page, "#loss"), "2837.7");
  await close(page);
});

test("a clicked weight shows its paths, and the four ways agree", async () => {
  const page = await open();
  await page.click('.edge[data-index="1"] .tag');
  assert.match(await text(page, "#ledger .sum"), /−1\.447507995/);
  assert.equal(await page.locator("#ledger .path").count(), 2);
  const ways = await page.locator("#ledger .ways td").allInnerTexts();
  assert.deepEqual(ways.slice(0, 3).map((way) => way.slice(0, 15)), Array(3).fill("−1.447507994982"));
  assert.match(page.url(), /weight=1/);
  await close(page);
});

test("a weight is typed, dragged and moved by keys", async () => {
  const page = await open("#weight=1");
  await page.fill("#weight-value", "0.5");
  await page.locator("#weight-value").dispatchEvent("change");
  await page.waitForFunction(() => [...document.querySelectorAll("#diagram title")].some((t) => t.textContent === "w⁽¹⁾₁₂ = 0.5"));
  const box = await page.locator('.edge[data-index="1"] .tag').boundingBox();
  await page.mouse.move(box.x + 4, box.y + 4);
  await page.mouse.down();
  await page.mouse.move(box.x + 4, box.y - 60, { steps: 5 });
  await page.mouse.up();
  await page.waitForFunction(() => Number(document.getElementById("weight-value").value) > 0.7);
  const before = Number(await page.inputValue("#weight-value"));
  await page.locator('.edge[data-index="1"]').focus();
  await page.keyboard.press("ArrowUp");
  await page.waitForFunction((was) => Math.abs(Number(document.getElementById("weight-value").value) - was - 0.01) < 1e-9, before);
  await close(page);
});

test("the forward pass is walked unit by unit", async () => {
  const page = await open();
  await page.click("#tab-walk");
  assert.match((await text(page, "#walk .formula")).replace(/\s+/g, ""), /−0\.314$/);
  for (let n = 0; n < 9; n += 1) await page.click("#walk-next");
  assert.match((await text(page, "#walk .formula")).replace(/\s+/g, ""), /0\.02454$/);
  await close(page);
});

test("a changed cell changes the pass", async () => {
  const page = await open();
  const cell = page.locator('#data input[aria-label="x1, row 1"]');
  await cell.fill("7.1");
  await cell.dispatchEvent("change");
  await page.waitForFunction(() => [...document.querySelectorAll("#diagram title")].some((t) => t.textContent.startsWith("z⁽¹⁾₁ = −0.394")));
  await close(page);
});

test("1,000 epochs of the seed's run have the command's fingerprint and the tutorial's loss", async () => {
  const page = await open("#start=seed");
  await run(page, 1000);
  await download(page, "Data (CSV)", "tutorial.csv");
  assert.equal(await text(page, "#fingerprint"), fingerprint(await text(page, "#command")));
  assert.equal(await text(page, "#fingerprint"), "f3cc8cfc2fa2da91a27436425e83c499b918a638b288c3b6581994bc97cdb475");
  await close(page);
});

test("from Figure 8's weights the command goes on with --start, and from the page's weights too", async () => {
  const page = await open();
  await run(page, 200);
  await download(page, "Data (CSV)", "tutorial.csv");
  await download(page, "Weights at the start", "start.safetensors");
  const line = await text(page, "#command");
  assert.match(line, /--start start\.safetensors/);
  assert.equal(await text(page, "#fingerprint"), fingerprint(line));
  // And on from here: 200 more on the command line are 400 on the page.
  await download(page, "Weights now", "tutorial.safetensors");
  const on = fingerprint(line.replace("start.safetensors", "tutorial.safetensors"));
  await page.fill("#count", "200");
  await page.click("#more button");
  await page.waitForFunction(() => document.getElementById("epoch").textContent === "400");
  await page.waitForFunction(() => !document.querySelector("#train.running"));
  assert.equal(await text(page, "#fingerprint"), on);
  await close(page);
});

test("a mini-batch run with Adam, scaled inputs and held-back rows has the command's fingerprint", async () => {
  const page = await open("#data=xor&batch=10&rows=150");
  await run(page, 12);
  await download(page, "Data (CSV)", "xor.csv");
  assert.equal(await text(page, "#fingerprint"), fingerprint(await text(page, "#command")));
  await close(page);
});

test("training lowers the loss, can be paused, and one step is one step", async () => {
  const page = await open("#data=gauss");
  const first = await number(page, "#loss");
  await page.click("#step");
  await page.waitForFunction((was) => Number(document.getElementById("loss").textContent) !== was, first);
  await page.click("#train");
  await page.waitForFunction(() => Number(document.getElementById("epoch").textContent.replaceAll(",", "")) > 20);
  await page.click("#train");
  await page.waitForSelector("#train:not(.running)");
  assert.ok((await number(page, "#loss")) < first / 2);
  const label = await page.getAttribute("#train", "aria-label");
  assert.equal(label, "Train");
  await close(page);
});

test("every toy set opens, and a run that explodes says where", async () => {
  for (const name of ["circle", "xor", "gauss", "spiral", "plane"]) {
    const page = await open(`#data=${name}&run=3`);
    assert.equal(await text(page, "#epoch"), "3");
    assert.match(await text(page, "#command"), new RegExp(`chainrule fit ${name}\\.csv`));
    await close(page);
  }
  const page = await open("#rate=1&hidden=8,8&init=he_normal&start=seed");
  await page.click("#train");
  await page.waitForSelector("#alert:not([hidden])");
  assert.match(await text(page, "#alert"), /the loss became/);
  await close(page);
});

test("what the address says comes back, and what it hides is hidden", async () => {
  const page = await open("#data=spiral&hidden=5,4,3&activation=relu&rate=0.03&seed=7&noise=0.2&hide=optimizer,code");
  assert.equal(await page.inputValue("#knob-activation"), "relu");
  assert.equal(await page.inputValue("#knob-rate"), "0.03");
  assert.equal(await page.inputValue("#knob-seed"), "7");
  assert.ok(await page.locator("#knob-optimizer").isHidden());
  assert.ok(await page.locator("#code").isHidden());
  await page.selectOption("#knob-batch", "5");
  await page.waitForFunction(() => location.hash.includes("batch=5"));
  const address = page.url(), other = await open(new URL(address).hash);
  assert.equal(await other.inputValue("#knob-batch"), "5");
  assert.equal(await text(other, "#fingerprint").catch(() => "hidden"), await text(page, "#fingerprint").catch(() => "hidden"));
  await close(page);
  await close(other);
});
