import { Connection, segment } from "./connection.js";
import { MnemicError, errorOfJob } from "./errors.js";
import type {
  AddOptions,
  Added,
  ConsolidateOptions,
  Context,
  ContextOptions,
  Episode,
  ForgetOptions,
  Ids,
  ImportOptions,
  Imported,
  Job,
  Link,
  LinkOptions,
  ListOptions,
  Me,
  MemoryRecord,
  Messages,
  Recall,
  Receipt,
  RecordOptions,
  Reports,
  SearchOptions,
  Session,
  SessionOptions,
  Stats,
  System,
  UpdateOptions,
  Upload,
  Version,
  WhyNot,
} from "./types.js";

export interface ClientOptions {
  /** The server's address; http://127.0.0.1:8700 where it is left out. */
  baseUrl?: string;
  /** As `mnemic keys create` made it; a server on this machine may need none. */
  apiKey?: string;
  /** The scope of this handle; "" is the root. */
  scope?: string;
  /** How long one request may take; 30,000. */
  timeoutMs?: number;
  /** How often a request is sent again when the server cannot be reached, or is busy; 3. */
  retries?: number;
  /** Another `fetch`, such as one that goes through a proxy. */
  fetch?: typeof fetch;
}

const IMPORT_TIMEOUT_MS = 3_600_000;
const LONGEST_WAIT_MS = 1000;
const PAGE = 1000;

/**
 * A memory on a server: one scope of it. Handles are cheap and share everything.
 *
 *     const alice = new MnemicClient({ apiKey }).scope("acme/alice");
 *     await alice.add("I moved to Porto in March.");
 *     const recall = await alice.search("Where does she live?");
 */
export class MnemicClient {
  /** The scope that this handle is on. */
  readonly scopePath: string;
  /** The system that answers this handle's searches; undefined for the server's own choice. */
  readonly systemId: string | undefined;
  readonly #connection: Connection;

  constructor(options: ClientOptions = {}, connection?: Connection, system?: string) {
    this.#connection =
      connection ??
      new Connection(
        options.baseUrl ?? "http://127.0.0.1:8700",
        options.apiKey ?? "",
        options.timeoutMs ?? 30_000,
        options.retries ?? 3,
        options.fetch ?? ((input, init) => fetch(input, init)),
      );
    this.scopePath = options.scope ?? "";
    this.systemId = system;
  }

