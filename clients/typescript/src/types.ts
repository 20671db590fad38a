/** The shapes of what is sent and answered, from the server's OpenAPI document (`schema.ts`, which is generated). */

import type { components, paths } from "./schema.js";

type Schemas = components["schemas"];
type Body<P extends keyof paths, M extends "post" | "put" | "patch"> = paths[P][M] extends {
  requestBody: { content: { "application/json": infer B } };
}
  ? B
  : never;
type Query<P extends keyof paths> = paths[P]["get"] extends { parameters: { query?: infer Q } } ? NonNullable<Q> : never;

/** One thing that happened. */
export type Episode = Schemas["Episode"];
/** What a system made of episodes. */
export type MemoryRecord = Schemas["Record"];
export type Link = Schemas["Link"];
export type Session = Schemas["Session"];
/** What an add did: the episodes, and which of them are new. */
export type Added = Schemas["Added"];
export type Hit = Schemas["Hit"];
/** The answer to a search: `results`, best first. */
export type Recall = Schemas["Recall"];
/** A block of text for a prompt, with what it cites. */
export type Context = Schemas["Context"];
export type WhyNot = Schemas["WhyNot"];
export type Version = Schemas["Version"];
/** What was forgotten: ids and numbers. */
export type Receipt = Schemas["Receipt"];
export type Imported = Schemas["Imported"];
export type System = Schemas["System"];
export type Stats = Schemas["Stats"];
export type Job = Schemas["Job"];
/** Who the key is, and what it may. */
export type Me = Schemas["Me"];
export type Message = Schemas["Message"];

/** What each system did, by its id: episodes observed, and the error that stopped it. */
export type Reports = NonNullable<Job["result"]>;
/** A text, a message as chat APIs have it, or a list of them. */
export type Messages = Body<"/v1/episodes", "post">["messages"];
export type AddOptions = Omit<Body<"/v1/episodes", "post">, "messages" | "scope">;
export type UpdateOptions = Omit<Body<"/v1/episodes/{id}", "patch">, "scope">;
export type SearchOptions = Omit<Body<"/v1/search", "post">, "query" | "scope" | "system">;
export type ContextOptions = Omit<Body<"/v1/context", "post">, "query" | "scope" | "system">;
export type ForgetOptions = Omit<Body<"/v1/forget", "post">, "scope">;
export type ConsolidateOptions = Omit<Body<"/v1/consolidate", "post">, "scope">;
/** Whose memory is meant, below the scope of the handle. */
export type Ids = Pick<AddOptions, "user_id" | "agent_id" | "app_id">;
export type ListOptions = Omit<Query<"/v1/episodes">, "scope" | "filters" | "cursor"> & {
  filters?: SearchOptions["filters"];
};
export type SessionOptions = Omit<Query<"/v1/sessions">, "scope" | "cursor">;
export type RecordOptions = Omit<Query<"/v1/records">, "scope" | "cursor">;
export type LinkOptions = Omit<Query<"/v1/links">, "scope">;
/** What `fetch` can send: text, bytes, a Blob or File, a stream. */
export type Upload = string | Uint8Array<ArrayBuffer> | ArrayBuffer | Blob | ReadableStream<Uint8Array>;
export interface ImportOptions {
  /** One of the formats that the server knows; without it, it is told from the content. */
  format?: string;
  /** The name of the file: some formats are told by it, and make their ids from it. */
  name?: string;
}
