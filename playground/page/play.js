// The view that plays: data, network, training, what comes out, and how it is repeated elsewhere.

import { ask, askBytes } from "./api.js";
import { attach, drawDiagram } from "./diagram.js";
import { drawLines, drawScatter, drawSurface } from "./charts.js";
import { copyButton, el, math, save, short, tell } from "./format.js";
import { FOR_CSV, FOR_TOYS, DEFAULTS, hidden, write } from "./state.js";

const $ = (id) => document.getElementById(id);
const page = { state: null, facts: null, view: null, ledger: null, walk: null, walkAt: -1, losses: [], tests: [], running: false, busy: Promise.resolve(), csv: null, names: null, allRows: false };

/** Questions about one run follow one another, whoever asks. */
function inTurn(task) {
  const turn = page.busy.then(task);
  page.busy = turn.catch(() => {});
  return turn;
}

export function say(message) {
  $("alert").textContent = message ?? "";
  $("alert").hidden = !message;
  if (message) $("alert").scrollIntoView({ block: "nearest" });
}

const guarded = (task) => async (...given) => {
  try {
    await task(...given);
  } catch (error) {
    page.running = false;
    $("train").classList.remove("running");
    say(error.message);
  }
};

const KNOBS = [
  ["rate", "Learning rate η", ["0.00001", "0.0001", "0.001", "0.003", "0.01", "0.03", "0.1", "0.3", "1"], "How far a step goes against the gradient: w := w − η ∂J/∂w. Too small and nothing happens, too large and the loss jumps or explodes."],
  ["activation", "Activation", null, "What a neuron does with its receptor: x = a(z). Without one that bends, many layers are worth no more than one."],
  ["optimizer", "Optimizer", null, "How the gradient becomes a step. gradient_descent is the tutorial's rule; momentum keeps rolling; adam gives each weight a step size of its own."],
  ["batch", "Batch size", ["all", "1", "5", "10", "32", "64", "128"], "Rows that a step looks at. With `all` every step sees the whole data; small batches step more often, each on a rougher gradient."],
  ["init", "First weights", null, "What the weights are drawn from. The tutorial draws from N(0, 0.001²); he and glorot keep signals the same size from layer to layer."],
  ["l2", "L2 penalty", ["0", "0.0001", "0.001", "0.003", "0.01", "0.03", "0.1"], "Adds ½λ‖W‖² to what is minimised, so weights stay small and the surface smooth. The printed loss does not contain it."],
  ["seed", "Seed", "number", "The number from which all first weights, the order of rows and the held-back rows are drawn. Same seed, same bits: here and on the command line."],
];

function help(text) {
  const button = el("button", { type: "button", class: "help", "aria-label": `What is this? ${text}` }, "?");
  const show = () => {
    const tip = $("tip"), box = button.getBoundingClientRect();
    tip.textContent = text;
    tip.hidden = false;
    tip.style.left = `${Math.max(8, Math.min(box.left + scrollX - 20, scrollX + innerWidth - 316))}px`;
    tip.style.top = `${box.bottom + scrollY + 8}px`;
  };
  const hide = () => { $("tip").hidden = true; };
  button.addEventListener("mouseenter", show);
  button.addEventListener("focus", show);
  button.addEventListener("click", show);
  button.addEventListener("mouseleave", hide);
  button.addEventListener("blur", hide);
  return button;
}

function knob(name, label, control, text) {
  return el("div", { class: "knob", "data-part": name }, el("span", { class: "name" }, el("label", { for: control.id }, label), text ? help(text) : null), control);
}

function select(id, options, value, onchange) {
  const all = options.includes(value) ? options : [value, ...options];
  const node = el("select", { id }, ...all.map((option) => el("option", { value: option, selected: option === value }, option)));
  node.addEventListener("change", () => onchange(node.value));
  return node;
}

function number(id, value, least, most, onchange) {
  const node = el("input", { id, type: "number", value, min: least, max: most, step: 1 });
  node.addEventListener("change", () => onchange(String(Math.max(least, Math.min(most, Math.round(Number(node.value) || least))))));
  return node;
}

function drawKnobs() {
  const { state, names } = page;
  $("knobs").replaceChildren(...KNOBS.map(([name, label, options, text]) => {
    const change = guarded((value) => set({ [name]: value, ...(name === "init" || name === "seed" ? { start: "seed" } : {}) }));
    const list = { activation: names.activations, optimizer: names.optimizers, init: names.initialisers }[name] ?? options;
    const control = list === "number" ? number(`knob-${name}`, state[name], 0, 4294967295, change) : select(`knob-${name}`, list, state[name], change);
    return knob(name, label, control, text);
  }));
}

