// Puts the page together: one HTML file, with styles, scripts, worker and the packed module inside.
//   node build.mjs MODULE.wasm OUT.html STAMP
import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";

const [, , module, out, stamp] = process.argv;
const here = path.join(path.dirname(new URL(import.meta.url).pathname), "page");
const read = (name) => fs.readFileSync(path.join(here, name), "utf8");

/** Modules in the order in which they need one another, without their import and export. */
function bundle(name, seen = new Map()) {
  if (seen.has(name)) return seen;
  seen.set(name, "");
  const text = read(name);
  for (const [, other] of text.matchAll(/^import .* from "\.\/(.*)";$/gm)) bundle(other, seen);
  const body = text.replace(/^import .*;$/gm, "").replace(/^export (?=(async |const |function |let |class ))/gm, "");
  if (/^(import|export) /m.test(body)) throw new Error(`${name}: an import or export that the bundle does not know`);
  seen.delete(name);
  return seen.set(name, body);
}

const declared = new Map();
// Modules share one scope here: each keeps its own names in a block, and hands out what others import.
const exported = (name) => [...read(name).matchAll(/^export (?:async )?(?:const|function|let|class) (\w+)/gm)].map((m) => m[1]);
let script = "";
for (const [name, body] of bundle("main.js")) {
  const names = exported(name);
  for (const one of names) {
    if (declared.has(one)) throw new Error(`${one} is exported by ${name} and ${declared.get(one)}`);
    declared.set(one, name);
  }
  script += name === "main.js" ? body : `const { ${names.join(", ")} } = (() => {\n${body}\nreturn { ${names.join(", ")} };\n})();\n`;
}
const packed = zlib.gzipSync(fs.readFileSync(module), { level: 9 });
const parts = { "/*{{style}}*/": read("style.css"), "{{worker}}": read("worker.js"), "{{script}}": script, "{{wasm}}": packed.toString("base64") };
let html = read("index.html");
for (const [place, text] of Object.entries(parts)) {
  if (!html.includes(place)) throw new Error(`index.html has no ${place}`);
  if (text.includes("</script")) throw new Error(`${place} would end its element`);
  html = html.replace(place, () => text);
}
html = html.replace("<html lang=\"en\">", `<html lang="en" data-sources="${stamp}">`);
fs.mkdirSync(path.dirname(out), { recursive: true });
fs.writeFileSync(out, html);
console.log(`${out}: ${(html.length / 1e6).toFixed(2)} MB, the module ${(packed.length / 1e6).toFixed(2)} MB of it before base64`);
