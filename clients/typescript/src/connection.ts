/**
 * The way to one server: requests with retries, and answers read or refused.
 *
 * What may pass is tried again with growing, jittered pauses, or after as long as the server asks. Forgetting is not sent
 * again when it is not known whether it arrived. Redirects are not followed, so the key goes nowhere else.
 */

import { MnemicError, errorIn } from "./errors.js";

export type QueryValues = Record<string, string | number | boolean | readonly string[] | null | undefined>;

export interface Asking {
  query?: QueryValues;
  json?: unknown;
  body?: BodyInit;
  headers?: Record<string, string>;
  /** Whether it may be sent again when it is not known whether it arrived; true unless said otherwise. */
  isRepeatable?: boolean;
  timeoutMs?: number;
}

const LONGEST_ASKED_MS = 60_000; // a server that asks for more is not waited for
const LASTING = new Set(["StoreCorrupt", "NotAStore", "StoreTooNew", "StoreReadOnly", "WeightsMissing", "WeightsDamaged"]);

export class Connection {
  readonly address: string;
  readonly #key: string;
  readonly #timeoutMs: number;
  readonly #retries: number;
  readonly #fetch: typeof fetch;

  constructor(address: string, key: string, timeoutMs: number, retries: number, fetch_: typeof fetch) {
    this.address = checkedAddress(address);
    this.#key = key.trim();
    this.#timeoutMs = timeoutMs;
    this.#retries = retries;
    this.#fetch = fetch_;
  }

  /** The JSON of an answer. */
  async json<T>(method: string, path: string, asking: Asking = {}): Promise<T> {
    return await this.#ask(method, path, asking, async (answer) => {
      const text = await answer.text();
      if (!contentType(answer).startsWith("application/json")) throw this.#notMnemic(answer);
      try {
        return JSON.parse(text) as T;
      } catch {
        throw this.#unreachable(answer.status, "its answer is no JSON. Check the address");
      }
    });
  }

  /** The lines of an answer, as they come. */
  async *lines(path: string, query: QueryValues): AsyncGenerator<string, void, undefined> {
    const answer = await this.#ask("GET", path, { query }, async (one) => {
      if (!contentType(one).startsWith("application/x-ndjson")) throw this.#notMnemic(one);
      return one;
    });
    if (answer.body === null) return;
    const decoder = new TextDecoder("utf-8", { fatal: true });
    const reader = answer.body.getReader();
    let rest = "";
    try {
      for (;;) {
        const { done, value } = await reader.read();
        const [first = "", ...others] = decoder.decode(value, { stream: !done }).split("\n");
        rest += first;
        for (const next of others) {
          yield rest;
          rest = next;
        }
        if (done) break;
      }
    } catch (error) {
      throw this.#unreachable(200, `the answer broke off (${said(error)}). What came is not the whole; ask again`);
    } finally {
      await reader.cancel().catch(() => undefined);
    }
    if (rest !== "") throw this.#unreachable(200, "the answer ended inside a line. What came is not the whole; ask again");
  }

  async #ask<T>(method: string, path: string, asking: Asking, read: (answer: Response) => Promise<T>): Promise<T> {
    const isRepeatable = (asking.isRepeatable ?? true) && !(asking.body instanceof ReadableStream);
    for (let attempt = 0; ; attempt++) {
      const isLast = attempt >= this.#retries;
      let askedMs: number | undefined;
      const timeout = new AbortController();
      const timer = setTimeout(() => timeout.abort(), asking.timeoutMs ?? this.#timeoutMs);
      try {
        const answer = await this.#fetch(this.#url(path, asking.query), this.#request(method, asking, timeout.signal));
        if (answer.ok) return await read(answer);
        const error = await this.#refusal(answer);
        const mayPass = [429, 503].includes(answer.status) || ([502, 504].includes(answer.status) && isRepeatable);
        if (!mayPass || isLast || LASTING.has(error.code)) throw error;
        askedMs = millisecondsAsked(answer.headers.get("retry-after"));
        if (askedMs !== undefined && askedMs > LONGEST_ASKED_MS) throw error;
      } catch (error) {
        if (error instanceof MnemicError) throw error;
        if (isLast || !isRepeatable) throw this.#noAnswer(error, attempt, timeout.signal.aborted, isRepeatable);
      } finally {
        clearTimeout(timer);
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs(attempt, askedMs, Math.random())));
    }
  }

  #url(path: string, query: QueryValues = {}): string {
    const values = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value === null || value === undefined) continue;
      for (const one of Array.isArray(value) ? value : [value]) values.append(name, String(one));
    }
    const text = values.toString();
    return this.address + path + (text === "" ? "" : `?${text}`);
  }

  #request(method: string, asking: Asking, signal: AbortSignal): RequestInit {
    const headers: Record<string, string> = { Accept: "application/json, application/x-ndjson", ...asking.headers };
    if (this.#key !== "") headers["Authorization"] = `Bearer ${this.#key}`;
    const request: RequestInit & { duplex?: "half" } = { method, headers, signal, redirect: "manual" };
    if (asking.json !== undefined) {
      headers["Content-Type"] = "application/json";
      request.body = JSON.stringify(asking.json);
    } else if (asking.body !== undefined) {
      headers["Content-Type"] = "application/octet-stream";
      request.body = asking.body;
      if (asking.body instanceof ReadableStream) request.duplex = "half";
    }
    return request;
  }

  async #refusal(answer: Response): Promise<MnemicError> {
    if (answer.type === "opaqueredirect" || (answer.status >= 300 && answer.status < 400)) {
      return this.#unreachable(answer.status, "it sends on to another address. Give that one, if it is your server");
    }
    const named = errorIn(answer.status, contentType(answer), await answer.text());
    if (named === undefined) return this.#notMnemic(answer);
    return new MnemicError(named.code, named.status, this.#withoutKey(named.message));
  }

  #notMnemic(answer: Response): MnemicError {
    const what = `HTTP ${answer.status} with ${contentType(answer) || "no content type"}, which is not how Mnemic answers`;
    return this.#unreachable(answer.status, `${what}. Check the address and what stands in between`);
  }

  #noAnswer(error: unknown, attempt: number, isLate: boolean, isKnown: boolean): MnemicError {
    const what = isLate ? "it did not answer in time" : said(error);
    const tries = attempt > 0 ? `, after ${attempt + 1} tries` : "";
    const remedy = isKnown
      ? "Check that the server runs (`mnemic serve`) and is reachable"
      : "Whether it was done is not known; look, and do it again if it was not";
    return this.#unreachable(0, `${what}${tries}. ${remedy}`);
  }

  #unreachable(status: number, what: string): MnemicError {
    return new MnemicError("ServerUnreachable", status, this.#withoutKey(`${this.address}: ${what}.`));
  }

  #withoutKey(text: string): string {
    return this.#key === "" ? text : text.replaceAll(this.#key, "***");
  }
}

