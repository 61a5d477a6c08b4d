"""Checks a delivery with the official verifier. Standard input: JSON with secret, headers, body."""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

told = json.load(sys.stdin)
try:
    Webhook(told["secret"]).verify(told["body"], told["headers"])
    print("good")
except WebhookVerificationError:
    print("bad")