/** Takes over some of the state and begins anew. */
async function set(changes) {
  Object.assign(page.state, changes);
  if (("hidden" in changes || "activation" in changes) && page.state.start === "figure8") page.state.start = "seed";
  await load();
}

function options() {
  const s = page.state, given = { hidden: s.hidden, "learning-rate": s.rate, seed: s.seed, target: page.target };
  const unless = (name, value, usual) => { if (value !== usual) given[name] = value; };
  unless("activation", s.activation, "relu");
  unless("init", s.init, "normal:0.001");
  unless("optimizer", s.optimizer, "gradient_descent");
  unless("batch-size", s.batch, "all");
  unless("l2", s.l2, "0");
  unless("scale", s.scale, "none");
  unless("test-fraction", s.test, "0");
  if (page.standardTarget && s.scale !== "none") given["target-scale"] = s.scale;
  return given;
}

/** The data of the state, then a run on it. */
async function load() {
  page.running = false;
  await inTurn(async () => {
    say(null);
    const s = page.state;
    const source = s.data === "tutorial" ? "tutorial" : s.data === "csv" ? "csv" : `${s.data} ${s.rows} ${s.noise} ${s.dseed}`;
    if (source !== page.source) {
      if (s.data === "tutorial") {
        const { csv, start } = await ask("tutorial");
        Object.assign(page, { csv, name: "tutorial.csv", target: "y", figure8: start, standardTarget: false });
      } else if (s.data === "csv") {
        if (!page.own) { page.source = source; page.facts = null; return; }
        const kind = page.own.columns.find((column) => column.name === page.own.target)?.kind;
        Object.assign(page, { csv: page.own.csv, name: page.own.name, target: page.own.target, standardTarget: kind === "numeric" });
      } else {
        const { csv } = await ask("toy", { name: s.data, rows: Number(s.rows), noise: Number(s.noise), seed: Number(s.dseed) });
        Object.assign(page, { csv, name: `${s.data}.csv`, target: s.data === "plane" ? "y" : "class", standardTarget: false });
      }
    }
    page.facts = await ask("load", { csv: source === page.source ? undefined : page.csv, name: page.name, options: options() });
    page.source = source;
    await begin();
  });
  drawAll();
}

/** The run's first weights, and an empty history. */
async function begin() {
  if (page.state.start === "figure8" && page.state.data === "tutorial") page.facts = await ask("start", { parameters: page.figure8 });
  Object.assign(page, { losses: [], tests: [], walk: null, walkAt: -1, outcome: null });
  if (page.state.row > page.facts.training) page.state.row = "1";
  await refresh(true);
  const ahead = Math.min(Number(page.state.run) || 0, 20000);
  if (ahead > 0) { await advance("epochs", ahead); await refresh(true); }
}

const rowIndex = () => Math.max(0, Math.min(Number(page.state.row) || 1, page.facts.training) - 1);

/** Asks for everything that is shown. */
async function refresh(full) {
  page.view = await ask("view", { row: rowIndex() });
  if (page.state.weight !== "") {
    const index = Number(page.state.weight);
    if (index < page.facts.parameters) page.ledger = await ask("ledger", { index, ...(page.allRows ? {} : { row: rowIndex() }) });
    else { page.state.weight = ""; page.ledger = null; }
  } else page.ledger = null;
  if (page.walkAt >= 0 && full) page.walk = await ask("walk", { row: rowIndex() });
  if (page.view.scoring_loss !== null) page.tests.push([page.view.epochs, page.view.scoring_loss]);
  page.outcome = await ask("outcome", { size: full ? 48 : 30 });
  if (full) page.code = await ask("code");
}

async function advance(op, count) {
  const answer = await ask(op, op === "epochs" ? { epochs: count } : { steps: count });
  page.losses.push(...answer.losses);
  if (page.losses.length > 4000) page.losses = page.losses.filter((_, i) => i % 2 === 0);
  if (page.tests.length > 2000) page.tests = page.tests.filter((_, i) => i % 2 === 0);
  return answer;
}

