// The lessons: chapters in order, figures and exercises in their places. What is right or wrong is decided by the library.

import { askTeacher } from "./api.js";
import { drawLines } from "./charts.js";
import { CHAPTERS } from "./chapters.js";
import { copyButton, el, math, tell } from "./format.js";
import { write } from "./state.js";

const $ = (id) => document.getElementById(id);
const done = new Set();
try { for (const id of JSON.parse(localStorage.getItem("done") ?? "[]")) done.add(id); } catch { /* a page from disk may have no storage */ }
let open = null;
const hints = new Map(), entered = new Map();

const chapterOf = (state) => CHAPTERS.find((chapter) => chapter.id === state.lesson) ?? CHAPTERS[0];
const link = (chapter) => write({ ...open, view: "lessons", lesson: chapter.id });

export async function openLessons(state) {
  open = state;
  const chapter = chapterOf(state), at = CHAPTERS.indexOf(chapter);
  const article = el("article", { class: "card lesson" });
  const old = $("lessons").querySelector(".toc")?.scrollTop ?? 0;
  $("lessons").replaceChildren(el("div", { class: "course" }, contents(chapter), article));
  $("lessons").querySelector(".toc").scrollTop = old;
  article.append(el("h1", { tabindex: -1 }, chapter.title), el("p", { class: "from" }, chapter.from));
  for (const block of chapter.blocks) article.append(await draw(block));
  const before = CHAPTERS[at - 1], next = CHAPTERS[at + 1];
  article.append(el("nav", { class: "pager", "aria-label": "Chapters" }, before ? el("a", { href: link(before) }, `← ${before.title}`) : el("span"), next ? el("a", { href: link(next) }, `${next.title} →`) : el("a", { href: "#view=play" }, "To the playground →")));
  scrollTo(0, 0);
}

function contents(current) {
  const list = el("ol");
  let group = null;
  for (const chapter of CHAPTERS) {
    if (chapter.group !== group) { group = chapter.group; list.append(el("li", { class: "group" }, group)); }
    const tasks = chapter.blocks.filter((block) => block.exercise).map((block) => block.exercise);
    const solved = tasks.filter((id) => done.has(id)).length;
    list.append(el("li", {}, el("a", { href: link(chapter), "aria-current": chapter === current ? "page" : null }, chapter.title,
      tasks.length ? el("span", { class: solved === tasks.length ? "done" : "done part", "data-tasks": tasks.join(" ") }, solved === tasks.length ? "✓" : `${solved}/${tasks.length}`) : null)));
  }
  return el("nav", { class: "card toc", "aria-label": "Lessons" }, list);
}

export const redrawLesson = () => { if (open && !$("lessons").hidden) openLessons(open); };

