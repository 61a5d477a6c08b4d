// What several objects have in common: ids, addresses, and the lists of which the provider keeps one entry.
//
// On the way to the provider, undefined is what the application did not send, and null is what it clears.

import { invalid } from './jackfield.js';

/** The document without what was not said. */
export function sendable({ extra, ...document }) {
  const said = Object.entries(document).filter(([, value]) => value !== undefined);
  return Object.fromEntries(Object.keys(extra).length ? [...said, ['extra', extra]] : said);
}

/** The provider's id as a remote id. */
export const reference = (id) => (id == null ? null : String(id));

/** A remote id as the provider's id. */
export function id(field, remoteId) {
  if (remoteId == null) return remoteId;
  if (!/^\d{1,15}$/.test(remoteId)) throw invalid(field, 'is no id of the demo CRM');
  return Number(remoteId);
}

export const emails = (mail, owner) =>
  mail == null ? null : [{ email_address: mail, email_address_type: 'WORK', owner_type: owner }];

export const mail = (emails) => only('email_addresses', list(emails), (email) => email.email_address ?? null);

export const phone = (number, type, owner) =>
  number == null ? [] : [{ phone_number: number, phone_type: type, owner_type: owner }];

export const number = (phones) => only('phone_numbers', phones, (phone) => phone.phone_number ?? null);

export const addresses = (address, owner) =>
  address == null
    ? null
    : [
        {
          street_1: address.street ?? null,
          street_2: null,
          city: address.town ?? null,
          state: address.region ?? null,
          postal_code: address.postcode ?? null,
          country: address.country ?? null,
          address_type: 'WORK',
          owner_type: owner,
        },
      ];

export const address = (addresses) =>
  only('addresses', list(addresses), (address) => ({
    street: [address.street_1, address.street_2].filter((line) => line != null).join(', ') || null,
    postcode: address.postal_code ?? null,
    town: address.city ?? null,
    region: address.state ?? null,
    country: address.country ?? null,
  }));

/** A list that was sent; null clears it. */
export const list = (entries) => (entries === null ? [] : entries);

/** The entry of a list that has at most one. More are refused, since dropping one would lose what was sent. */
function only(field, entries, read) {
  if (entries === undefined) return undefined;
  if (entries.length > 1) throw invalid(field, 'has more than one entry of a kind; the demo CRM keeps one');
  return entries.length ? read(entries[0]) : null;
}