/** As many steps as fit in some hundredths of a second, again and again; the page draws in between. */
async function run(until = Infinity) {
  if (page.running || !page.facts) return;
  page.running = true;
  $("train").classList.add("running");
  $("train").setAttribute("aria-label", "Pause");
  say(null);
  let per = 1;
  const batches = Math.max(1, Math.ceil(page.facts.training / (page.state.batch === "all" ? page.facts.training : Number(page.state.batch))));
  const mostSteps = until === Infinity ? Infinity : until * batches;
  let taken = 0;
  while (page.running && taken < mostSteps) {
    await inTurn(async () => {
      const from = performance.now();
      const steps = Math.min(per, mostSteps - taken);
      await advance("step", steps);
      taken += steps;
      const spent = performance.now() - from;
      per = Math.max(1, Math.min(Math.round(per * Math.min(4, 45 / Math.max(spent, 2))), 20000));
      // Pictures take at most a fifth of the time.
      if (performance.now() - (page.drawn ?? 0) > Math.max(90, 5 * (page.drawing ?? 0))) {
        const began = performance.now();
        await refresh(false);
        drawRun();
        page.drawn = performance.now();
        page.drawing = page.drawn - began;
      }
    });
    await new Promise((resolve) => setTimeout(resolve));
  }
  await inTurn(async () => {
    page.running = false;
    // A command counts whole epochs: the one that is under way is ended.
    const { whole } = await ask("code");
    if (!whole && batches > 1 && page.facts) await advance("epochs", 1);
    await refresh(true);
  });
  $("train").classList.remove("running");
  $("train").setAttribute("aria-label", "Train");
  drawAll();
}

// Drawing

function drawAll() {
  remember();
  const blank = !page.facts;
  for (const id of ["diagram", "outcome", "ledger", "walk", "code"]) if (blank) $(id).replaceChildren();
  for (const id of ["train", "step", "reset"]) $(id).disabled = blank;
  drawKnobs();
  drawData();
  if (!blank) {
    drawShape();
    drawRun();
    drawCode();
  }
  applyHiding();
}

function drawRun() {
  const { view } = page;
  $("epoch").textContent = view.epochs.toLocaleString("en");
  $("loss").textContent = tell(view.loss ?? page.losses.at(-1)?.[1] ?? view.last_loss, 6);
  $("test-loss").hidden = view.scoring_loss === null;
  $("test-loss").querySelector("dd").textContent = tell(view.scoring_loss, 6);
  drawNetwork();
  drawOutcome();
  drawLedger();
  drawWalk();
}

const dragged = {};

function drawNetwork() {
  const focused = document.activeElement?.closest?.("#diagram [data-index]")?.dataset.index;
  const walk = page.walkAt >= 0 && page.walk ? { known: new Set(page.walk.slice(0, page.walkAt + 1).map(keyOf)), now: keyOf(page.walk[page.walkAt]) } : null;
  const choice = { parameter: page.state.weight === "" ? undefined : Number(page.state.weight), ledger: walk || page.allRows ? null : page.ledger, walk };
  $("diagram").replaceChildren(drawDiagram(page.view, choice));
  if (focused) focusOn(focused);
}

const keyOf = (step) => `${step.layer} ${step.unit} ${step.letter}`;
const focusOn = (index) => $("diagram").querySelector(`[data-index="${index}"]`)?.focus({ preventScroll: true });

function valueOf(index) {
  for (const layer of page.view.layers.slice(1)) {
    if (index >= layer.weights_at && index < layer.weights_at + layer.weights.length) return layer.weights[index - layer.weights_at];
    if (index >= layer.biases_at && index < layer.biases_at + layer.biases.length) return layer.biases[index - layer.biases_at];
  }
  return 0;
}

let pending = null;
/** Sets a parameter; while one is being set the latest value waits. */
async function setParameter(index, value) {
  if (pending) { pending = { index, value }; return; }
  pending = { index, value };
  page.running = false;
  while (pending) {
    const { index: at, value: to } = pending;
    await inTurn(async () => {
      await ask("set", { index: at, value: Number(to.toPrecision(12)) });
      page.state.weight = String(at);
      page.state.start = "edited";
      Object.assign(page, { losses: [], tests: [] });
      await refresh(true);
    });
    drawRun();
    drawCode();
    remember();
    if (pending.index === at && pending.value === to) pending = null;
  }
}

async function choose(index) {
  page.state.weight = String(page.state.weight) === String(index) ? "" : String(index);
  page.walkAt = -1;
  await inTurn(() => refresh(false));
  show("ledger");
  drawRun();
  remember();
}

function drawShape() {
  const widths = page.state.hidden === "none" ? [] : page.state.hidden.split(",").map(Number);
  const change = guarded((next) => set({ hidden: next.length ? next.join(",") : "none", weight: "" }));
  const layer = (width, l) => el("span", { class: "layer" },
    el("button", { type: "button", "aria-label": `Fewer neurons in layer ${l + 1}`, onclick: () => change(widths.flatMap((w, k) => (k === l ? (w > 1 ? [w - 1] : []) : [w]))) }, "−"),
    el("b", {}, String(width)),
    el("button", { type: "button", "aria-label": `More neurons in layer ${l + 1}`, onclick: () => change(widths.map((w, k) => (k === l ? Math.min(w + 1, 64) : w))) }, "+"));
  const inputs = page.view.layers[0].neurons.length, outputs = page.view.layers.at(-1).neurons.length;
  const add = el("button", { type: "button", class: "add", onclick: () => change([...widths, 3]) }, "+ layer");
  add.disabled = widths.length >= 8;
  $("shape").replaceChildren(el("span", {}, String(inputs)), ...widths.map(layer), el("span", {}, String(outputs)), add,
    el("span", {}, `${page.facts.parameters} parameters`));
}

