/**
 * Against a running server, at MNEMIC_URL or http://127.0.0.1:8700, that needs no key or the one in MNEMIC_API_KEY.
 * Everything is written under a tenant of its own, and forgotten at the end.
 */

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MnemicClient, MnemicError } from "../dist/index.js";
import { pauseMs, segment } from "../dist/connection.js";

const baseUrl = process.env.MNEMIC_URL ?? "http://127.0.0.1:8700";
const client = new MnemicClient({ baseUrl, apiKey: process.env.MNEMIC_API_KEY ?? "" });
const tenant = client.scope(`typescript-${crypto.randomUUID()}`);
let used = 0;
const scope = () => tenant.scope(`s${++used}`);

after(() => tenant.forget({ everything: true, include_children: true }));

async function all(rows) {
  const found = [];
  for await (const one of rows) found.push(one);
  return found;
}

/** A `fetch` that gives these answers, one after the other; an Error is thrown. */
function scripted(...answers) {
  const asked = [];
  const fetch = async (url, init) => {
    asked.push({ url, ...init });
    const answer = answers[Math.min(asked.length, answers.length) - 1];
    if (answer instanceof Error) throw answer;
    return answer.clone();
  };
  return { fetch, asked };
}

const json = (body, status = 200, headers = {}) =>
  new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json", ...headers } });
const problem = (code, status, headers = {}) =>
  new Response(JSON.stringify({ code, detail: "It is so. Do this." }), {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
  });
const over = (script, options = {}) => new MnemicClient({ baseUrl: "http://x", fetch: script.fetch, ...options });
const NOTHING = { episodes: [], next_cursor: null };

test("what is added is found, in a block for a prompt too", async () => {
  const alice = scope();
  const added = await alice.add("I moved to Porto in March.", { session: "monday", metadata: { topic: "home" } });
  assert.deepEqual(added.is_new, [true]);
  const recall = await alice.search("moved to Porto", { limit: 3, filters: { topic: "home" }, since: "2000-01-01" });
  assert.equal(recall.results[0].text, "I moved to Porto in March.");
  assert.equal(recall.results[0].episode.id, added.episodes[0].id);
  assert.ok(recall.results[0].reasons.length > 0);
  const block = await alice.context("moved to Porto", { budget_tokens: 200 });
  assert.match(block.text, /I moved to Porto in March\./);
  assert.equal(block.citations[0].id, added.episodes[0].id);
  assert.equal((await alice.system("bm25").search("Porto")).system, "bm25");
});

test("a list of messages keeps its order, times and parts", async () => {
  const handle = scope();
  await handle.add([
    { role: "user", name: "Alice", content: "one", id: "1", timestamp: "2024-05-01T10:00:00+02:00" },
    { role: "assistant", content: [{ type: "text", text: "two" }, { type: "image_url", image_url: { url: "x.png" } }], id: "2" },
  ]);
  const [one, two] = await all(handle.list());
  assert.deepEqual([one.id, one.actor, one.occurred_at], ["1", "Alice", "2024-05-01T10:00:00+02:00"]);
  assert.deepEqual(two.parts, [{ type: "image_url", image_url: { url: "x.png" } }]);
  assert.deepEqual(await all(handle.list({ limit: 1, newest_first: true })), [two]);
});

test("more than a page comes page by page", async () => {
  const handle = scope();
  await handle.add(Array.from({ length: 1003 }, (_, n) => ({ content: `note ${n}`, id: `n${n}`, session: `s${n % 2}` })));
  assert.equal((await all(handle.list())).length, 1003);
  assert.equal((await all(handle.list({ limit: 1001 }))).at(-1).id, "n1000");
  assert.deepEqual((await all(handle.sessions())).map((one) => one.session), ["s0", "s1"]);
  assert.deepEqual([...(await handle.scopes()).values()], [1003]);
});

test("a correction keeps the past, and is refused when another came first", async () => {
  const handle = scope();
  await handle.add("I live in Porto.", { id: "home" });
  const newer = await handle.update("home", { text: "I live in Lisbon." });
  assert.equal(newer.supersedes, "home");
  assert.deepEqual((await handle.history("home")).map((one) => one.episode.text), ["I live in Porto.", "I live in Lisbon."]);
  await assert.rejects(handle.update("home", { text: "I live in Faro." }), { code: "EditConflict", status: 409 });
});

test("an id like a path is an id", async () => {
  const handle = scope();
  for (const id of ["a/b?c#d", "../x", "é ü", "%2F", "/", "x/../y"]) {
    await handle.add("odd", { id });
    assert.equal((await handle.get(id)).id, id);
    assert.equal((await tenant.find(id)).length, 1);
  }
});

test("what is forgotten is gone", async () => {
  const handle = scope();
  await handle.add(["a secret", "another"], { session: "s" });
  const receipt = await handle.forget({ session: "s", dry_run: true });
  assert.equal(receipt.episodes, 2);
  assert.equal((await handle.forget({ session: "s" })).episodes, 2);
  assert.deepEqual(await all(handle.list()), []);
  await assert.rejects(handle.delete("nothing"), { code: "EpisodeNotFound", status: 404 });
});

test("why something was not recalled is told", async () => {
  const handle = scope();
  await handle.add("I drink green tea.", { id: "tea", session: "monday" });
  const why = await handle.whyNot("tea", "tea", { session: "tuesday" });
  assert.equal(why.is_recalled, false);
  assert.equal(why.obstacles[0].kind, "session");
});

