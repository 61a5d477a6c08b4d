"""What connectors in Python have in common: the contract's five functions around plain values, requests to the
provider, and failures. Copy it as it is."""

import functools
import json
from types import SimpleNamespace
from urllib.parse import quote, urlencode

from componentize_py_types import Err
from wit_world.imports import http as wit_http, log as wit_log, types as wit


class Failure(Exception):
    """A failure to raise, made by one of the functions below."""

    def __init__(self, value):
        super().__init__(repr(value))
        self.value = value


def invalid(message, field=None):
    """Input that cannot be taken; `field` is the unified one at fault, where that is known."""
    return Failure(wit.Failure_Invalid(wit.Invalid(field, message)))


def rate_limited(seconds=None):
    return Failure(wit.Failure_RateLimited(seconds))


def unauthorized(text):
    return Failure(wit.Failure_Unauthorized(text))


def forbidden(text):
    return Failure(wit.Failure_Forbidden(text))


def not_found(text):
    return Failure(wit.Failure_NotFound(text))


def conflict(text):
    return Failure(wit.Failure_Conflict(text))


def unavailable(text):
    return Failure(wit.Failure_Unavailable(text))


def unsupported(text):
    return Failure(wit.Failure_Unsupported(text))


def unexpected(text):
    return Failure(wit.Failure_Unexpected(text))


def _guarded(operation):
    """What is raised goes to the host as the contract's failure; a bug with the place where it is."""

    @functools.wraps(operation)
    def guarded(*values):
        try:
            return operation(*values)
        except Failure as failure:
            raise Err(failure.value) from None
        except Exception as error:
            raise Err(wit.Failure_Unexpected(_told(error))) from None

    return guarded


def _told(error):
    """An error and where it was raised. The module `traceback` would look for the sources, and there are no files."""
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    return f"{type(error).__name__}: {error} (at {', '.join(places[-3:])})"


class Connector:
    """What a connector derives from, as a class with the name `Connector`.

    - `authenticate(connection)` returns `[account(remote_id, display_name)]`.
    - `fetch_records(connection, request)` returns `(records, next_cursor, total)`; a record is a dict with
      `remote_id`, `data`, and where they are known `modified_at`, `version`, `deleted`.
    - `push_record(connection, request)` returns one record. `request.data` is the document of `from_unified`. A
      connector that only reads leaves it out.
    - `objects` has, by name, something with `to_unified(document, fields)` and `from_unified(unified, fields)`.

    Settings are a dict: `connection.settings["locale"]`. Whatever is raised becomes a failure.
    """

    objects = {}

    def __init_subclass__(cls):
        authenticate, fetch_records, push_record = cls.authenticate, cls.fetch_records, cls.push_record

        def fetch(self, connection, request):
            records, next_cursor, total = fetch_records(self, _plain(connection), request)
            return wit.RecordPage(_text(records), next_cursor, total)

        def push(self, connection, request):
            request.data = json.loads(request.data)
            return _text(push_record(self, _plain(connection), request))

        cls.authenticate = _guarded(lambda self, connection: authenticate(self, _plain(connection)))
        cls.fetch_records = _guarded(fetch)
        cls.push_record = _guarded(push)

    def push_record(self, connection, request):
        raise unsupported(f"does not write {request.object}")

    @_guarded
    def unify(self, object, records, fields):
        to_unified = self._mapping(object, "to_unified")
        return _text([_unify_one(to_unified, document, fields) for document in json.loads(records)])

    @_guarded
    def desunify(self, object, unified, fields):
        return _text(self._mapping(object, "from_unified")(json.loads(unified), fields))

    def _mapping(self, object, direction):
        mapping = getattr(self.objects.get(object), direction, None)
        if mapping is None:
            raise unsupported(f"does not map {object}")
        return mapping


def _unify_one(to_unified, document, fields):
    """One document that makes no sense must not spoil its neighbours."""
    try:
        if not isinstance(document, dict):
            raise invalid("is no document")
        return to_unified(document, fields)
    except Failure as failure:
        if not isinstance(failure.value, wit.Failure_Invalid):
            return {"error": {"message": str(failure)}}
        refused = failure.value.value
        return {"error": {"message": refused.message} | ({"field": refused.field} if refused.field else {})}
    except Exception as error:
        return {"error": {"message": f"{type(error).__name__}: {error}"}}