const DATA = [["tutorial", "Tutorial", "Ten rows, y ≈ x₁² + x₂²: the tutorial's"], ["circle", "Circle", ""], ["xor", "Xor", ""], ["gauss", "Gauss", ""], ["spiral", "Spiral", ""], ["plane", "Plane", ""], ["csv", "Your CSV", "A table of your own: it is read in this page and goes nowhere"]];

function drawData() {
  const { state, facts } = page, parts = [];
  const chip = ([name, label, text]) => el("button", { type: "button", class: "chip", "aria-pressed": String(state.data === name), title: text || page.names.toys.find((toy) => toy.name === name)?.text, onclick: guarded(() => chooseData(name)) }, label);
  parts.push(el("div", { class: "chips", "data-part": "dataset" }, ...DATA.map(chip)));
  if (state.data === "csv") parts.push(ownCsv());
  const toy = state.data !== "tutorial" && state.data !== "csv";
  const pair = [];
  if (toy) {
    pair.push(knob("rows", "Rows", number("data-rows", state.rows, 4, 100000, guarded((rows) => set({ rows }))), "How many points are drawn."));
    pair.push(knob("noise", "Noise", select("data-noise", ["0", "0.05", "0.1", "0.2", "0.3", "0.5"], state.noise, guarded((noise) => set({ noise }))), "How far points stray from where they belong."));
    pair.push(knob("dseed", "Data seed", number("data-seed", state.dseed, 0, 4294967295, guarded((dseed) => set({ dseed }))), "The points are NumPy's default_rng(seed): another seed, other points of the same kind."));
  }
  if (facts) {
    pair.push(knob("test", "Held back", select("data-test", ["0", "0.1", "0.2", "0.3", "0.5"], state.test, guarded((test) => set({ test }))), "The share of rows that is not learnt from, to see whether the network has understood or only remembered."));
    pair.push(knob("scale", "Inputs", select("data-scale", ["none", "standard"], state.scale, guarded((scale) => set({ scale }))), "standard: each column is brought to mean 0 and deviation 1 first, so that one learning rate suits all."));
    parts.push(el("div", { class: "pair" }, ...pair), table());
    const held = facts.scoring ? `, ${facts.scoring.toLocaleString("en")} held back (grey)` : "";
    parts.push(el("p", { class: "hint" }, `${facts.training.toLocaleString("en")} rows to learn from${held}. ${facts.rows > facts.cells.length ? `The first ${facts.cells.length} are listed. ` : ""}Choose a row to see it in the diagram; change a number to see what follows.`));
    if (facts.notes.length) parts.push(el("details", {}, el("summary", {}, `${facts.notes.length} ${facts.notes.length === 1 ? "note" : "notes"} about the data`), ...facts.notes.map((note) => el("p", { class: "note" }, note))));
  }
  $("data").replaceChildren(...parts);
}

function ownCsv() {
  const input = el("input", { type: "file", accept: ".csv,.tsv,.txt,text/csv", id: "file", "aria-label": "A CSV file" });
  input.addEventListener("change", guarded(() => input.files[0] && openFile(input.files[0])));
  const drop = el("div", { class: "drop" }, "Drop a CSV file here, or choose one. It stays in this page.", input);
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", guarded(async (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files[0]) await openFile(event.dataTransfer.files[0]);
  }));
  if (!page.own) return drop;
  const target = select("target", page.own.columns.map((column) => column.name), page.own.target, guarded((name) => { page.own.target = name; page.source = null; return load(); }));
  return el("div", {}, drop, el("div", { class: "pair" }, knob("target", "Predict", target, "The column that the network shall learn to say from the others.")));
}

async function openFile(file) {
  const csv = await file.text();
  const name = file.name.replace(/[^\w.-]+/g, "_");
  const { columns } = await ask("columns", { csv, name });
  const usual = columns.filter((column) => ["numeric", "categorical", "boolean"].includes(column.kind));
  page.own = { csv, name, columns, target: (usual.at(-1) ?? columns.at(-1)).name };
  page.source = null;
  Object.assign(page.state, { data: "csv", row: "1", weight: "" });
  await load();
}

