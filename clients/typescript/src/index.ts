/** A client for Mnemic, a durable, explainable memory for AI agents. */

export { MnemicClient } from "./client.js";
export type { ClientOptions } from "./client.js";
export { MnemicError } from "./errors.js";
export type * from "./types.js";
