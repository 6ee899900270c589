// An OpenID provider for tests: oauth2-mock-server, to which it adds what a provider checks.
//
// The query parameter `account` of the authorization address says who signs in, as a person would by clicking: a JSON
// object of claims, which go into the ID token as they are. A claim such as `aud`, `iss`, `exp` or `nonce` replaces
// the right one, which is how a test gets a token that must be refused.

import { readFileSync } from "node:fs";

const [library, port, clientId] = process.argv.slice(2);
const { OAuth2Server } = await import(library);
const clientSecret = readFileSync("password", "utf8");
const server = new OAuth2Server();
await server.issuer.keys.generate("RS256");

/** What was agreed on when a code was given out. */
const grants = new Map();

const queryOf = (request) => new URL(request.url, "http://localhost").searchParams;

server.service.on("beforeWellKnownOpenIdConfiguration", ({ body }) => {
  body.token_endpoint_auth_methods_supported = ["client_secret_basic", "client_secret_post"];
});

server.service.on("beforeAuthorizeRedirect", ({ url }, request) => {
  const query = queryOf(request);
  grants.set(url.searchParams.get("code"), {
    claims: JSON.parse(query.get("account") ?? "{}"),
    client: query.get("client_id"),
    redirect: query.get("redirect_uri"),
  });
});

server.service.on("beforeTokenSigning", ({ payload }, request) => {
  // Of the two tokens of an answer, the access token has a scope.
  if (payload.scope === undefined) {
    Object.assign(payload, grants.get(request.body.code)?.claims);
  }
});

server.service.on("beforeResponse", (answer, request) => {
  const { code, client_id, client_secret, redirect_uri } = request.body;
  const grant = grants.get(code);
  grants.delete(code);
  const basic = Buffer.from((request.headers.authorization ?? "").replace("Basic ", ""), "base64").toString();
  const shown = basic === "" ? `${client_id}:${client_secret}` : basic;
  if (shown !== `${clientId}:${clientSecret}`) {
    Object.assign(answer, { statusCode: 401, body: { error: "invalid_client" } });
  } else if (grant?.client !== clientId || grant.redirect !== redirect_uri) {
    Object.assign(answer, { statusCode: 400, body: { error: "invalid_grant" } });
  }
});

await server.start(Number(port), "127.0.0.1");