async function chooseData(name) {
  const others = name === "tutorial" ? DEFAULTS : name === "csv" ? FOR_CSV : FOR_TOYS;
  const keep = { view: page.state.view, hide: page.state.hide, data: name };
  Object.assign(page.state, DEFAULTS, others, keep, name === "spiral" ? { hidden: "8,8" } : {});
  page.source = null;
  await load();
}

function table() {
  const { facts } = page, shownRow = facts.shown[rowIndex()];
  const held = new Set(facts.scored);
  const head = el("tr", {}, el("th", { scope: "col" }, "row"), ...facts.columns.map((column, j) => el("th", { scope: "col", class: j === facts.target ? "target" : null, title: `${column.kind}: ${column.reason}` }, column.name)));
  const few = facts.rows <= 60;
  const body = facts.cells.map((cells, i) => {
    const training = facts.shown.indexOf(i);
    const pick = training < 0 ? el("span", {}, String(i + 1)) : el("button", { type: "button", "aria-label": `Show row ${i + 1}`, onclick: guarded(async () => { page.state.row = String(training + 1); await inTurn(() => refresh(true)); drawAll(); }) }, String(i + 1));
    const cell = (text, j) => {
      if (!few) return el("td", {}, el("span", { title: text }, text.length > 9 && Number.isFinite(Number(text)) ? String(Number(Number(text).toPrecision(6))) : text));
      const input = el("input", { value: text, "aria-label": `${facts.columns[j].name}, row ${i + 1}` });
      input.addEventListener("change", guarded(async () => {
        await inTurn(async () => {
          page.facts = await ask("edit", { row: i, column: j, cell: input.value });
          Object.assign(page, { losses: [], tests: [] });
          await refresh(true);
        });
        say(null);
        drawAll();
      }));
      return el("td", {}, input);
    };
    return el("tr", { "aria-current": i === shownRow ? "true" : null, class: held.has(i) ? "held" : null }, el("td", {}, pick), ...cells.map(cell));
  });
  return el("div", { class: "cells", tabindex: 0, role: "region", "aria-label": "The rows" }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...body)));
}

function drawOutcome() {
  const { outcome, view, facts } = page, host = $("outcome");
  if (!host.firstChild) host.append(el("div", { id: "o-picture" }), el("div", { id: "o-loss" }), el("div", { id: "o-norms" }));
  // Canvases stay, so that nothing flickers while it trains.
  const canvasIn = (id, label) => {
    const box = $(id);
    let canvas = box.querySelector("canvas");
    if (!canvas) { canvas = el("canvas", { role: "img" }); box.append(el("h3", {}), canvas, el("div", { class: "legend" })); }
    canvas.setAttribute("aria-label", label);
    return { canvas, title: box.querySelector("h3"), legend: box.querySelector(".legend") };
  };
  const classes = outcome.task === "classification";
  if (outcome.surface) {
    const { canvas, title, legend } = canvasIn("o-picture", `What the network says for every ${outcome.columns.join(" and ")}`);
    title.textContent = classes ? `Chance of each ${facts.columns[facts.target].name}` : `Predicted ${facts.columns[facts.target].name}`;
    const { low, high } = drawSurface(canvas, outcome);
    const names = outcome.labels.map((label, n) => el("span", {}, dot(n), ` ${label}`));
    legend.replaceChildren(...(classes ? names : [short(low), el("span", { class: "ramp" }), short(high)]));
  } else if (!classes) {
    const { canvas, title, legend } = canvasIn("o-picture", "Predictions beside the truth");
    title.textContent = "Predictions beside the truth";
    drawScatter(canvas, outcome.points);
    legend.replaceChildren(el("span", {}, dotOf("--plus"), " learnt from"), facts.scoring ? el("span", {}, dotOf("--minus"), " held back") : "");
  } else $("o-picture").replaceChildren(confusion(outcome));
  const { canvas, title, legend } = canvasIn("o-loss", "The loss over the epochs");
  title.textContent = "Loss over the epochs";
  const thin = (points) => (points.length > 500 ? points.filter((_, i) => i % Math.ceil(points.length / 500) === 0 || i === points.length - 1) : points);
  drawLines(canvas, [{ points: thin(page.losses), colour: cssColour("--plus") }, { points: thin(page.tests), colour: cssColour("--minus"), dashed: true }]);
  legend.replaceChildren(el("span", {}, dotOf("--plus"), " learnt from"), facts.scoring ? el("span", {}, dotOf("--minus"), " held back") : "",
    el("span", {}, scoreText(outcome.score)));
  drawNorms(view);
}

