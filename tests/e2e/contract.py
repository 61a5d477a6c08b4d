"""Calls every operation of panora-sdk 0.7.0: BASE_URL API_KEY CONNECTION_TOKEN BODIES.

BODIES is JSON: what to create, by "vertical.plural". Prints JSON: the operations that the SDK has (`contract`), which
of them are for unified objects (`unified`), what became of each call (`operations`, by operation id: status and
error), and how many records lists had (`counts`).
"""

import hashlib
import hmac
import inspect
import json
import pathlib
import re
import sys

import panora_sdk
from panora_sdk import Panora, models

base_url, api_key, token, bodies = sys.argv[1:]
bodies = json.loads(bodies)
VERTICALS = (
    "accounting ats crm ecommerce filestorage hris marketingautomation ticketing".split()
)
source = pathlib.Path(panora_sdk.__file__).parent
contract = {
    name for file in source.glob("*.py") for name in re.findall(r'operation_id="([^"]+)"', file.read_text())
}
operations = {}
counts = {}


class Recorder:
    """Hears of every request and answer of the SDK."""

    operation = None
    answer = None

    def before_request(self, context, request):
        self.operation = context.operation_id
        self.answer = None
        return request

    def after_success(self, context, response):
        self.answer = response
        return response

    def after_error(self, context, response, error):
        self.answer = response
        return response, error


recorder = Recorder()
panora = Panora(api_key=api_key, server_url=base_url, timeout_ms=60_000)
hooks = panora.sdk_configuration.get_hooks()
hooks.register_before_request_hook(recorder)
hooks.register_after_success_hook(recorder)
hooks.register_after_error_hook(recorder)


def call(function, **arguments):
    """One call; its end is noted under the operation's id. The first error of an operation stays."""
    recorder.operation = None
    result, error = None, None
    try:
        result = function(**arguments)
    except Exception as raised:  # noqa: BLE001 - whatever the SDK raises is the finding
        error = f"{type(raised).__name__}: {raised}"[:600]
    operation = recorder.operation or f"{function.__qualname__} sent nothing"
    status = recorder.answer.status_code if recorder.answer is not None else None
    if operations.get(operation, {}).get("error") is None:
        operations[operation] = {"status": status, "error": error}
    return result


def count(resource):
    """Follows the cursors by hand: the SDK's own `next` asks for the first page again at the end."""
    total, cursor, first = 0, None, None
    while True:
        page = call(resource.list, x_connection_token=token, limit=2, cursor=cursor, remote_data=True)
        if page is None:
            return total, first
        # Classes without fields drop the id of what was read: the answer itself still has it.
        data = recorder.answer.json()["data"]
        assert len(page.result.data) == len(data)
        first = first or data[0]["id"]
        total += len(data)
        cursor = page.result.next_cursor
        if cursor is None:
            return total, first


for vertical in VERTICALS:
    namespace = getattr(panora, vertical)
    for plural, resource in sorted(vars(namespace).items()):
        if not hasattr(resource, "retrieve"):
            continue
        total, first = count(resource)
        counts[f"{vertical}.{plural}"] = total
        call(resource.retrieve, x_connection_token=token, id=first or "none", remote_data=True)
        if hasattr(resource, "create"):
            names = inspect.signature(resource.create).parameters
            body = next(name for name in names if name.startswith("unified_"))
            record = bodies.get(f"{vertical}.{plural}", {})
            call(resource.create, x_connection_token=token, remote_data=True, **{body: record})

unified = sorted(operations)
call(panora.hello)
call(panora.health)
call(panora.projects.get_projects)
call(panora.projects.create, request={"name": "Second", "id_user": "somebody"})
user = call(panora.linked_users.create, request={"linked_user_origin_id": "origin-1", "alias": "one"})
call(panora.linked_users.import_batch, request={"linked_user_origin_ids": ["origin-2", "origin-3"], "alias": "more"})
call(panora.linked_users.list)
call(panora.linked_users.retrieve, id=user.id_linked_user)
call(panora.linked_users.remote_id, remote_id="origin-2")
connections = call(panora.connections.list) or []
linked_user = connections[0].id_linked_user if connections else "none"
call(panora.events.get_panora_core_events, page=1, limit=50)

hook = call(panora.webhooks.create, request={"url": "https://example.com/hook", "description": "d", "scope": ["crm.contact.created"]})
call(panora.webhooks.list)
hook_id = hook.id_webhook_endpoint if hook else "00000000-0000-8000-8000-000000000000"
call(panora.webhooks.update_status, id=hook_id)
data = {"b": 1, "a": {"d": "x", "c": None}}
payload = {"type": "crm.contact.created", "id_event": "1", "data": data}
secret = hook.secret if hook else "secret"
text = json.dumps(data, sort_keys=True, separators=(",", ":"))
signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
call(panora.webhooks.verify_event, request={"payload": payload, "signature": signature, "secret": secret})
call(panora.webhooks.delete, id=hook_id)

field = {"object_type_owner": "contact", "name": "shoe_size", "description": "d", "data_type": "number"}
source_field = {"source_custom_field_id": "shoe", "source_provider": "omni", "linked_user_id": linked_user}
attribute = call(panora.field_mappings.definitions, request=field)
call(panora.field_mappings.map, request={"attribute_id": attribute.id_attribute if attribute else "none", **source_field})
call(panora.field_mappings.define_custom_field, request={**field, "name": "hat_size", **source_field})
call(panora.field_mappings.get_field_mappings)
call(panora.field_mappings.get_field_mapping_values)
call(panora.field_mappings.get_field_mappings_entities)

GET = models.PassThroughRequestDtoMethod.GET
request = {"method": GET, "path": "v1/limited"}
call(panora.passthrough.request, x_connection_token=token, pass_through_request_dto=request)
# The provider refused that with 429. The SDK drops the body in which the server says under which id it tries again.
retry = recorder.answer.json().get("retryId") if recorder.answer is not None else None
call(panora.passthrough.retryid.get_retried_request_response, retry_id=retry or "none")

call(panora.sync.get_pull_frequency)
seconds = dict.fromkeys("crm ats hris accounting filestorage ecommerce ticketing".split(), 3600)
call(panora.sync.update_pull_frequency, request=seconds)
call(panora.sync.resync)
call(panora.sync.status, vertical=models.PathParamVertical.CRM)
call(panora.auth.login.sign_in, request={"email": "a@example.com", "password_hash": "secret"})
call(panora.rag.query.query, x_connection_token=token, query_body={"query": "engines", "top_k": 3})

print(json.dumps({"contract": sorted(contract), "unified": unified, "operations": operations, "counts": counts}))
