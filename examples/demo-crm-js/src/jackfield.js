// What connectors in JavaScript have in common: the contract's five functions around plain objects, requests to the
// provider, and failures. Copy it as it is.

import { send } from 'jackfield:connector/http@0.1.0';
import { message } from 'jackfield:connector/log@0.1.0';

/**
 * Makes the export of a connector.
 *
 * - `authenticate(connection)` answers `[{ remoteId, displayName?, settings? }]`.
 * - `fetchRecords(connection, request)` answers `{ records: [{ remote_id, modified_at?, version?, deleted?, data }],
 *   nextCursor?, total? }`.
 * - `pushRecord(connection, request)` answers one such record. `request.data` is the document of `fromUnified`. A
 *   connector that only reads leaves it out.
 * - `objects` has, by name, `{ toUnified(document, fields), fromUnified(unified, fields) }`.
 *
 * Settings are plain objects: `connection.settings.locale`. Whatever is thrown becomes a failure.
 */
export function connector({ authenticate, fetchRecords, pushRecord = writesNothing, objects }) {
  const mapping = (object, direction) => {
    const map = objects[object]?.[direction];
    if (!map) throw failure('unsupported', `does not map ${object}`);
    return map;
  };
  return {
    authenticate: guarded((connection) =>
      authenticate(plain(connection)).map(({ remoteId, displayName, settings = {} }) => ({
        remoteId: String(remoteId),
        displayName: displayName ?? undefined,
        settings: Object.entries(settings).map(([key, value]) => ({ key, value: String(value) })),
      })),
    ),
    fetchRecords: guarded((connection, request) => {
      const { records, nextCursor, total } = fetchRecords(plain(connection), request);
      return {
        records: JSON.stringify(records),
        nextCursor: nextCursor ?? undefined,
        total: total == null ? undefined : BigInt(total),
      };
    }),
    pushRecord: guarded((connection, request) =>
      JSON.stringify(pushRecord(plain(connection), { ...request, data: JSON.parse(request.data) })),
    ),
    unify: guarded((object, records, fields) => {
      const map = mapping(object, 'toUnified');
      return JSON.stringify(JSON.parse(records).map((document) => unifyOne(map, document, fields)));
    }),
    desunify: guarded((object, unified, fields) =>
      JSON.stringify(mapping(object, 'fromUnified')(JSON.parse(unified), fields)),
    ),
  };
}

const writesNothing = (_connection, { object }) => {
  throw failure('unsupported', `does not write ${object}`);
};

/** One document that makes no sense must not spoil its neighbours. */
function unifyOne(map, document, fields) {
  try {
    if (document === null || typeof document !== 'object') throw new Error('is no document');
    return map(document, fields);
  } catch (error) {
    const { tag, val } = error.payload ?? {};
    return { error: tag === 'invalid' ? val : { message: String(error.message) } };
  }
}

const plain = (connection) => ({
  ...connection,
  settings: Object.fromEntries(connection.settings.map(({ key, value }) => [key, value])),
});

/** What is thrown goes to the host as the contract's failure; a bug with the place where it is. */
const guarded = (operation) => (...values) => {
  try {
    return operation(...values);
  } catch (error) {
    throw error?.payload ? error : failure('unexpected', `${error}\n${error?.stack ?? ''}`.trim());
  }
};

/**
 * A failure to throw. Cases: unauthorized, forbidden, not-found, conflict, unavailable, unsupported, unexpected with a
 * text, rate-limited with seconds or nothing; for `invalid` see below.
 */
export const failure = (tag, val) => Object.assign(new Error(`${tag}: ${val}`), { payload: { tag, val } });

/** Input that cannot be taken; `field` is the unified one at fault, where that is known. */
export const invalid = (field, message) => failure('invalid', { field: field ?? undefined, message });

/** Lines in the host's log: `log.warn('…')`. Not in mappings. */
export const log = Object.fromEntries(
  ['debug', 'info', 'warn', 'error'].map((level) => [level, (text) => message(level, String(text))]),
);