const cssColour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const COLOURS = ["#3b7dd8", "#d9773b", "#2f8b4e", "#965ac8", "#c83c6e", "#148c96", "#a0821e", "#6e7887"];
const dot = (n) => el("span", { class: "dot", style: `background:${COLOURS[n % 8]}` });
const dotOf = (name) => el("span", { class: "dot", style: `background:var(${name})` });

function scoreText(score) {
  if (!score) return "";
  const names = { rmse: "RMSE", r2: "R²", accuracy: "accuracy", log_loss: "log loss" };
  const found = Object.entries(score.regression ?? score.classification ?? score).filter(([key]) => key in names);
  return found.length ? `Held back: ${found.map(([key, value]) => `${names[key]} ${tell(value, 4)}`).join(", ")}` : "";
}

/** How often which class is taken for which, of the rows that are drawn. */
function confusion(outcome) {
  const { labels, points } = outcome, counts = labels.map(() => labels.map(() => 0));
  for (const { y, p } of points) {
    const said = p.length > 1 ? p.indexOf(Math.max(...p)) : Number(p[0] >= 0.5);
    counts[y][said] += 1;
  }
  const most = 8, some = labels.slice(0, most);
  return el("div", {}, el("h3", {}, "Truth (rows) and prediction (columns)"),
    el("div", { class: "cells", tabindex: 0, role: "region", "aria-label": "Truth and prediction" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, ""), ...some.map((label) => el("th", { scope: "col" }, label)))),
      el("tbody", {}, ...some.map((label, i) => el("tr", {}, el("th", { scope: "row" }, label), ...some.map((_, j) => el("td", {}, el("span", { style: i === j ? "font-weight:700" : null }, String(counts[i][j]))))))))));
}

function drawNorms(view) {
  const box = $("o-norms"), sizes = view.norms.map((norm) => norm.norm), most = Math.max(...sizes, 1e-300);
  const width = (x) => (x > 0 ? Math.max(2, 100 + 12 * Math.log10(x / most)) : 0);
  box.replaceChildren(el("h3", {}, "Length of the gradient, layer by layer"), view.loss === null ? el("p", { class: "hint" }, "For up to 2,000 rows.") : el("div", { class: "bars" },
    ...view.norms.flatMap(({ letter, layer, norm }) => [math(`${letter}⁽${"⁰¹²³⁴⁵⁶⁷⁸⁹"[layer] ?? layer}⁾`), el("span", {}, el("i", { class: letter === "b" ? "b" : null, style: `width:${width(norm)}%` })), el("span", {}, norm === 0 ? "0" : tell(norm, 3))])));
}

// Inside

export function show(tab) {
  for (const name of ["ledger", "walk"]) {
    $(`tab-${name}`).setAttribute("aria-selected", String(name === tab));
    $(`tab-${name}`).tabIndex = name === tab ? 0 : -1;
    $(name).hidden = name !== tab;
  }
}

function drawLedger() {
  const { ledger } = page, host = $("ledger");
  if (document.activeElement?.id === "weight-range") return updateLedger(ledger);
  if (!ledger) {
    host.replaceChildren(el("p", { class: "hint" }, "Choose a weight in the diagram. Its derivative appears here: every path from the weight to the loss J, each a product of factors that you can check by hand."));
    return;
  }
  const input = el("input", { type: "number", step: "any", value: ledger.value, "aria-label": `Value of ${ledger.symbol}`, id: "weight-value" });
  input.addEventListener("change", guarded(() => { if (input.value !== "") return setParameter(ledger.index, Number(input.value)); }));
  const reach = Math.max(0.5, Math.abs(ledger.value) * 2);
  const range = el("input", { type: "range", min: -reach, max: reach, step: reach / 200, value: ledger.value, "aria-label": `Slide ${ledger.symbol}`, id: "weight-range" });
  range.addEventListener("input", guarded(() => { input.value = range.value; return setParameter(ledger.index, Number(range.value)); }));
  const scope = el("label", { class: "hint", style: "display:flex;gap:6px;margin:0" }, el("input", { type: "checkbox", id: "all-rows", checked: page.allRows, onchange: guarded(async (event) => { page.allRows = event.target.checked; await inTurn(() => refresh(false)); drawRun(); }) }), "over all rows");
  host.replaceChildren(
    el("div", { class: "value" }, el("span", { class: "big" }, math(ledger.symbol)), el("span", {}, "="), input, range, scope),
    el("div", { id: "ledger-body" }),
  );
  updateLedger(ledger);
}

