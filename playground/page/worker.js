// The worker: it holds the library and answers the page's questions. Nothing else is here, and nothing leaves it but answers.
let library;

async function start(packed) {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const { instance } = await WebAssembly.instantiate(await new Response(stream).arrayBuffer(), {});
  library = instance.exports;
}

function call(request) {
  const bytes = new TextEncoder().encode(JSON.stringify(request));
  const at = library.chainrule_room(bytes.length);
  new Uint8Array(library.memory.buffer, at, bytes.length).set(bytes);
  const length = library.chainrule_call();
  const answer = new Uint8Array(library.memory.buffer, library.chainrule_answer(), length).slice();
  // A file is bytes; an error is JSON whatever was asked for.
  const json = !request.raw || (answer[0] === 123 && new TextDecoder().decode(answer.slice(0, 9)) === '{"error":');
  return json ? JSON.parse(new TextDecoder().decode(answer)) : answer;
}

onmessage = async ({ data }) => {
  try {
    if (data.packed) {
      await start(data.packed);
      postMessage({ id: data.id, answer: {} });
    } else {
      postMessage({ id: data.id, answer: call(data.request) });
    }
  } catch (error) {
    // A trap: the module's state is lost, the page starts another worker.
    postMessage({ id: data.id, failed: String(error) });
  }
};
