// The library, as the page sees it: questions to a worker, answers as promises.

let packed;

/** A worker with a library of its own. */
function worker() {
  const source = document.getElementById("worker").textContent;
  const inner = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const waiting = new Map();
  let next = 0;
  inner.onmessage = ({ data }) => {
    const { resolve, reject } = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.failed) reject(new Error(`the library stopped: ${data.failed}. Reload the page to go on.`));
    else if (data.answer.error) reject(new Error(data.answer.error));
    else resolve(data.answer);
  };
  const send = (message) => new Promise((resolve, reject) => {
    next += 1;
    waiting.set(next, { resolve, reject });
    inner.postMessage({ id: next, ...message });
  });
  return { send, ready: send({ packed }) };
}

let player, teacher;

export async function startLibrary() {
  const text = document.getElementById("wasm").textContent.trim();
  packed = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  player = worker();
  await player.ready;
}

/** Asks the library about the run; rejects with its message. */
export function ask(op, fields = {}) {
  return player.send({ request: { op, ...fields } });
}

/** Asks for a file's bytes. */
export function askBytes(op) {
  return player.send({ request: { op, raw: true } });
}

/** Asks another worker, so that a lesson does not disturb the run. */
export async function askTeacher(op, fields = {}) {
  teacher ??= worker();
  await teacher.ready;
  return teacher.send({ request: { op, ...fields } });
}
