// A client of the Model Context Protocol, the official one. Arguments: the folder of the packages,
// the endpoint, an API key. Reads one JSON document a line, {"tool", "arguments"} or {"list": true},
// and writes one a line: what came of it. The first line tells of the server.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [packages, endpoint, key] = process.argv.slice(2);
const require = createRequire(`${packages}/package.json`);
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");

const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const client = new Client({ name: "jackfield-tests", version: "1.0.0" });
const transport = new StreamableHTTPClientTransport(new URL(endpoint), {
  requestInit: { headers: { authorization: `Bearer ${key}` } },
});
try {
  await client.connect(transport);
} catch (error) {
  say({ refused: String(error) });
  process.exit(0);
}
say({ server: client.getServerVersion(), instructions: client.getInstructions() });
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  try {
    if (asked.list) say(await client.listTools());
    else say(await client.callTool({ name: asked.tool, arguments: asked.arguments }));
  } catch (error) {
    say({ thrown: String(error) });
  }
}
await client.close();
