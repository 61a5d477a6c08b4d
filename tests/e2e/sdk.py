"""Uses panora-sdk 0.7.0 against a server: BASE_URL API_KEY CONNECTION_TOKEN; prints what it saw as JSON."""

import json
import sys

from panora_sdk import Panora, models

base_url, api_key, token = sys.argv[1:]
panora = Panora(api_key=api_key, server_url=base_url, timeout_ms=30_000)


def count(resource):
    """Follows the cursors by hand: the SDK's own `next` asks for the first page again at the end."""
    total, cursor = 0, None
    while True:
        page = resource.list(x_connection_token=token, limit=50, cursor=cursor).result
        total += len(page.data)
        cursor = page.next_cursor
        if cursor is None:
            return total


seen = {"health": panora.health(), "contacts": count(panora.crm.contacts), "companies": count(panora.crm.companies)}
seen["connection_token"] = panora.connections.list()[0].connection_token
created = panora.crm.contacts.create(
    x_connection_token=token,
    unified_crm_contact_input={
        "first_name": "Ada",
        "last_name": "Lovelace",
        "email_addresses": [{"email_address": "ada@example.com", "email_address_type": "WORK"}],
    },
)
seen["created"] = {"id": created.id, "first_name": created.first_name}
retrieved = panora.crm.contacts.retrieve(x_connection_token=token, id=created.id, remote_data=True)
seen["retrieved"] = {"id": retrieved.id}
user = panora.linked_users.create(request={"linked_user_origin_id": "sdk-customer", "alias": "SDK"})
seen["linked_user"] = panora.linked_users.retrieve(id=user.id_linked_user).linked_user_origin_id
panora.events.get_panora_core_events(page=1, limit=10)
panora.projects.get_projects()
panora.sync.status(vertical=models.PathParamVertical.CRM)
panora.sync.resync()
try:
    panora.crm.contacts.retrieve(x_connection_token=token, id="00000000-0000-8000-8000-000000000000", remote_data=False)
except models.SDKError as error:
    seen["unknown_status"] = error.status_code
print(json.dumps(seen))
