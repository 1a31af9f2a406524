// How things are written: numbers, symbols, elements.

/** At most `digits` significant digits, with a true minus sign. */
export function tell(x, digits = 6) {
  if (x === null || x === undefined || Number.isNaN(x)) return "–";
  if (x === 0) return "0";
  const size = Math.abs(x);
  const text = size < 1e-4 || size >= 1e9 ? x.toExponential(Math.min(digits - 1, 3)) : String(Number(x.toPrecision(digits)));
  return text.replace("-", "−").replace("e-", "e−").replace("e+", "e");
}

/** Two decimals where there is room for no more. */
export function short(x) {
  const size = Math.abs(x);
  if (size === 0) return "0";
  if (size < 0.0005 || size >= 1e5) return x.toExponential(0).replace("-", "−").replace("e-", "e−").replace("e+", "e");
  const text = size < 0.00995 ? x.toFixed(3) : size < 100 ? x.toFixed(2) : x.toFixed(1);
  return text.replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "").replace("-", "−");
}

const UP = "⁰¹²³⁴⁵⁶⁷⁸⁹⁽⁾ᵐᵀˡᴸ⁺⁻", UP_PLAIN = "0123456789()mTlL+−", DOWN = "₀₁₂₃₄₅₆₇₈₉‚ᵢⱼₖₘ", DOWN_PLAIN = "0123456789,ijkm";

function runs(text) {
  const all = [];
  for (const c of text) {
    let level = 0, plain = c;
    if (UP.includes(c)) { level = 1; plain = UP_PLAIN[[...UP].indexOf(c)]; }
    else if (DOWN.includes(c)) { level = -1; plain = DOWN_PLAIN[[...DOWN].indexOf(c)]; }
    const last = all.at(-1);
    if (last && last[0] === level) last[1] += plain;
    else all.push([level, plain]);
  }
  return all;
}

/** A symbol such as w⁽¹⁾₁₂ as an element, its indices above and below one another. */
export function math(text) {
  const span = el("span", { class: "math" });
  const parts = runs(text);
  for (let i = 0; i < parts.length; i += 1) {
    const [level, run] = parts[i];
    if (level === 1 && parts[i + 1]?.[0] === -1) {
      span.append(el("span", { class: "pair-s" }, el("span", {}, run), el("span", {}, parts[i + 1][1])));
      i += 1;
    } else if (level === 1) span.append(el("sup", {}, run));
    else if (level === -1) span.append(el("sub", {}, run));
    else span.append(run);
  }
  return span;
}

/** The same as SVG's tspans. */
export function svgMath(text, attributes = {}) {
  const node = svg("text", attributes);
  let shift = 0;
  for (const [level, run] of runs(text)) {
    const at = level === 1 ? -4.5 : level === -1 ? 3.5 : 0;
    const tspan = svg("tspan", level === 0 ? { dy: at - shift } : { dy: at - shift, "font-size": "72%" });
    tspan.textContent = run;
    shift = at;
    node.append(tspan);
  }
  return node;
}

export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null && value !== undefined) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

export function save(bytes, name, type = "application/octet-stream") {
  const link = el("a", { href: URL.createObjectURL(new Blob([bytes], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export function copyButton(text) {
  const button = el("button", { type: "button", class: "small quiet" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select it and copy";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1600);
  });
  return button;
}

export const isDark = () => document.documentElement.dataset.theme === "dark";
