// `crm.contact`: the provider's people.

import { readFields, writeFields } from './jackfield.js';
import * as parts from './parts.js';

export const url = '{api}/v1/people';

/** The unified field of each of the provider's, for what it refuses. */
export const NAMES = {
  given_name: 'first_name',
  family_name: 'last_name',
  mail: 'email_addresses',
  phone: 'phone_numbers',
  mobile: 'phone_numbers',
  address: 'addresses',
  owner: 'user_id',
  extra: 'field_mappings',
};

export function toUnified(person, fields) {
  const phones = [parts.phone(person.phone, 'WORK', 'CONTACT'), parts.phone(person.mobile, 'MOBILE', 'CONTACT')].flat();
  return {
    first_name: person.given_name ?? null,
    last_name: person.family_name ?? null,
    email_addresses: parts.emails(person.mail, 'CONTACT'),
    phone_numbers: phones.length ? phones : null,
    addresses: parts.addresses(person.address, 'CONTACT'),
    user_id: parts.reference(person.owner),
    ...readFields(fields, person.extra),
  };
}

export function fromUnified(contact, fields) {
  const numbers = parts.list(contact.phone_numbers);
  const isMobile = (phone) => phone.phone_type === 'MOBILE';
  return parts.sendable({
    given_name: contact.first_name,
    family_name: contact.last_name,
    mail: parts.mail(contact.email_addresses),
    // A list stands for all numbers, so what it lacks is cleared.
    phone: parts.number(numbers?.filter((phone) => !isMobile(phone))),
    mobile: parts.number(numbers?.filter(isMobile)),
    address: parts.address(contact.addresses),
    owner: parts.id('user_id', contact.user_id),
    extra: writeFields(fields, contact.field_mappings),
  });
}