def account(remote_id, display_name=None, settings=None):
    """An account for `authenticate` to return."""
    settings = [wit.Setting(key, str(value)) for key, value in (settings or {}).items()]
    return wit.Account(str(remote_id), display_name, settings)


def _plain(connection):
    connection.settings = {setting.key: setting.value for setting in connection.settings}
    return connection


def _text(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def log(level, text):
    """A line in the host's log; the levels are debug, info, warn and error. Not in mappings."""
    wit_log.message(wit_log.Level[level.upper()], str(text))


def request(method, url, *, query=None, headers=None, json=None, anonymous=False, accept=()):
    """Sends a request with the connection's credentials and waits for the answer.

    `query`: what is None is left out. `json`: sent as the body. `anonymous`: without credentials. `accept`: statuses
    outside of 200-299 that are returned instead of raised. The answer has `status`, `headers`, `text` and `json()`.
    """
    search = urlencode({name: value for name, value in (query or {}).items() if value is not None}, quote_via=quote)
    content = {} if json is None else {"content-type": "application/json"}
    answer = _send(
        wit_http.Request(
            method=method,
            url=f"{url}?{search}" if search else url,
            headers=[
                wit_http.Header(name, [wit_http.Part_Text(str(value))])
                for name, value in (content | (headers or {})).items()
            ],
            body=None if json is None else _text(json).encode(),
            authenticated=not anonymous,
        )
    )
    place = f"{method} {url} answered {answer.status}"
    headers = dict(reversed(answer.headers))
    text = answer.body.decode(errors="replace")
    if not 200 <= answer.status < 300 and answer.status not in accept:
        raise _of_status(answer.status, place, text, headers.get("retry-after", ""))
    return SimpleNamespace(status=answer.status, headers=headers, text=text, json=lambda: _parsed(text, place))


def _send(request):
    """A request that the host did not send, or that was not answered."""
    try:
        return wit_http.send(request)
    except Err as error:
        match error.value:
            case wit_http.HttpError_RateLimited(seconds):
                raise rate_limited(seconds) from None
            case wit_http.HttpError_Timeout():
                raise unavailable(f"{request.method} {request.url.split('?')[0]}: no answer in time") from None
            case wit_http.HttpError_Unreachable(text):
                raise unavailable(text) from None
            case wit_http.HttpError_TooLarge(size):
                raise unexpected(f"the answer is larger than {size} bytes") from None
            case wit_http.HttpError_Denied(text):
                raise unexpected(text) from None


def _parsed(text, place):
    try:
        return json.loads(text)
    except ValueError as error:
        raise unexpected(f"{place} with a body that makes no sense: {error}") from None


def _of_status(status, place, body, retry_after):
    text = place if body.lstrip().startswith("<") or not body else f"{place}: {body[:300]}"
    match status:
        case 401:
            return unauthorized(text)
        case 403:
            return forbidden(text)
        case 404 | 410:
            return not_found(text)
        case 409 | 412:
            return conflict(text)
        case 400 | 422:
            return invalid(text)
        case 429:
            return rate_limited(int(retry_after) if retry_after.isdecimal() else None)
        case _:
            return unavailable(text) if status in (408, 425) or status >= 500 else unexpected(text)


def read_fields(fields, container):
    """For `to_unified`: custom fields from a dict of the provider's document: `**read_fields(fields, person["extra"])`."""
    found = {}
    for field in fields:
        if field.remote_field in (container or {}):
            found[field.slug] = container[field.remote_field]
            continue
        value = container
        for part in field.remote_field.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            found[field.slug] = value
    return {"field_mappings": found} if found else {}


def write_fields(fields, values):
    """For `from_unified`: the values of `field_mappings` under the provider's names."""
    return {field.remote_field: values[field.slug] for field in fields if field.slug in (values or {})}
