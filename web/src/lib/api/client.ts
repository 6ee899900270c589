/**
 * The client of the API. Paths, parameters and answers are those of `schema.d.ts`, which is made from the API's own
 * description: what the server does not document does not compile here.
 */

import createClient, { type Client } from "openapi-fetch";

import type { components, paths } from "./schema.d.ts";

/** What a refusal says. */
export type ErrorBody = components["schemas"]["ErrorBody"];

/** Where the server is and who asks. */
export interface ApiClientOptions {
  /** The address of the server, without a path. */
  readonly url: string;
  /** A token or key; without one, cookies of the page go along. */
  readonly token?: string;
}

/** A request that was refused. */
export class ApiRefusal extends Error {
  /** The status of the answer. */
  readonly status: number;
  /** Its body, when it was one of the API. */
  readonly body: ErrorBody | undefined;

  constructor(response: Response, body: unknown) {
    const read = isErrorBody(body) ? body : undefined;
    super(read?.message ?? `the server answered ${response.status}`);
    this.name = "ApiRefusal";
    this.status = response.status;
    this.body = read;
  }
}

/** A client of the server at `options.url`. */
export function createApiClient(options: ApiClientOptions): Client<paths> {
  const headers = options.token === undefined ? {} : { Authorization: `Bearer ${options.token}` };
  return createClient<paths>({ baseUrl: options.url, credentials: "same-origin", headers });
}

/**
 * The body of an answer; `undefined` where its operation has none. Throws `ApiRefusal` for every other status than a
 * success.
 */
export async function expectAnswer<T>(
  answer: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const { data, error, response } = await answer;
  if (!response.ok) {
    throw new ApiRefusal(response, error);
  }
  // What a successful answer holds is what its operation says, which may be nothing.
  return data as T;
}

function isErrorBody(body: unknown): body is ErrorBody {
  return typeof body === "object" && body !== null && "error" in body && "message" in body;
}