function updateLedger(ledger) {
  const body = $("ledger-body");
  if (!ledger || !body) return;
  const parts = [el("div", { class: "sum" }, math(`∂J/∂${ledger.symbol}`), ` = ${tell(ledger.backpropagation, 10)}`)];
  if (ledger.rows === 1) {
    parts.push(el("p", { class: "hint" }, ledger.path_count === "1" ? `One way leads from J back to it, for row ${page.state.row}:` : `${ledger.path_count} ways lead from J back to it, for row ${page.state.row}; the derivative is their sum:`));
    ledger.paths.forEach((path, n) => parts.push(el("div", { class: "path", style: `--c:var(--p${n % 6})` },
      el("div", { class: "factors" }, ...path.factors.flatMap((factor, k) => [
        k ? el("span", { class: "op" }, "×") : null,
        el("span", { class: `factor${factor.value === 0 ? " zero" : ""}` }, el("span", { class: "d" }, math(factor.derivative)), el("span", { class: "t" }, math(factor.term)), el("span", { class: "v" }, tell(factor.value, 7))),
      ]).filter(Boolean), el("span", { class: "op" }, "="), el("span", { class: "factor" }, el("span", { class: "d" }, "product"), el("span", { class: "t" }, "\u00a0"), el("span", { class: "v" }, tell(path.value, 7)))))));
    if (ledger.remainder !== 0 || String(ledger.paths.length) !== ledger.path_count) parts.push(el("p", { class: "hint" }, `All other paths together: ${tell(ledger.remainder, 7)}`));
  } else {
    parts.push(el("p", { class: "hint" }, `Over ${ledger.rows.toLocaleString("en")} rows it is the sum of δ·x, each δ holding the 1/n; the largest terms:`));
    parts.push(el("table", { class: "ways" }, el("tbody", {}, ...ledger.terms.slice(0, 8).map((term) => el("tr", {}, el("th", {}, `row ${term.row + 1}`), el("td", {}, `${tell(term.delta.value, 6)} × ${tell(term.source.value, 6)} = ${tell(term.value, 7)}`))))));
  }
  const ways = [["by the paths", ledger.rows === 1 ? ledger.by_paths : null], ["by δ, equations 10 and 11", ledger.by_delta], ["as training computes it", ledger.backpropagation], [ledger.kink ? "by a difference (a kink lies in its way)" : "by a difference, (J(w + h) − J(w − h))/2h", ledger.difference]];
  parts.push(el("details", { open: true }, el("summary", {}, "The same number, found in other ways"), el("table", { class: "ways" }, el("tbody", {}, ...ways.filter(([, value]) => value !== null).map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, String(value).replace("-", "−"))))))));
  body.replaceChildren(...parts);
}

function drawWalk() {
  const host = $("walk");
  if (host.hidden || !page.view) return;
  if (!page.walk) { host.replaceChildren(el("p", { class: "hint" }, "…")); return; }
  const at = page.walkAt, step = page.walk[at], n = page.walk.length;
  const go = (to) => guarded(async () => { page.walkAt = Math.max(0, Math.min(n - 1, to)); drawNetwork(); drawWalk(); $("walk").querySelector(to < at ? "#walk-back" : "#walk-next")?.focus(); });
  host.replaceChildren(
    el("div", { class: "value" }, el("button", { type: "button", id: "walk-back", onclick: go(at - 1) }, "← Back"), el("button", { type: "button", class: "primary", id: "walk-next", onclick: go(at + 1) }, "Next →"), el("span", { class: "hint", style: "margin:0" }, `${at + 1} of ${n}, row ${page.state.row}`)),
    el("div", { class: "formula", "aria-live": "polite" }, el("div", {}, math(`${step.symbol} = ${step.rule}`)), el("div", {}, math(`= ${step.numbers}`)), el("div", {}, el("b", {}, `= ${tell(step.value, 10)}`))),
    el("p", { class: "hint" }, step.letter === "z" ? "A receptor adds up what the neurons before it send, each times the weight of its line, and its bias." : "A neuron passes its receptor's number through the activation and sends the result on."),
  );
}

