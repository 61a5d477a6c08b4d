// A certified OpenID provider (the npm package oidc-provider) for tests. Arguments: the folder of the
// packages. Prints its address when it listens, and lives as long as its standard input is open.
//
// Anyone may log in with any name and password. The page of consent has Continue and Cancel.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const packages = createRequire(`${process.argv[2]}/package.json`);
const { default: Provider } = await import(pathToFileURL(packages.resolve("oidc-provider")));

// Nothing is written to the terminal but the address.
console.info = console.warn = () => {};

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  server.on("request", provider(issuer).callback());
  console.log(issuer);
});
process.stdin.resume().on("end", () => process.exit(0));

function provider(issuer) {
  const native = { application_type: "native", response_types: ["code"] };
  return new Provider(issuer, {
    clients: [
      {
        ...native,
        client_id: "app",
        client_secret: "app-secret",
        // The port of a loopback address is free.
        redirect_uris: ["http://127.0.0.1/connections/oauth/callback"],
        grant_types: ["authorization_code", "refresh_token"],
        token_endpoint_auth_method: "client_secret_post",
      },
      {
        ...native,
        client_id: "dashboard",
        client_secret: "dashboard-secret",
        redirect_uris: ["http://127.0.0.1/sign-in/oidc/callback"],
        grant_types: ["authorization_code"],
        token_endpoint_auth_method: "client_secret_basic",
      },
      {
        client_id: "machine",
        client_secret: "machine-secret",
        redirect_uris: [],
        response_types: [],
        grant_types: ["client_credentials"],
        scope: "crm.read crm.write",
        token_endpoint_auth_method: "client_secret_post",
      },
    ],
    scopes: ["openid", "email", "offline_access", "crm.read", "crm.write"],
    claims: { openid: ["sub"], email: ["email", "email_verified"] },
    // Many clients read the token of identity alone.
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: async (_context, client) => client.grantTypeAllowed("refresh_token"),
    ttl: {
      // Shorter than what is refreshed before its time.
      AccessToken: 60,
      RefreshToken: 3600,
      ClientCredentials: 600,
      AuthorizationCode: 30,
      IdToken: 600,
      Interaction: 600,
      Session: 600,
      Grant: 3600,
    },
    // A name is its mail address.
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: id, email_verified: true }),
    }),
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
    },
    cookies: { keys: ["test-only"] },
  });
}