  /** A handle on the scope `path` inside this one, such as "acme/alice". */
  scope(path: string): MnemicClient {
    const scope = [this.scopePath, path].filter((one) => one !== "").join("/");
    return new MnemicClient({ scope }, this.#connection, this.systemId);
  }

  /** A handle on the same scope whose searches another system answers, such as "bm25". */
  system(id: string): MnemicClient {
    return new MnemicClient({ scope: this.scopePath }, this.#connection, id);
  }

  // -- remembering

  /** Remember a text, a message, or a list of messages; all or nothing, and durably once this resolves. */
  async add(messages: Messages, options: AddOptions = {}): Promise<Added> {
    const json = { ...options, messages, scope: this.scopePath };
    return await this.#connection.json("POST", "/v1/episodes", { json, headers: once() });
  }

  /** Correct an episode: a new one supersedes it. An EditConflict when somebody else has corrected it since. */
  async update(id: string, options: UpdateOptions): Promise<Episode> {
    const json = { ...options, scope: this.scopePath };
    return await this.#connection.json("PATCH", `/v1/episodes/${segment(id)}`, { json, headers: once() });
  }

  // -- recalling

  /** The memories that answer a query, best first, each with its score, its reasons and its sources. */
  async search(query: string, options: SearchOptions = {}): Promise<Recall> {
    return await this.#connection.json("POST", "/v1/search", { json: this.#question(query, options) });
  }

  /** What answers a query, as a block of text for a prompt, within a budget of tokens. */
  async context(query: string, options: ContextOptions = {}): Promise<Context> {
    return await this.#connection.json("POST", "/v1/context", { json: this.#question(query, options) });
  }

  /** Why a search with these options did not recall an episode, named by its id or what it says. */
  async whyNot(query: string, textOrId: string, options: SearchOptions = {}): Promise<WhyNot> {
    const json = { ...this.#question(query, options), text_or_id: textOrId };
    return await this.#connection.json("POST", "/v1/why-not", { json });
  }

  // -- reading

  /** One episode of this scope. */
  async get(id: string, ids: Ids = {}): Promise<Episode> {
    return await this.#connection.json("GET", `/v1/episodes/${segment(id)}`, { query: { ...ids, scope: this.scopePath } });
  }

  /** The episodes of an id in this scope and those below it. */
  async find(id: string): Promise<Episode[]> {
    return await this.#page("/v1/find", "episodes", { id });
  }

  /** Episodes in the order of the log, one after the other, however many there are; `limit` ends it earlier. */
  async *list(options: ListOptions = {}): AsyncGenerator<Episode, void, undefined> {
    const { limit, filters, ...rest } = options;
    const query = { ...rest, filters: filters ? JSON.stringify(filters) : undefined };
    yield* this.#rows<Episode>("/v1/episodes", "episodes", query, limit);
  }

  /** The sessions of this scope, by when they began. */
  async *sessions(options: SessionOptions = {}): AsyncGenerator<Session, void, undefined> {
    const { limit, ...query } = options;
    yield* this.#rows<Session>("/v1/sessions", "sessions", query, limit);
  }

  /** What systems made of this scope's episodes. For more than 1,000, name the system. */
  async *records(options: RecordOptions = {}): AsyncGenerator<MemoryRecord, void, undefined> {
    const { limit, ...query } = options;
    yield* this.#rows<MemoryRecord>("/v1/records", "records", query, limit);
  }

  /** Edges that systems made between records or episodes of this scope. */
  async links(options: LinkOptions = {}): Promise<Link[]> {
    return await this.#page("/v1/links", "links", options);
  }

  /** Every text that a memory had, oldest first, from any of its ids. */
  async history(id: string, ids: Ids = {}): Promise<Version[]> {
    return await this.#page("/v1/history", "versions", { ...ids, id });
  }

  // -- forgetting

  /** Forget for good: what is chosen must be given, such as `{ id }`, `{ session }` or `{ everything: true }`. */
  async forget(options: ForgetOptions): Promise<Receipt> {
    const json = { ...options, scope: this.scopePath };
    return await this.#connection.json("POST", "/v1/forget", { json, isRepeatable: options.dry_run === true });
  }

  /** Forget one memory: every version of it, and all that came from it. */
  async delete(id: string, ids: Ids = {}): Promise<Receipt> {
    return await this.forget({ ...ids, id });
  }

  // -- systems and work

  /** Let a system observe the log of this scope's tenant; a handle whose searches it answers. */
  async attach(system: string, parameters: Record<string, unknown> = {}): Promise<MnemicClient> {
    const query = { scope: this.scopePath };
    await this.#connection.json("PUT", `/v1/systems/${segment(system)}`, { query, json: { parameters } });
    return this.system(system);
  }

  /** Drop a system and everything it made for this scope's tenant; the log is not touched. */
  async detach(system: string): Promise<void> {
    await this.#connection.json("DELETE", `/v1/systems/${segment(system)}`, { query: { scope: this.scopePath } });
  }

  /** All systems, and whether each is attached to this scope's tenant. */
  async systems(): Promise<System[]> {
    return await this.#page("/v1/systems", "systems", {});
  }

  /** Let attached systems observe what they have not seen and do their offline work; waits until the server has done it. */
  async consolidate(options: ConsolidateOptions = {}): Promise<Reports> {
    const json = { ...options, scope: this.scopePath };
    let job = await this.#connection.json<Job>("POST", "/v1/consolidate", { json });
    const before = job.state === "running" ? 0 : job.attempts; // it may have waited already, after failing
    for (let pause = 20; ; pause = Math.min(pause * 1.5, LONGEST_WAIT_MS)) {
      const isTried = (job.state === "waiting" || job.state === "failed") && job.attempts > before;
      if (job.state === "done" || (isTried && job.result)) return job.result ?? {};
      if (isTried) throw errorOfJob(job.error ?? `The job ${job.id} failed. The server's log has the reason.`);
      if (job.state === "cancelled") throw new MnemicError("Conflict", 0, `The job ${job.id} was cancelled. Ask again.`);
      await new Promise((resolve) => setTimeout(resolve, pause));
      job = await this.job(job.id);
    }
  }

  /** How a job stands. */
  async job(id: string): Promise<Job> {
    return await this.#connection.json("GET", `/v1/jobs/${segment(id)}`);
  }

  // -- the store

  /** This scope and those below it that hold anything, with their number of episodes. */
  async scopes(): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    for await (const one of this.#rows<{ scope: string; episodes: number }>("/v1/scopes", "scopes", { prefix: this.scopePath })) {
      found.set(one.scope, one.episodes);
    }
    return found;
  }

  /** What this scope holds. */
  async stats(): Promise<Stats> {
    return await this.#connection.json("GET", "/v1/stats", { query: { scope: this.scopePath } });
  }

  /** Who the key is, and what it may. */
  async me(): Promise<Me> {
    return await this.#connection.json("GET", "/v1/me");
  }

  /** Read a past, a file of any known format, into this scope. Importing it again changes nothing. */
  async import(body: Upload, options: ImportOptions = {}): Promise<Imported> {
    const query = { ...options, scope: this.scopePath };
    return await this.#connection.json("POST", "/v1/import", { query, body, timeoutMs: IMPORT_TIMEOUT_MS });
  }

  /** This scope, and those below it, as JSON Lines: a header, then one episode a line, without the ends of the lines. */
  export(options: { include_children?: boolean } = {}): AsyncGenerator<string, void, undefined> {
    return this.#connection.lines("/v1/export", { ...options, scope: this.scopePath });
  }

  // -- inside

  #question(query: string, options: SearchOptions | ContextOptions): Record<string, unknown> {
    const system = this.systemId === undefined ? {} : { system: this.systemId };
    return { ...options, ...system, query, scope: this.scopePath };
  }

  async #page<T>(path: string, name: string, query: object): Promise<T[]> {
    const page = await this.#connection.json<Record<string, unknown>>("GET", path, {
      query: { ...query, scope: this.scopePath },
    });
    return rowsOf<T>(page, name, this.#connection.address);
  }

  async *#rows<T>(path: string, name: string, query: object, limit?: number): AsyncGenerator<T, void, undefined> {
    let left = limit ?? Infinity;
    let cursor: string | undefined;
    while (left > 0) {
      const asked = { ...query, scope: this.scopePath, limit: Math.min(left, PAGE), cursor };
      const page = await this.#connection.json<Record<string, unknown>>("GET", path, { query: asked });
      const rows = rowsOf<T>(page, name, this.#connection.address).slice(0, left);
      yield* rows;
      left -= rows.length;
      if (typeof page["next_cursor"] !== "string" || rows.length === 0) return;
      cursor = page["next_cursor"];
    }
  }
}

/** A key of its own for a write, the same however often the request is sent. */
function once(): Record<string, string> {
  return { "Idempotency-Key": crypto.randomUUID() };
}

function rowsOf<T>(page: Record<string, unknown> | null, name: string, address: string): T[] {
  const rows = page?.[name];
  if (!Array.isArray(rows)) {
    throw new MnemicError("ServerUnreachable", 0, `${address}: its answer has no ${name}. Check the address.`);
  }
  return rows as T[];
}
