// The live diagram: neurons, receptors, weights that can be taken hold of, and the arcs of the chain rule.

import { svg, svgMath, short, tell } from "./format.js";

const ACROSS = 206, RADIUS = 20, BOX = 46, TALL = 30, MOST = 8;

/** Which units of a layer are shown: all, or the first some. */
function shown(layer) {
  const n = layer.neurons.length;
  return n <= MOST + 2 ? [...Array(n).keys()] : [...Array(MOST).keys()];
}

export function drawDiagram(view, choice) {
  const layers = view.layers;
  const most = Math.max(...layers.map((layer) => shown(layer).length + (shown(layer).length < layer.neurons.length ? 0.6 : 0)));
  const down = most <= 4 ? 112 : most <= 6 ? 78 : 56;
  const hasNames = layers[0].names.length > 0;
  const left = hasNames ? 118 : 44, width = left + (layers.length - 1) * ACROSS + 150, top = 66;
  const paths = choice.ledger?.paths?.slice(0, 6) ?? [];
  const above = paths.length ? 54 : 0;
  const height = top + above + most * down + 26;
  const x = (l) => left + l * ACROSS;
  const y = (l, i) => {
    const count = shown(layers[l]).length + (shown(layers[l]).length < layers[l].neurons.length ? 0.6 : 0);
    return top + above + (most - count) * down / 2 + i * down + down / 2;
  };
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "The network: choose a weight" });
  const edges = svg("g"), tags = svg("g"), units = svg("g"), arcs = svg("g");
  root.append(edges, units, tags, arcs);
  const walking = choice.walk;
  const known = (l, i, letter) => !walking || l === 0 || walking.known.has(`${l} ${i} ${letter}`);
  const isNow = (l, i, letter) => walking?.now === `${l} ${i} ${letter}`;
  const active = choice.parameter;
  const places = new Map();
  let first = true;

  layers.forEach((layer, l) => {
    root.append(svg("text", { x: x(l) - (l ? BOX / 2 : 0), y: 20, "text-anchor": "middle", class: "title" }, `Layer ${l}`));
    const kind = l === 0 ? "input" : l === layers.length - 1 ? "output" : layer.activation ?? "hidden";
    root.append(svg("text", { x: x(l) - (l ? BOX / 2 : 0), y: 37, "text-anchor": "middle", class: "sub" }, kind));
    if (l === 0) return;
    const before = layers[l - 1], from = shown(before), to = shown(layer);
    const largest = Math.max(1e-12, ...layer.weights.map(Math.abs));
    const tagged = from.length * to.length <= 16, placed = [];
    for (const j of to) for (const i of from) {
      const index = layer.weights_at + i * layer.neurons.length + j, value = layer.weights[i * layer.neurons.length + j];
      const x0 = x(l - 1) + RADIUS, y0 = y(l - 1, from.indexOf(i)), x1 = x(l) - RADIUS - BOX, y1 = y(l, to.indexOf(j));
      const symbol = `w${up(l)}${low(i + 1)}${i > 8 || j > 8 ? "‚" : ""}${low(j + 1)}`;
      const chosen = index === active;
      const edge = svg("g", {
        class: `edge${active !== undefined && paths.length && !chosen ? " dim" : ""}`, tabindex: chosen || (active === undefined && first) ? 0 : -1, role: "button",
        "aria-pressed": chosen, "aria-label": `weight from neuron ${i + 1} of layer ${l - 1} to neuron ${j + 1} of layer ${l}, ${short(value)}`, "data-index": index,
      });
      edge.append(
        svg("line", { x1: x0, y1: y0, x2: x1, y2: y1, class: "hit" }),
        svg("line", {
          x1: x0, y1: y0, x2: x1, y2: y1, class: "line", stroke: chosen ? "var(--p0)" : value < 0 ? "var(--minus)" : "var(--plus)",
          "stroke-width": chosen ? 3.2 : 0.7 + 2.6 * Math.abs(value) / largest, "stroke-opacity": chosen ? 1 : 0.78, "stroke-linecap": "round",
        }),
      );
      edge.append(svg("title", {}, `${symbol} = ${tell(value, 8)}`));
      // Near the start, where no other label is.
      const place = (t) => [x0 + t * (x1 - x0), y0 + t * (y1 - y0)];
      const free = ([ax, ay]) => !placed.some(([bx, by]) => Math.abs(ax - bx) < 36 && Math.abs(ay - by) < 15);
      const [px, py] = [0.3, 0.22, 0.38, 0.46, 0.54, 0.62, 0.7].map(place).find(free) ?? place(0.3);
      if (tagged) placed.push([px, py]);
      edge.append(svg("circle", { class: "ring", cx: px, cy: py, r: 14 }));
      places.set(index, [px, py]);
      if (tagged || chosen) {
        const tag = svg("text", { x: px, y: py + 4, "text-anchor": "middle", class: "tag", "font-weight": chosen ? 700 : 400 }, short(value));
        tag.style.fill = chosen ? "var(--p0)" : value < 0 ? "var(--minus)" : "var(--plus)";
        edge.append(tag);
      }
      first = false;
      edges.append(edge);
    }
    if (to.length < layer.neurons.length) root.append(more(x(l), y(l, to.length - 0.2), layer.neurons.length - to.length));
  });
  if (shown(layers[0]).length < layers[0].neurons.length) root.append(more(x(0), y(0, shown(layers[0]).length - 0.2), layers[0].neurons.length - MOST));

  layers.forEach((layer, l) => {
    for (const i of shown(layer)) {
      const at = shown(layer).indexOf(i), cy = y(l, at), neuron = layer.neurons[i];
      const kind = l === 0 ? "input" : l === layers.length - 1 ? "output" : "hidden";
      if (l > 0) {
        const z = layer.receptors[i], index = layer.biases_at + i, chosen = index === active;
        const box = svg("g", { class: `box${isNow(l, i, "z") ? " now" : ""}${known(l, i, "z") ? "" : " unknown"}`, "data-index": index, role: "button", tabindex: chosen ? 0 : -1, "aria-pressed": chosen, "aria-label": `${known(l, i, "z") ? short(z.value) : "?"}, the receptor of neuron ${i + 1} of layer ${l}; bias ${short(layer.biases[i])}` });
        box.append(svg("rect", { x: x(l) - RADIUS - BOX, y: cy - TALL / 2, width: BOX + 2, height: TALL, rx: 5, fill: "var(--receptor)", stroke: chosen ? "var(--p0)" : "var(--receptor-line)", "stroke-width": chosen ? 2.4 : 1.2 }));
        box.append(svg("title", {}, `${z.symbol} = ${tell(z.value, 10)}; bias ${tell(layer.biases[i], 8)}`));
        box.append(svg("text", { x: x(l) - RADIUS - BOX / 2, y: cy + 4, "text-anchor": "middle", "font-size": 11.5 }, known(l, i, "z") ? short(z.value) : "?"));
        units.append(box);
      }
      const group = svg("g", { class: `${isNow(l, i, "x") ? "now" : ""}${known(l, i, "x") ? "" : " unknown"}` });
      group.append(svg("circle", { cx: x(l), cy, r: RADIUS, fill: `var(--${kind})`, stroke: `var(--${kind}-line)`, "stroke-width": 1.5 }));
      group.append(svg("title", {}, `${neuron.symbol} = ${tell(neuron.value, 10)}`));
      group.append(svg("text", { x: x(l), y: cy + 4, "text-anchor": "middle", "font-size": 11.5 }, known(l, i, "x") ? short(neuron.value) : "?"));
      units.append(group);
      if (l === 0 && layer.names[i]) {
        const name = layer.names[i].length > 13 ? `${layer.names[i].slice(0, 12)}…` : layer.names[i];
        units.append(svg("text", { x: x(0) - RADIUS - 8, y: cy + 4, "text-anchor": "end", "font-size": 12.5, class: "sub" }, name));
      }
    }
  });

  // The cost, at the right of the output.
  const last = layers.length - 1, jx = x(last) + 86, jy = top + above + most * down / 2;
  for (const i of shown(layers[last])) root.append(svg("line", { x1: x(last) + RADIUS, y1: y(last, i), x2: jx - 12, y2: jy, stroke: "var(--strong)", "stroke-width": 1.3 }));
  root.append(svg("text", { x: jx, y: jy - 2, "font-size": 15, "font-weight": 650, "text-anchor": "middle" }, "J"));
  root.append(svg("text", { x: jx - 4, y: jy + 17, "font-size": 11.5, class: "sub", "text-anchor": "middle" }, short(view.row_loss)));

  // Arcs: from J back to the weight, one colour a path.
  const labelled = new Set();
  paths.forEach((path, n) => {
    const colour = `var(--p${n % 6})`;
    const points = [[jx - 8, jy - 10]];
    // With an identity at the output the prediction is no stage of its own; its factor is told all the same.
    if (path.factors.length === path.units.length + 2) {
      const at = shown(layers[last]).indexOf(path.units.at(-1)[1]);
      points.push([x(last), y(last, Math.max(0, at)) - RADIUS]);
    }
    for (const [stage, unit] of [...path.units].reverse()) {
      const place = placeOf(layers, stage, unit, x, y);
      if (place) points.push(place);
    }
    const end = places.get(choice.ledger.index);
    const hidden = path.units.some(([stage, unit]) => !placeOf(layers, stage, unit, x, y));
    if (hidden) return;
    points.push(end ?? points.at(-1));
    const lift = 12 + 9 * n;
    points.slice(1).forEach((to, k) => {
      const from = points[k];
      const mx = (from[0] + to[0]) / 2, my = Math.min(from[1], to[1]) - lift - Math.abs(from[0] - to[0]) * 0.12;
      arcs.append(svg("path", { class: "arc", d: `M${from[0]} ${from[1]} Q${mx} ${my} ${to[0]} ${to[1]}`, stroke: colour, "marker-end": "url(#tip-head)" }));
      const factor = path.factors[k];
      const spot = `${from} ${to}`;
      if (!labelled.has(spot) && paths.length <= 2 && layers.length <= 5) {
        labelled.add(spot);
        const label = svg("text", { x: mx, y: (from[1] + to[1]) / 4 + my / 2 - 5 - 10 * n, "text-anchor": "middle", class: "arc-label" }, short(factor.value));
        label.style.fill = colour;
        arcs.append(label);
      }
    });
  });
  root.prepend(svg("defs", {}, svg("marker", { id: "tip-head", viewBox: "0 0 8 8", refX: 6, refY: 4, markerWidth: 6, markerHeight: 6, orient: "auto" }, svg("path", { d: "M0 0 8 4 0 8z", fill: "context-stroke" }))));
  if (paths.length) for (const edge of edges.children) if (Number(edge.dataset.index) !== active) edge.classList.add("faded");
  return root;
}