/** Requests: `http.get('{api}/v1/people', { query: { page: 2 } }).json()`. Options as in `request`. */
export const http = Object.fromEntries(
  ['get', 'post', 'put', 'patch', 'delete'].map((method) => [
    method,
    (url, options) => request(method.toUpperCase(), url, options),
  ]),
);

/**
 * Sends a request with the connection's credentials and waits for the answer.
 *
 * `query`: what is null or undefined is left out. `json`: sent as the body. `anonymous`: without credentials.
 * `accept`: statuses outside of 200-299 that are answered instead of thrown.
 */
export function request(method, url, { query = {}, headers = {}, json, anonymous = false, accept = [] } = {}) {
  const pairs = Object.entries(query).filter(([, value]) => value != null);
  const search = pairs.map((pair) => pair.map(encodeURIComponent).join('=')).join('&');
  const body = json === undefined ? undefined : new TextEncoder().encode(JSON.stringify(json));
  const all = body ? { 'content-type': 'application/json', ...headers } : headers;
  const answer = sent({
    method,
    url: search ? `${url}?${search}` : url,
    headers: Object.entries(all).map(([name, value]) => ({ name, value: [{ tag: 'text', val: String(value) }] })),
    body,
    authenticated: !anonymous,
  });
  const place = `${method} ${url} answered ${answer.status}`;
  const text = new TextDecoder().decode(answer.body);
  const header = (name) => answer.headers.find(([known]) => known === name)?.[1];
  const good = answer.status >= 200 && answer.status < 300;
  if (!good && !accept.includes(answer.status)) throw ofStatus(answer.status, place, text, header('retry-after'));
  return {
    status: answer.status,
    header,
    text,
    json() {
      try {
        return JSON.parse(text);
      } catch (error) {
        throw failure('unexpected', `${place} with a body that makes no sense: ${error.message}`);
      }
    },
  };
}

/** A request that the host did not send, or that was not answered. */
function sent(request) {
  try {
    return send(request);
  } catch ({ payload: { tag, val } }) {
    switch (tag) {
      case 'rate-limited':
        throw failure('rate-limited', val);
      case 'timeout':
        throw failure('unavailable', `${request.method} ${request.url.split('?')[0]}: no answer in time`);
      case 'unreachable':
        throw failure('unavailable', val);
      case 'too-large':
        throw failure('unexpected', `the answer is larger than ${val} bytes`);
      default:
        throw failure('unexpected', val);
    }
  }
}

function ofStatus(status, place, body, retryAfter) {
  const text = body && !body.trimStart().startsWith('<') ? `${place}: ${body.slice(0, 300)}` : place;
  switch (status) {
    case 401:
      return failure('unauthorized', text);
    case 403:
      return failure('forbidden', text);
    case 404:
    case 410:
      return failure('not-found', text);
    case 409:
    case 412:
      return failure('conflict', text);
    case 400:
    case 422:
      return invalid(undefined, text);
    case 429:
      return failure('rate-limited', /^\d+$/.test(retryAfter) ? Number(retryAfter) : undefined);
    default:
      return failure(status === 408 || status === 425 || status >= 500 ? 'unavailable' : 'unexpected', text);
  }
}

/** For `toUnified`: custom fields from an object of the provider's document: `...readFields(fields, person.extra)`. */
export function readFields(fields, container) {
  const found = fields.map(({ slug, remoteField }) => [
    slug,
    container?.[remoteField] ?? remoteField.split('.').reduce((value, part) => value?.[part], container),
  ]);
  const known = found.filter(([, value]) => value !== undefined);
  return known.length ? { field_mappings: Object.fromEntries(known) } : {};
}

/** For `fromUnified`: the values of `field_mappings` under the provider's names. */
export function writeFields(fields, values = {}) {
  const known = fields.filter(({ slug }) => slug in values);
  return Object.fromEntries(known.map(({ slug, remoteField }) => [remoteField, values[slug]]));
}