test("systems are attached, do their work, and go", async () => {
  const handle = scope();
  await handle.add(["one", "two"]);
  const documents = await handle.attach("documents");
  assert.equal(documents.systemId, "documents");
  assert.ok((await handle.systems()).some((one) => one.id === "documents" && one.attached));
  const reports = await handle.consolidate();
  assert.equal(reports.documents.observed, 2);
  assert.deepEqual(await all(handle.records({ system: "documents" })), []);
  assert.deepEqual(await handle.links(), []);
  await handle.detach("documents");
});

test("what is exported can be imported, and again without harm", async () => {
  const from = scope();
  const into = scope();
  await from.add(["one", "zwei\nlines", "drei 🗝"]);
  const lines = await all(from.export());
  assert.equal(lines.length, 4);
  const file = lines.map((line) => `${line}\n`).join("");
  assert.equal((await into.import(file, { name: "out.jsonl" })).added, 3);
  assert.equal((await into.import(new Blob([file]))).skipped, 3);
  assert.equal((await into.stats()).episodes, 3);
  assert.deepEqual((await all(into.list())).map((one) => one.text), ["one", "zwei\nlines", "drei 🗝"]);
});

test("a stream can be imported", async () => {
  const handle = scope();
  const line = { type: "episode", id: "a", scope: "", text: "tea", role: "user", occurred_at: "2024-05-01T00:00:00Z" };
  const text = `${JSON.stringify({ format: "mnemic", version: 1 })}\n${JSON.stringify({ ...line, recorded_at: line.occurred_at })}\n`;
  assert.equal((await handle.import(new Blob([text]).stream())).added, 1);
});

test("who the key is can be asked", async () => {
  assert.ok(Array.isArray((await client.me()).verbs));
});

test("a refusal is an error with its class and words", async () => {
  await assert.rejects(scope().search("x", { limit: 0 }), (error) => {
    assert.ok(error instanceof MnemicError);
    assert.equal(error.code, "ParameterError");
    assert.match(error.message, /limit/);
    return true;
  });
});

test("a write that is sent again has the same key, another write another", async () => {
  const script = scripted(new TypeError("fetch failed"), json({ results: [], episodes: [], is_new: [] }));
  await over(script).add("x");
  await over(script).add("x");
  const keys = script.asked.map((one) => one.headers["Idempotency-Key"]);
  assert.equal(keys.length, 3);
  assert.equal(keys[0], keys[1]);
  assert.notEqual(keys[1], keys[2]);
});

test("what passes is tried again, what lasts is not", async () => {
  const passing = scripted(problem("StoreBusy", 503, { "retry-after": "0" }), problem("TooManyRequests", 429), json(NOTHING));
  assert.deepEqual(await all(over(passing).list()), []);
  assert.equal(passing.asked.length, 3);
  for (const answer of [problem("EpisodeNotFound", 404), problem("StoreCorrupt", 503), problem("TooManyRequests", 429, { "retry-after": "3600" })]) {
    const script = scripted(answer);
    await assert.rejects(all(over(script).list()), { message: "It is so. Do this." });
    assert.equal(script.asked.length, 1);
  }
});

test("forgetting is not sent again when it is not known whether it arrived", async () => {
  const script = scripted(new TypeError("fetch failed"));
  await assert.rejects(over(script).forget({ everything: true }), { code: "ServerUnreachable", message: /not known/ });
  assert.equal(script.asked.length, 1);
});

test("what is no Mnemic server is said to be none", async () => {
  const page = new Response("<html>", { headers: { "content-type": "text/html" } });
  const broken = new Response("{nope", { headers: { "content-type": "application/json" } });
  const elsewhere = new Response(null, { status: 302, headers: { location: "http://evil.example/" } });
  for (const answer of [page, broken, elsewhere, json({ hello: 1 }), json(null)]) {
    await assert.rejects(all(over(scripted(answer)).list()), { code: "ServerUnreachable" });
  }
  const cut = new Response('{"format"', { headers: { "content-type": "application/x-ndjson" } });
  await assert.rejects(all(over(scripted(cut)).export()), { code: "ServerUnreachable", message: /not the whole/ });
  const late = { fetch: (_, { signal }) => new Promise((_, no) => signal.addEventListener("abort", () => no(signal.reason))) };
  await assert.rejects(all(over(late, { timeoutMs: 10, retries: 0 }).list()), { code: "ServerUnreachable", message: /in time/ });
});

test("the key is sent, and shown nowhere", async () => {
  const key = "mnk_0123_secret";
  const script = scripted(new Response(JSON.stringify({ code: "ParameterError", detail: `You sent ${key}.` }), {
    status: 422,
    headers: { "content-type": "application/problem+json" },
  }));
  const one = over(script, { apiKey: `${key}\n` });
  await assert.rejects(all(one.list()), (error) => !`${error.stack}`.includes(key));
  assert.equal(script.asked[0].headers.Authorization, `Bearer ${key}`);
  const { inspect } = await import("node:util");
  assert.ok(!inspect(one, { depth: 9, showHidden: true }).includes(key));
  assert.ok(!JSON.stringify(one).includes(key));
});

test("addresses are checked, and their secrets not repeated", () => {
  for (const baseUrl of ["", "localhost:8700", "ftp://x", "http://me:hunter2@x", "http://x?y"]) {
    assert.throws(() => new MnemicClient({ baseUrl }), (error) => error.code === "ParameterError" && !error.message.includes("hunter2"));
  }
});

test("pauses grow, and are never shorter than asked", () => {
  assert.deepEqual([pauseMs(0, undefined, 0), pauseMs(9, undefined, 0), pauseMs(0, 3000, 0.5)], [125, 4000, 3375]);
  assert.equal(segment("a/b?.."), "a%2Fb%3F..");
  for (const id of [".", "..", "\ud800"]) assert.throws(() => segment(id), { code: "ParameterError" });
});