/** Where a stage's unit stands: receptors and neurons by the stage that the library gives them. */
function placeOf(layers, stage, unit, x, y) {
  for (const [l, layer] of layers.entries()) {
    const at = shown(layer).indexOf(unit);
    if (at < 0) continue;
    if (layer.stage_z === stage) return [x(l) - RADIUS - BOX / 2, y(l, at) - TALL / 2];
    if (layer.stage_x === stage) return [x(l), y(l, at) - RADIUS];
  }
  return null;
}

function more(x, y, count) {
  return svg("text", { x, y, "text-anchor": "middle", class: "sub" }, `⋮ ${count} more`);
}

const up = (n) => `⁽${[...String(n)].map((d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]).join("")}⁾`;
const low = (n) => [...String(n)].map((d) => "₀₁₂₃₄₅₆₇₈₉"[d]).join("");

/** Click, drag and keys; the diagram is drawn anew meanwhile, its place stays. */
export function attach(root, hooks) {
  let held = null;
  root.addEventListener("pointerdown", (event) => {
    const target = event.target.closest("[data-index]");
    if (!target || event.button) return;
    held = { index: Number(target.dataset.index), y: event.clientY, moved: false, edge: target.classList.contains("edge") };
  });
  const move = (event) => {
    if (!held || !held.edge) return;
    const by = held.y - event.clientY;
    if (!held.moved && Math.abs(by) < 4) return;
    if (!held.moved) root.setPointerCapture(event.pointerId);
    held.moved = true;
    event.preventDefault();
    hooks.drag(held.index, by);
  };
  root.addEventListener("pointermove", move);
  root.addEventListener("pointerup", () => {
    if (held && !held.moved) hooks.choose(held.index);
    else if (held) hooks.dropped(held.index);
    held = null;
  });
  root.addEventListener("pointercancel", () => { held = null; });
  root.addEventListener("keydown", (event) => {
    const target = event.target.closest("[data-index]");
    if (!target) return;
    const order = [...root.querySelectorAll(".edge")].map((edge) => Number(edge.dataset.index));
    const index = Number(target.dataset.index), at = order.indexOf(index);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step && at >= 0) hooks.choose(order[(at + step + order.length) % order.length], true);
    else if (event.key === "Enter" || event.key === " ") hooks.choose(index, true);
    else if (event.key === "ArrowUp" || event.key === "ArrowDown") hooks.nudge(index, (event.key === "ArrowUp" ? 1 : -1) * (event.shiftKey ? 10 : 1));
    else return;
    event.preventDefault();
  });
}
