// Checks a delivery with the official verifier. Arguments: the folder of the packages; standard
// input: JSON with secret, headers, body.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.argv[2]}/package.json`);
const { Webhook, WebhookVerificationError } = require("standardwebhooks");
const told = JSON.parse(readFileSync(0, "utf8"));
try {
  new Webhook(told.secret).verify(told.body, told.headers);
  console.log("good");
} catch (error) {
  if (!(error instanceof WebhookVerificationError)) throw error;
  console.log("bad");
}
