"""The demo CRM that `jackfield dev` serves, in Python: people and companies.

All collections of the provider work alike, so reading and writing is here, once for all; each object has a file with
its two mapping functions.
"""

from urllib.parse import quote

import company
import contact
import jackfield

OBJECTS = {"crm.company": company, "crm.contact": contact}
# The provider refuses larger pages.
LARGEST_PAGE = 100


class Connector(jackfield.Connector):
    objects = OBJECTS

    def authenticate(self, connection):
        me = jackfield.request("GET", "{api}/v1/me").json()
        return [jackfield.account(me["account_id"], me["account_name"])]

    def fetch_records(self, connection, request):
        url = collection(request.object).URL
        if request.remote_id is not None:
            one = jackfield.request("GET", f"{url}/{quote(request.remote_id, safe='')}")
            return [record(one.json())], None, None
        query = {
            "page_size": min(max(request.limit, 1), LARGEST_PAGE),
            "updated_since": request.since,
            "page_token": request.cursor,
        }
        page = jackfield.request("GET", url, query=query).json()
        return [record(item) for item in page["items"]], page["next_page_token"], page.get("total")

    def push_record(self, connection, request):
        of = collection(request.object)
        one = f"{of.URL}/{quote(request.remote_id or '', safe='')}"
        # Lets the provider refuse the write where the record is not as it was when the host saw it last.
        unless_changed = {} if request.version is None else {"if-match": f'"{request.version}"'}
        match request.action.name:
            case "CREATE":
                once = {"idempotency-key": request.idempotency_key}
                return record(write(of, "POST", of.URL, json=request.data, headers=once).json())
            case "UPDATE":
                return record(write(of, "PATCH", one, json=request.data, headers=unless_changed).json())
            case _:
                write(of, "DELETE", one, headers=unless_changed)
                return {"remote_id": request.remote_id, "deleted": True}


def collection(object):
    if object not in OBJECTS:
        raise jackfield.unsupported(f"does not know {object}")
    return OBJECTS[object]


def write(of, method, url, **options):
    """Sends a write. Where the provider names a field that it refuses, the failure names the unified one."""
    answer = jackfield.request(method, url, accept=(422,), **options)
    if answer.status != 422:
        return answer
    error = answer.json()["error"]
    raise jackfield.invalid(error["message"], of.NAMES.get(error.get("field")))


def record(document):
    """The provider's document stays as it is; only what the host must know is read from it here."""
    key = {
        "remote_id": str(document["id"]),
        "modified_at": document["updated_on"],
        "version": str(document["version"]),
    }
    return key | ({"deleted": True} if document.get("deleted") else {"data": document})