/** How long to wait after the attempt of that number, from 0; `chance`, in [0, 1), keeps many from coming at once. */
export function pauseMs(attempt: number, askedMs: number | undefined, chance: number): number {
  if (askedMs !== undefined) return askedMs * (1 + chance / 4); // never earlier than that
  return Math.min(250 * 2 ** attempt, 8000) * (0.5 + chance / 2);
}

/** Text as one segment of a path. Raises what `fetch` cannot send as one: ".", "..", and half a character. */
export function segment(name: string): string {
  if (name !== "." && name !== "..") {
    try {
      return encodeURIComponent(name);
    } catch {
      // half a character
    }
  }
  throw new MnemicError("ParameterError", 0, `${JSON.stringify(name)} cannot stand in an address. Give another id.`);
}

function checkedAddress(given: string): string {
  let url: URL;
  try {
    url = new URL(given);
  } catch {
    throw new MnemicError("ParameterError", 0, "This is not the address of a server. Write it as 'http://127.0.0.1:8700'.");
  }
  const isPlain = url.username === "" && url.password === "" && url.search === "" && url.hash === "";
  if (!["http:", "https:"].includes(url.protocol) || !isPlain) {
    throw new MnemicError("ParameterError", 0, "An address has a scheme, a host and a path: write it as 'http://127.0.0.1:8700'.");
  }
  return url.origin + url.pathname.replace(/\/+$/, "");
}

function contentType(answer: Response): string {
  return answer.headers.get("content-type") ?? "";
}

function millisecondsAsked(retryAfter: string | null): number | undefined {
  if (retryAfter === null || retryAfter.trim() === "") return undefined;
  const seconds = Number(retryAfter);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const at = Date.parse(retryAfter);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}

function said(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : "";
  return `${error.message}${cause}`;
}
