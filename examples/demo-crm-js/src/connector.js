// The demo CRM that `jackfield dev` serves, in JavaScript: people and companies.
//
// All collections of the provider work alike, so reading and writing is here, once for all; each object has a file
// with its two mapping functions.

import * as company from './company.js';
import * as contact from './contact.js';
import { connector as define, failure, http, invalid } from './jackfield.js';

const OBJECTS = { 'crm.company': company, 'crm.contact': contact };
/** The provider refuses larger pages. */
const LARGEST_PAGE = 100;

export const connector = define({
  objects: OBJECTS,

  authenticate() {
    const me = http.get('{api}/v1/me').json();
    return [{ remoteId: me.account_id, displayName: me.account_name }];
  },

  fetchRecords(_connection, { object, cursor, since, remoteId, limit }) {
    const { url } = collection(object);
    if (remoteId !== undefined) {
      return { records: [record(http.get(`${url}/${encodeURIComponent(remoteId)}`).json())] };
    }
    const query = { page_size: Math.min(Math.max(limit, 1), LARGEST_PAGE), updated_since: since, page_token: cursor };
    const page = http.get(url, { query }).json();
    return { records: page.items.map(record), nextCursor: page.next_page_token, total: page.total };
  },

  pushRecord(_connection, { object, action, remoteId, version, data, idempotencyKey }) {
    const { url, NAMES } = collection(object);
    const one = `${url}/${encodeURIComponent(remoteId ?? '')}`;
    // Lets the provider refuse the write where the record is not as it was when the host saw it last.
    const headers = version === undefined ? {} : { 'if-match': `"${version}"` };
    switch (action) {
      case 'create':
        return record(write('POST', url, { json: data, headers: { 'idempotency-key': idempotencyKey } }, NAMES).json());
      case 'update':
        return record(write('PATCH', one, { json: data, headers }, NAMES).json());
      default:
        write('DELETE', one, { headers }, NAMES);
        return { remote_id: remoteId, deleted: true };
    }
  },
});

function collection(object) {
  const found = OBJECTS[object];
  if (!found) throw failure('unsupported', `does not know ${object}`);
  return found;
}

/** Sends a write. Where the provider names a field that it refuses, the failure names the unified one. */
function write(method, url, options, names) {
  const answer = http[method.toLowerCase()](url, { ...options, accept: [422] });
  if (answer.status !== 422) return answer;
  const { field, message } = answer.json().error;
  throw invalid(names[field], message);
}

/** The provider's document stays as it is; only what the host must know is read from it here. */
function record(document) {
  const key = { remote_id: String(document.id), modified_at: document.updated_on, version: String(document.version) };
  return document.deleted ? { ...key, deleted: true } : { ...key, data: document };
}
