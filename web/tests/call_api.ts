/**
 * Calls a running server and prints what it answers as JSON, for a test of the server.
 *
 * usage: node call_api.ts URL TOKEN
 */

import { ApiRefusal, createApiClient, expectAnswer } from "../src/lib/api/client.ts";

declare const process: { readonly argv: readonly string[] };

const [, , url, token] = process.argv;
if (url === undefined || token === undefined) {
  throw new Error("usage: node call_api.ts URL TOKEN");
}

const client = createApiClient({ url, token });
const stranger = createApiClient({ url });

async function refusalOf(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ApiRefusal) {
      return { status: error.status, error: error.body?.error };
    }
    throw error;
  }
}

const known = { spec_id: "SPEC-1" };
const unknown = { spec_id: "00000000-0000-7000-8000-000000000000" };
const spec = "/api/v1/specs/{spec_id}";
const message = { content: "be brief", message_type: "user_message" } as const;
const steered = client.POST("/api/v1/tasks/{task_id}/messages", {
  params: { path: { task_id: "TSK-001" } },
  body: message,
});
console.log(
  JSON.stringify({
    known: (await expectAnswer(client.GET(spec, { params: { path: known } }))).spec.id,
    // It is accepted, and there is nothing more to say of it.
    steered: (await expectAnswer(steered)) === undefined,
    unknown: await refusalOf(expectAnswer(client.GET(spec, { params: { path: unknown } }))),
    stranger: await refusalOf(expectAnswer(stranger.GET(spec, { params: { path: known } }))),
  }),
);
