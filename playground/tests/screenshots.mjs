// The page's pictures for the documentation.
import path from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const root = path.resolve(path.dirname(new URL(import.meta.url).pathname), "../..");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });

async function shot(name, hash, { width = 1360, height = 1000, colorScheme = "light" } = {}, prepare = async () => {}) {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme });
  await page.goto(pathToFileURL(path.join(root, "target/playground.html")).href + hash);
  await page.waitForSelector("html[data-ready]");
  await prepare(page);
  await page.waitForTimeout(300);
  await page.screenshot({ path: path.join(root, `docs/images/playground-${name}.png`) });
  await page.close();
}

/** A table with numbers, categories and gaps. */
function houses() {
  let seed = 7;
  const draw = () => { seed = (seed * 1103515245 + 12345) % 2147483648; return seed / 2147483648; };
  const line = () => {
    const size = Math.round(draw() * 2000) / 10, street = ["Elm", "Oak", "Ash"][Math.floor(draw() * 3)], age = draw() < 0.1 ? "" : Math.floor(draw() * 90);
    return `${size},${street},${age},${Math.round(size * 12 + (street === "Oak" ? 300 : 0) - Number(age) * 4 + draw() * 80)}`;
  };
  return ["size,street,age,price", ...Array.from({ length: 400 }, line)].join("\n");
}

await shot("desktop", "#weight=1", { width: 1240, height: 900 });
await shot("dark", "#data=gauss&hidden=3&run=60&weight=2", { width: 1080, height: 800, colorScheme: "dark" });
await shot("phone", "#weight=1", { width: 390, height: 844 }, (page) => page.evaluate(() => scrollTo(0, 190)));
await shot("lesson", "#view=lessons&lesson=class", { width: 1200, height: 900 }, async (page) => {
  await page.fill('[data-exercise="10"] [data-field="dZ"]', "derivatives[f'dZ{l+1}'] @ self.params[f'W{l+1}'].T");
  await page.fill('[data-exercise="10"] [data-field="dW"]', "coef[f'x{l-1}'].T @ derivatives[f'dZ{l}']");
  await page.click('[data-exercise="10"] button.primary');
  await page.waitForSelector('[data-exercise="10"] .said.bad');
  await page.locator('[data-exercise="10"]').evaluate((box) => scrollTo(0, box.getBoundingClientRect().top + scrollY - 420));
});
await shot("csv", "#data=csv&hidden=4,3", { width: 1180, height: 860 }, async (page) => {
  await page.setInputFiles("#file", { name: "houses.csv", mimeType: "text/csv", buffer: Buffer.from(houses()) });
  await page.waitForFunction(() => document.querySelector("#command")?.textContent.includes("houses.csv"));
  await page.fill("#count", "60");
  await page.click("#more button");
  await page.waitForFunction(() => document.getElementById("epoch").textContent === "60" && !document.querySelector("#train.running"), null, { timeout: 60000 });
});
await browser.close();
