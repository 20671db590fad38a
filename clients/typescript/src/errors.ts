/** What a server refuses, and what keeps it from answering. The message says what is so and what to do. */
export class MnemicError extends Error {
  /** The class of the error in Mnemic, such as "EpisodeNotFound", or "ServerUnreachable". */
  readonly code: string;
  /** The status of the answer; 0 where there was none. */
  readonly status: number;

  constructor(code: string, status: number, message: string) {
    super(message);
    this.name = "MnemicError";
    this.code = code;
    this.status = status;
  }
}

/** The error that an answer names, in problem+json; undefined where it names none. */
export function errorIn(status: number, contentType: string, text: string): MnemicError | undefined {
  if (!contentType.startsWith("application/problem+json")) return undefined;
  try {
    const problem: unknown = JSON.parse(text);
    if (typeof problem !== "object" || problem === null) return undefined;
    const { code, detail } = problem as { code?: unknown; detail?: unknown };
    if (typeof code !== "string" || typeof detail !== "string") return undefined;
    return new MnemicError(code, status, detail);
  } catch {
    return undefined;
  }
}

/** The error that a job was stopped by, whose text may begin with the name of its class. */
export function errorOfJob(said: string): MnemicError {
  const named = /^([A-Z][A-Za-z]+): (.+)$/s.exec(said);
  return named ? new MnemicError(named[1]!, 0, named[2]!) : new MnemicError("MnemicError", 0, said);
}