function drawCode() {
  const { code, view } = page;
  if (!code) return;
  const download = (label, op, name, text) => el("button", { type: "button", class: "small", title: text, onclick: guarded(async () => save(await inTurn(() => askBytes(op)), name)) }, label);
  const stem = page.name.replace(/\.[^.]*$/, "");
  const reach = code.epochs === 0 ? "After no step there is nothing to repeat yet; the command below trains one epoch." : code.whole ? `The command trains the same ${code.epochs.toLocaleString("en")} epochs and prints the same fingerprint.` : "The run stands inside an epoch; a command counts whole ones.";
  $("code").replaceChildren(
    el("p", { class: "hint" }, "The weights' fingerprint (SHA-256): same data, same options, same seed, same bits."),
    el("div", { class: "print", id: "fingerprint" }, view.fingerprint),
    el("p", { class: "hint" }, reach),
    el("pre", { class: "wrap", id: "command", tabindex: 0 }, code.command),
    el("div", { class: "row" }, copyButton(() => $("command").textContent),
      download("Data (CSV)", "csv", page.name, "The table as it is now"),
      download("Weights now", "model", `${stem}.safetensors`, "A model file for predict, explain and fit --start"),
      code.edited ? download("Weights at the start", "start_file", "start.safetensors", "What --start of the command names") : null,
      download("Encoded rows", "encoded", "encoded.csv", "What the network sees, for the script")),
    el("p", { class: "hint" }, "To go on from here on the command line: ", el("code", {}, `chainrule fit ${page.name} … --start ${stem}.safetensors`), ", with the command's other options."),
    el("details", {}, el("summary", {}, "The same run in PyTorch"), el("div", { class: "row" }, copyButton(() => code.pytorch)), el("pre", { id: "pytorch", tabindex: 0 }, code.pytorch)),
  );
}

/** The address follows what is shown, without a new entry in the history. */
function remember() {
  const text = address(page.state);
  $("to-play").href = text;
  if (!$("play").hidden && location.hash !== text) history.replaceState(null, "", text);
}

/** Weights set by hand are in no address. */
const address = (state) => write(state.start === "edited" ? { ...state, start: DEFAULTS.start } : state);

export const PARTS = ["controls", "rate", "activation", "optimizer", "batch", "init", "l2", "seed", "data", "dataset", "network", "outcome", "inside", "code"];

function applyHiding() {
  const parts = hidden(page.state);
  for (const node of document.querySelectorAll("#play [data-part]")) node.hidden = parts.has(node.dataset.part);
}

export async function openPlay(state) {
  const first = !page.state;
  // Back from a lesson: the run goes on as it was.
  if (page.facts && address(page.state) === write(state)) { drawAll(); return; }
  page.state = state;
  if (first) {
    page.names = await ask("names");
    $("version").textContent = `chainrule ${page.names.version}.`;
    attach($("diagram"), {
      choose: guarded(async (index, focus) => { await choose(index); if (focus) focusOn(index); }),
      drag: (index, by) => {
        if (dragged.index !== index) Object.assign(dragged, { index, from: valueOf(index) });
        setParameter(index, dragged.from + Math.max(0.2, Math.abs(dragged.from)) * by / 80);
      },
      dropped: guarded(async () => { dragged.index = null; await inTurn(() => refresh(true)); drawAll(); }),
      nudge: guarded(async (index, steps) => { await setParameter(index, valueOf(index) + steps * 0.01); focusOn(index); }),
    });
    $("train").addEventListener("click", guarded(() => { if (page.running) page.running = false; else return run(); }));
    $("step").addEventListener("click", guarded(async () => { page.running = false; await inTurn(async () => { await advance("step", 1); await refresh(true); }); drawAll(); }));
    $("reset").addEventListener("click", guarded(async () => {
      page.running = false;
      if (page.state.start === "edited") page.state.start = page.state.data === "tutorial" && page.state.hidden === "3,2" && page.state.activation === "relu" ? "figure8" : "seed";
      page.state.run = "0";
      await inTurn(async () => { page.facts = await ask("reset"); await begin(); });
      drawAll();
    }));
    $("more").addEventListener("submit", guarded(async (event) => {
      event.preventDefault();
      const epochs = Math.round(Number($("count").value));
      if (!(epochs >= 1 && epochs <= 1e7)) throw new Error("epochs: expected a whole number from 1 to 10,000,000");
      await run(epochs);
    }));
    for (const name of ["ledger", "walk"]) $(`tab-${name}`).addEventListener("click", guarded(async () => {
      show(name);
      if (name === "walk") { page.walk = await inTurn(() => ask("walk", { row: rowIndex() })); page.walkAt = Math.max(0, page.walkAt); } else page.walkAt = -1;
      drawRun();
    }));
    document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      const other = document.activeElement.id === "tab-ledger" ? "tab-walk" : "tab-ledger";
      $(other).focus();
      $(other).click();
    });
    let wide = innerWidth;
    addEventListener("resize", () => { if (page.outcome && innerWidth !== wide) { wide = innerWidth; drawOutcome(); } });
  }
  await guarded(load)();
  if (!page.facts) drawAll();
}

/** Another view is opened. */
export const pause = () => { page.running = false; };

export const redraw = () => { if (page.facts) drawAll(); };
