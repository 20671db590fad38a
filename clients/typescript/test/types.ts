/** Compiled and never run: what the types must allow, and what they must refuse. */

import { MnemicClient, MnemicError } from "../src/index.js";
import type { Episode, Recall } from "../src/index.js";

const client = new MnemicClient({ baseUrl: "http://127.0.0.1:8700", apiKey: "mnk_x" });

export async function allowed(): Promise<void> {
  const alice: MnemicClient = client.scope("acme/alice").system("bm25");
  await alice.add("a text");
  await alice.add({ role: "user", content: "a message", name: "Alice", tool_calls: [] });
  await alice.add(["a", { role: "assistant", content: [{ type: "text", text: "b" }] }], { session: "monday", metadata: { n: 1 } });
  const recall: Recall = await alice.search("q", { limit: 3, filters: { topic: "tea" }, since: "2024-05-01", until: 1714600000 });
  const score: number | undefined = recall.results[0]?.score;
  const episode: Episode | null | undefined = recall.results[0]?.episode;
  const text: string = (await alice.context("q", { budget_tokens: 500 })).text;
  for await (const one of alice.list({ newest_first: true, filters: { topic: "tea" } })) console.log(one.text, one.metadata);
  for await (const line of alice.export()) console.log(line);
  await alice.import(new Blob(["x"]), { name: "notes.md" });
  await alice.forget({ session: "monday", dry_run: true });
  const observed = (await alice.consolidate())["bm25"]?.["observed"];
  console.log(score, episode, text, observed, new MnemicError("x", 0, "y").code);
}

export async function refused(): Promise<void> {
  // @ts-expect-error a query is text
  await client.search(5);
  // @ts-expect-error there is no such option
  await client.search("q", { colour: "red" });
  // @ts-expect-error the scope is that of the handle
  await client.search("q", { scope: "acme" });
  // @ts-expect-error a number of tokens
  await client.context("q", { budget_tokens: "many" });
  // @ts-expect-error what to forget must be said
  await client.forget();
  // @ts-expect-error a text, a message, or a list of them
  await client.add(5);
}