/** A text in which $…$ is mathematics, `…` code and *…* emphasis. */
function prose(text) {
  const nodes = [];
  for (const part of text.split(/(\$[^$]+\$|`[^`]+`|\*[^*]+\*)/)) {
    if (part.startsWith("$")) nodes.push(math(part.slice(1, -1)));
    else if (part.startsWith("`")) nodes.push(el("code", {}, part.slice(1, -1)));
    else if (part.startsWith("*") && part.length > 2) nodes.push(el("em", {}, part.slice(1, -1)));
    else nodes.push(part);
  }
  return nodes;
}

async function draw(block) {
  if (typeof block === "string") return el("p", {}, ...prose(block));
  if (block.heading) return el("h3", {}, block.heading);
  if (block.list) return el("ul", {}, ...block.list.map((item) => el("li", {}, ...prose(item))));
  if (block.formula) return el("div", { class: "formula", tabindex: 0, role: "region", "aria-label": "Formula" }, ...block.formula.map((line) => el("div", {}, math(line))));
  if (block.code) return el("pre", { tabindex: 0 }, block.code);
  if (block.side) return el("div", { class: "side" }, ...block.side.map(([title, code]) => el("div", {}, el("h3", {}, title), el("pre", { tabindex: 0 }, code))));
  if (block.figure) return figure(block);
  if (block.exercise) return exercise(block.exercise, block.name);
  if (block.lab) return lab(block.lab);
  if (block.script) return script();
  if (block.tape) return tape();
  if (block.play) return el("p", {}, el("a", { href: block.play }, block.text));
  throw new Error("a block that nobody draws");
}

async function figure({ figure: number, caption }) {
  const { svg } = await askTeacher("figure", { number, theme: document.documentElement.dataset.theme });
  const frame = el("div", { class: "figure-frame", tabindex: 0, role: "region", "aria-label": `Figure ${number}` });
  frame.innerHTML = svg;
  return el("figure", { "data-figure": number }, frame, el("figcaption", { class: "flow" }, math(`Figure ${number}: ${caption}`)));
}

// Exercises

async function exercise(id, name) {
  const asked = await askTeacher("exercise", { id });
  const box = el("section", { class: `exercise${done.has(id) ? " right" : ""}`, "data-exercise": id, "aria-label": name });
  const inputs = new Map(), saids = new Map();
  const values = entered.get(id) ?? new Map();
  entered.set(id, values);
  const entry = (field) => {
    const input = el("input", { autocomplete: "off", autocapitalize: "off", spellcheck: "false", "aria-label": field.label, value: values.get(field.id) ?? "", "data-field": field.id });
    const said = el("div", { class: "said", "aria-live": "polite", hidden: true });
    input.addEventListener("input", () => values.set(field.id, input.value));
    input.addEventListener("keydown", (event) => { if (event.key === "Enter") judge(); });
    inputs.set(field.id, input);
    saids.set(field.id, said);
    return { input, said };
  };
  const verdict = el("div", { class: "verdict", role: "status", hidden: true });
  const judge = async () => {
    const answers = Object.fromEntries([...inputs].map(([field, input]) => [field, input.value]));
    const judged = await askTeacher("check", { id, answers });
    let empty = 0, wrong = 0;
    for (const [field, { state, text }] of Object.entries(judged.fields)) {
      const input = inputs.get(field), said = saids.get(field);
      input.classList.toggle("ok", state === "good");
      input.setAttribute("aria-invalid", String(state === "bad" || state === "unsure"));
      said.className = `said flow ${state}`;
      said.replaceChildren(math(text));
      said.hidden = !text;
      if (state === "empty") empty += 1;
      else if (state !== "good") wrong += 1;
    }
    box.classList.toggle("right", judged.passed);
    verdict.hidden = false;
    verdict.className = `verdict ${judged.passed ? "good" : "bad"}`;
    const text = judged.passed ? "All right." : wrong ? `${wrong === 1 ? "One entry is" : `${wrong} entries are`} not right yet${empty ? `, ${empty} still empty` : ""}.` : `So far so good; ${empty === 1 ? "one is" : `${empty} are`} still empty.`;
    verdict.replaceChildren(el("p", {}, text), judged.verdict ? el("p", { class: "flow" }, math(judged.verdict)) : "");
    if (judged.passed) {
      done.add(id);
      try { localStorage.setItem("done", JSON.stringify([...done])); } catch { /* then not */ }
      for (const mark of document.querySelectorAll(".toc [data-tasks]")) {
        const tasks = mark.dataset.tasks.split(" "), solved = tasks.filter((task) => done.has(task)).length;
        mark.textContent = solved === tasks.length ? "✓" : `${solved}/${tasks.length}`;
      }
    }
  };
  const body = asked.kind === "code" ? codeBody(asked, entry) : el("div", {}, ...asked.fields.map((field) => {
    const { input, said } = entry(field);
    return el("div", { class: "blank" }, el("span", {}, math(field.label), " ="), input, said);
  }));
  const hintBox = el("div");
  const shown = () => hintBox.replaceChildren(...asked.hints.slice(0, hints.get(id) ?? 0).map((hint) => el("p", { class: "hint flow" }, math(hint))));
  const hintButton = el("button", { type: "button" }, "Hint");
  hintButton.addEventListener("click", () => { hints.set(id, (hints.get(id) ?? 0) + 1); shown(); after(); });
  const solution = el("button", { type: "button" }, "Show the solution");
  solution.addEventListener("click", () => { for (const field of asked.fields) { inputs.get(field.id).value = field.solution; values.set(field.id, field.solution); } judge(); });
  // Hints come before the solution.
  const after = () => { const all = (hints.get(id) ?? 0) >= asked.hints.length; hintButton.disabled = all; solution.hidden = !all; };
  shown();
  after();
  box.append(el("header", {}, el("b", {}, name), el("h3", {}, math(asked.title))), el("p", { class: "hint flow" }, math(asked.task)), body, hintBox,
    el("div", { class: "row" }, el("button", { type: "button", class: "primary", onclick: judge }, "Check"), hintButton, solution), verdict);
  return box;
}

function codeBody(asked, entry) {
  const lines = asked.code.split("\n").flatMap((line) => {
    const found = line.match(/^(\s*)(.*?)\{(\w+)\}$/);
    if (!found) return [el("div", { class: "code-line" }, line || "\u00a0")];
    const field = asked.fields.find((one) => one.id === found[3]);
    const { input, said } = entry(field);
    const before = found[2] && field.label.startsWith(found[2]) ? field.label : found[2] + field.label;
    return [el("div", { class: "fill" }, el("span", { class: "code-line" }, found[1] + before), input), said];
  });
  return el("div", { class: "code" }, ...lines);
}

// Labs

const LINES = ["#3b7dd8", "#d9773b", "#2f8b4e", "#965ac8", "#c83c6e", "#148c96"];

function lab(id) {
  const box = el("section", { class: "lab", "data-lab": id });
  const run = async () => {
    button.disabled = true;
    button.textContent = "Computing …";
    const { charts, claims } = await askTeacher("lab", { id });
    button.textContent = "Computed just now";
    const drawn = charts.map((chart) => {
      const canvas = el("canvas", { role: "img", "aria-label": chart.title });
      const legend = el("div", { class: "legend" }, ...chart.series.map((series, n) => el("span", {}, el("span", { class: "dot", style: `background:${LINES[n % 6]}` }), ` ${series.name}`)));
      return { chart, canvas, node: el("figure", {}, el("h3", {}, chart.title), canvas, el("div", { class: "caption" }, legend, el("span", {}, `${chart.across} →`))) };
    });
    result.replaceChildren(...drawn.map((one) => one.node), ...claims.map(({ holds, text }) => el("div", { class: `claim${holds ? "" : " no"}` }, el("b", {}, holds ? "✓ holds" : "✗ does not hold"), el("span", { class: "flow" }, math(text)))));
    for (const { chart, canvas } of drawn) drawLines(canvas, chart.series.map((series, n) => ({ points: series.points, colour: LINES[n % 6] })), { log: chart.log, ratio: 0.4 });
  };
  const button = el("button", { type: "button", class: "primary", onclick: run }, "Run the experiment");
  const result = el("div");
  box.append(button, result);
  return box;
}

// Section 7

async function tutorialRun() {
  const { csv, start } = await askTeacher("tutorial");
  await askTeacher("load", { csv, name: "tutorial.csv", options: { hidden: "3,2", "learning-rate": "0.001", seed: "1", target: "y" } });
  await askTeacher("start", { parameters: start });
}

async function script() {
  await tutorialRun();
  const { pytorch } = await askTeacher("code");
  return el("div", {}, el("div", { class: "row" }, copyButton(() => pytorch)), el("pre", { tabindex: 0 }, pytorch));
}

/** What automatic differentiation writes down on the way forward, and what it makes of it on the way back. */
async function tape() {
  await tutorialRun();
  const walk = await askTeacher("walk", { row: 0 });
  const chosen = ["z⁽¹⁾₂", "x⁽¹⁾₂", "z⁽²⁾₂", "x⁽²⁾₂", "z⁽³⁾₁", "x⁽³⁾₁"];
  const forward = chosen.map((symbol) => walk.find((step) => step.symbol === symbol));
  const ledger = await askTeacher("ledger", { index: 1, row: 0 });
  const path = ledger.paths[0];
  const head = el("tr", {}, ...["on the way forward", "value", "kept for the way back", "its value"].map((text) => el("th", { scope: "col" }, text)));
  // The path's factors run from J back: the last belongs to the first line.
  const factors = [...path.factors].reverse();
  const rows = forward.map((step, n) => el("tr", {}, el("td", {}, math(`${step.symbol} = ${step.rule}`)), el("td", {}, tell(step.value, 7)), el("td", {}, math(`${factors[n].derivative} = ${factors[n].term}`)), el("td", {}, tell(factors[n].value, 7))));
  const cost = factors.at(-1);
  rows.push(el("tr", {}, el("td", {}, math("J = ½(x⁽³⁾₁ − y₁)²")), el("td", {}, ""), el("td", {}, math(`${cost.derivative} = ${cost.term}`)), el("td", {}, tell(cost.value, 7))));
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "The tape" }, el("table", { class: "plain" }, el("thead", {}, head), el("tbody", {}, ...rows)), el("p", {}, math(`Read from below and multiplied: ∂J/∂w⁽¹⁾₁₂ along this way = ${tell(path.value, 10)}`)));
}
