// The library, as the page sees it: questions to the worker, answers as promises.

let worker, packed, next = 0;
const waiting = new Map();

function begin() {
  const source = document.getElementById("worker").textContent;
  worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  worker.onmessage = ({ data }) => {
    const { resolve, reject } = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.failed) reject(new Error(`the library stopped: ${data.failed}. Reload the page to go on.`));
    else if (data.answer.error) reject(new Error(data.answer.error));
    else resolve(data.answer);
  };
  return send({ packed });
}

function send(message) {
  return new Promise((resolve, reject) => {
    next += 1;
    waiting.set(next, { resolve, reject });
    worker.postMessage({ id: next, ...message });
  });
}

export async function startLibrary() {
  const text = document.getElementById("wasm").textContent.trim();
  packed = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  await begin();
}

/** Asks the library; rejects with its message. */
export function ask(op, fields = {}) {
  return send({ request: { op, ...fields } });
}

/** Asks for a file's bytes. */
export function askBytes(op) {
  return send({ request: { op, raw: true } });
}
