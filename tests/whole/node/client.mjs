// Talks to the gateway with OpenAI's SDK for Node and writes what it got as JSON; run by test_node_sdk.py.
//
// Its argument is the gateway's base URL.  The SDK is looked for where LLMGATEWAY_NODE_MODULES says.

import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.LLMGATEWAY_NODE_MODULES, "none.js"));
const { default: OpenAI } = require("openai");

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "sk-of-the-client", maxRetries: 0 });
const messages = [{ role: "user", content: "Hello" }];

/** The headers of a request: its id, and what the simulator is asked to do wrong. */
function named(id, drill) {
  return { headers: { "x-request-id": id, ...(drill && { "x-simulate": drill }) } };
}

async function failure(request) {
  try {
    await request;
    return null;
  } catch (error) {
    return { name: error.constructor.name, status: error.status, code: error.code, message: error.message };
  }
}

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

async function abort() {
  const body = { model: "any", messages, stream: true };
  const stream = await client.chat.completions.create(
    body,
    named("node-aborted", "words=100000000, chunks=100000000"),
  );
  for await (const chunk of stream) return chunk.choices[0].delta.role; // leaving the loop aborts the request
}

const chat = (extra, options) => client.chat.completions.create({ model: "any", messages, ...extra }, options);
const models = [];
for await (const model of client.models.list()) models.push(model.id);

const seen = {
  whole: await chat({}, named("node-whole")),
  streamed: await collect(await chat({ stream: true }, named("node-streamed"))),
  streamedWithUsage: await collect(await chat({ stream: true, stream_options: { include_usage: true } })),
  aborted: await abort(),
  broken: await failure(chat({ stream: true }, named("node-broken", "cut-after=3")).then(collect)),
  embeddings: (await client.embeddings.create({ model: "any", input: ["one", "two"] })).data.map(
    (each) => each.embedding.length,
  ),
  completion: (await client.completions.create({ model: "any", prompt: "Hello" })).choices[0].text,
  models,
  failures: {
    limited: await failure(chat({}, named("node-limited", "status=429"))),
    unavailable: await failure(chat({}, named("node-unavailable", "status=503"))),
    reset: await failure(chat({}, named("node-reset", "reset"))),
    badMessages: await failure(chat({ messages: "Hello" })),
    noRoute: await failure(client.files.list()),
  },
};
process.stdout.write(JSON.stringify(seen));
