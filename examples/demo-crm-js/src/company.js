// `crm.company`: the provider's companies.

import { invalid, readFields, writeFields } from './jackfield.js';
import * as parts from './parts.js';

export const url = '{api}/v1/companies';

/** The unified field of each of the provider's, for what it refuses. */
export const NAMES = {
  label: 'name',
  sector: 'industry',
  headcount: 'number_of_employees',
  mail: 'email_addresses',
  phone: 'phone_numbers',
  address: 'addresses',
  owner: 'user_id',
  extra: 'field_mappings',
};

/** The provider's sectors that have a counterpart. Others pass as they are. */
const SECTORS = new Map([
  ['Software', 'COMPUTER_SOFTWARE'],
  ['Logistics', 'LOGISTICS_AND_SUPPLY_CHAIN'],
  ['Food', 'FOOD_BEVERAGES'],
  ['Construction', 'CONSTRUCTION'],
  ['Health care', 'HOSPITAL_HEALTH_CARE'],
  ['Education', 'EDUCATION_MANAGEMENT'],
  ['Energy', 'OIL_ENERGY'],
  ['Finance', 'FINANCIAL_SERVICES'],
  ['Farming', 'FARMING'],
  ['Media', 'MEDIA_PRODUCTION'],
  ['Tourism', 'LEISURE_TRAVEL_TOURISM'],
]);
const INDUSTRIES = new Map([...SECTORS].map(([sector, industry]) => [industry, sector]));

export function toUnified(company, fields) {
  const phones = parts.phone(company.phone, 'WORK', 'COMPANY');
  return {
    name: company.label ?? null,
    industry: SECTORS.get(company.sector) ?? company.sector ?? null,
    number_of_employees: company.headcount ?? null,
    email_addresses: parts.emails(company.mail, 'COMPANY'),
    phone_numbers: phones.length ? phones : null,
    addresses: parts.addresses(company.address, 'COMPANY'),
    user_id: parts.reference(company.owner),
    ...readFields(fields, company.extra),
  };
}

export function fromUnified(company, fields) {
  return parts.sendable({
    label: company.name,
    sector: INDUSTRIES.get(company.industry) ?? company.industry,
    headcount: headcount(company.number_of_employees),
    mail: parts.mail(company.email_addresses),
    phone: parts.number(parts.list(company.phone_numbers)),
    address: parts.address(company.addresses),
    owner: parts.id('user_id', company.user_id),
    extra: writeFields(fields, company.field_mappings),
  });
}

function headcount(number) {
  if (number == null || (Number.isSafeInteger(number) && number >= 0)) return number;
  throw invalid('number_of_employees', 'must be a number that the demo CRM can keep: whole and not negative');
}
