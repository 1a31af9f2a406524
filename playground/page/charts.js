// Pictures on canvases: the loss over the epochs, the surface, predictions beside the truth.

import { short, tell, isDark } from "./format.js";

const BLUE = [59, 125, 216], ORANGE = [217, 119, 59];
const CLASSES = [[59, 125, 216], [217, 119, 59], [47, 139, 78], [150, 90, 200], [200, 60, 110], [20, 140, 150], [160, 130, 30], [110, 120, 135]];

function prepare(canvas, ratio) {
  const width = canvas.clientWidth || 300, height = width * ratio, scale = Math.min(devicePixelRatio || 1, 2);
  canvas.width = width * scale;
  canvas.height = height * scale;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.clearRect(0, 0, width, height);
  pen.font = "11px system-ui, sans-serif";
  return { pen, width, height };
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Lines over an axis; each series is { name, points: [[x, y]], colour }. */
export function drawLines(canvas, series, { ratio = 0.42, log = false, ys = null } = {}) {
  const { pen, width, height } = prepare(canvas, ratio);
  const points = series.flatMap((one) => one.points).filter(([, y]) => Number.isFinite(y) && (!log || y > 0));
  const pad = { left: 46, right: 10, top: 10, bottom: 20 };
  if (!points.length) {
    pen.fillStyle = colour("--quiet");
    pen.fillText("Train, and the loss appears here.", 14, height / 2);
    return;
  }
  const f = (y) => (log ? Math.log10(y) : y);
  let [x0, x1] = [Math.min(...points.map((p) => p[0])), Math.max(...points.map((p) => p[0]))];
  let [y0, y1] = ys ?? [Math.min(...points.map((p) => f(p[1]))), Math.max(...points.map((p) => f(p[1])))];
  if (x1 === x0) x1 = x0 + 1;
  if (!ys && !log && y0 > 0 && y0 < 0.6 * y1) y0 = 0;
  if (y1 - y0 < 1e-12) { y1 += Math.abs(y1) * 0.05 + 1e-9; y0 -= Math.abs(y0) * 0.05 + 1e-9; }
  const px = (x) => pad.left + (x - x0) / (x1 - x0) * (width - pad.left - pad.right);
  const py = (y) => pad.top + (y1 - f(y)) / (y1 - y0) * (height - pad.top - pad.bottom);
  pen.strokeStyle = colour("--line");
  pen.fillStyle = colour("--quiet");
  pen.lineWidth = 1;
  for (let n = 0; n <= 3; n += 1) {
    const level = y0 + (y1 - y0) * n / 3, y = pad.top + (y1 - level) / (y1 - y0) * (height - pad.top - pad.bottom);
    pen.beginPath(); pen.moveTo(pad.left, y); pen.lineTo(width - pad.right, y); pen.stroke();
    pen.textAlign = "right";
    pen.fillText(short(log ? 10 ** level : level), pad.left - 6, y + 4);
  }
  pen.textAlign = "left"; pen.fillText(tell(x0, 4), pad.left, height - 5);
  pen.textAlign = "right"; pen.fillText(tell(x1, 6), width - pad.right, height - 5);
  for (const one of series) {
    pen.strokeStyle = one.colour;
    pen.lineWidth = 2;
    pen.lineJoin = "round";
    pen.setLineDash(one.dashed ? [5, 4] : []);
    pen.beginPath();
    one.points.filter(([, y]) => Number.isFinite(y) && (!log || y > 0)).forEach(([x, y], i) => (i ? pen.lineTo(px(x), py(y)) : pen.moveTo(px(x), py(y))));
    pen.stroke();
  }
  pen.setLineDash([]);
}

function mixed(t) {
  // From orange over the ground to blue.
  const ground = isDark() ? [32, 38, 46] : [244, 246, 249], end = t < 0.5 ? ORANGE : BLUE, share = Math.min(1, Math.abs(t - 0.5) * 2) * 0.86;
  return end.map((c, i) => ground[i] + (c - ground[i]) * share);
}

const faded = (c, share) => { const ground = isDark() ? [32, 38, 46] : [244, 246, 249]; return c.map((v, i) => ground[i] + (v - ground[i]) * share); };

/** The surface over two columns, with the rows upon it. */
export function drawSurface(canvas, outcome) {
  const { pen, width, height } = prepare(canvas, 0.92);
  const { size, values, ranges } = outcome.surface;
  const classes = outcome.task === "classification", several = classes && values[0].length > 1;
  const truths = outcome.points.map((point) => point.y), all = classes ? [0, 1] : truths.concat(values.map((v) => v[0]));
  const low = Math.min(...all), high = Math.max(...all);
  const share = (v) => (high > low ? (v - low) / (high - low) : 0.5);
  // Two classes: the first is blue, as the dots are.
  const shade = (v) => (several ? faded(CLASSES[v[0] % 8], Math.max(0, v[1] * 1.4 - 0.5)) : mixed(classes ? 1 - v[0] : share(v[0])));
  const image = new ImageData(size, size);
  values.forEach((v, n) => { const c = shade(v); image.data.set([c[0], c[1], c[2], 255], 4 * n); });
  const small = Object.assign(document.createElement("canvas"), { width: size, height: size });
  small.getContext("2d").putImageData(image, 0, 0);
  const pad = { left: 34, bottom: 22 };
  const w = width - pad.left, h = height - pad.bottom;
  pen.fillStyle = colour("--card");
  pen.fillRect(0, 0, width, height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(small, pad.left, 0, w, h);
  const px = (x) => pad.left + (x - ranges[0][0]) / (ranges[0][1] - ranges[0][0]) * w;
  const py = (y) => (ranges[1][1] - y) / (ranges[1][1] - ranges[1][0]) * h;
  const radius = outcome.points.length > 250 ? 2.6 : 4.2;
  for (const point of outcome.points) {
    const c = classes ? CLASSES[point.y % 8] : mixed(share(point.y));
    pen.beginPath();
    pen.arc(px(point.x[0]), py(point.x[1]), radius, 0, 7);
    pen.fillStyle = `rgb(${c.map(Math.round)})`;
    pen.strokeStyle = point.scoring ? "#111" : "#fff";
    pen.lineWidth = 1.3;
    pen.fill();
    pen.stroke();
  }
  pen.fillStyle = colour("--quiet");
  pen.textAlign = "left"; pen.fillText(tell(ranges[0][0], 3), pad.left, height - 7);
  pen.textAlign = "center"; pen.fillText(outcome.columns[0], pad.left + w / 2, height - 7);
  pen.textAlign = "right"; pen.fillText(tell(ranges[0][1], 3), width, height - 7);
  pen.fillText(tell(ranges[1][1], 3), pad.left - 5, 11); pen.fillText(tell(ranges[1][0], 3), pad.left - 5, h - 2);
  pen.save(); pen.translate(12, h / 2); pen.rotate(-Math.PI / 2); pen.textAlign = "center"; pen.fillText(outcome.columns[1], 0, 0); pen.restore();
  return { low, high };
}

/** Predictions beside the truth, on one scale. */
export function drawScatter(canvas, points) {
  const { pen, width, height } = prepare(canvas, 0.86);
  const all = points.flatMap((point) => [point.y, point.p[0]]);
  const low = Math.min(...all), high = Math.max(...all), margin = (high - low || 1) * 0.05;
  const pad = { left: 50, bottom: 30, top: 8, right: 8 };
  const px = (v) => pad.left + (v - low + margin) / (high - low + 2 * margin || 1) * (width - pad.left - pad.right);
  const py = (v) => height - pad.bottom - (v - low + margin) / (high - low + 2 * margin || 1) * (height - pad.top - pad.bottom);
  pen.strokeStyle = colour("--strong");
  pen.beginPath(); pen.moveTo(px(low), py(low)); pen.lineTo(px(high), py(high)); pen.stroke();
  for (const point of points) {
    pen.globalAlpha = points.length > 200 ? 0.5 : 0.85;
    pen.fillStyle = colour(point.scoring ? "--minus" : "--plus");
    pen.beginPath(); pen.arc(px(point.y), py(point.p[0]), points.length > 200 ? 2.2 : 4, 0, 7); pen.fill();
  }
  pen.globalAlpha = 1;
  pen.fillStyle = colour("--quiet");
  pen.textAlign = "center"; pen.fillText("truth", (width + pad.left) / 2, height - 6);
  pen.textAlign = "right"; pen.fillText(short(low), pad.left - 4, py(low)); pen.fillText(short(high), pad.left - 4, py(high) + 6);
  pen.save(); pen.translate(12, height / 2); pen.rotate(-Math.PI / 2); pen.textAlign = "center"; pen.fillText("prediction", 0, 0); pen.restore();
}
