// The page: which view is open, light or dark, the link to share.

import { startLibrary } from "./api.js";
import { copyButton, el } from "./format.js";
import { openLessons, redrawLesson } from "./lessons.js";
import { PARTS, openPlay, pause, redraw, say } from "./play.js";
import { hidden, read, write } from "./state.js";

const $ = (id) => document.getElementById(id);

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
}

let stored = null;
try { stored = localStorage.getItem("theme"); } catch { /* a page from disk may have no storage */ }
setTheme(stored ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
$("theme").addEventListener("click", () => {
  setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  try { localStorage.setItem("theme", document.documentElement.dataset.theme); } catch { /* then not */ }
  redraw();
  redrawLesson();
});

async function open() {
  const state = read();
  const lessons = state.view === "lessons";
  $("play").hidden = lessons;
  $("lessons").hidden = !lessons;
  for (const link of document.querySelectorAll(".top nav a")) {
    if (link.dataset.view === state.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = lessons ? "Lessons – Chainrule playground" : "Chainrule playground: a neural network you can see through";
  if (lessons) pause();
  if (lessons) await openLessons(state);
  else await openPlay(state);
}

$("share").addEventListener("click", () => {
  const state = read(), off = hidden(state);
  const link = el("pre", { class: "wrap", tabindex: 0 });
  const update = () => { link.textContent = location.href.replace(/#.*/, "") + write({ ...state, hide: [...off].join(",") }); };
  const tick = (name) => el("label", {}, el("input", { type: "checkbox", checked: off.has(name), onchange: (event) => { if (event.target.checked) off.add(name); else off.delete(name); update(); } }), name);
  update();
  $("dialog-title").textContent = "A link to this page as it stands";
  $("dialog-body").replaceChildren(
    el("p", {}, "Whoever opens the link sees the same data, network and options, and the same numbers. Weights set by hand and your own table are not in it: they stay with you."),
    el("p", {}, "For a class, hide what shall not distract:"), el("div", { class: "ticks" }, ...PARTS.map(tick)), link, copyButton(() => link.textContent));
  $("dialog").showModal();
});

addEventListener("hashchange", () => open().catch((error) => say(error.message)));

try {
  if (typeof WebAssembly !== "object" || typeof DecompressionStream !== "function") throw new Error("This browser is too old for the page: it needs WebAssembly and DecompressionStream (Chrome 80, Firefox 113, Safari 16.4 or newer).");
  await startLibrary();
  await open();
  document.documentElement.dataset.ready = "true";
} catch (error) {
  say(error.message);
}
