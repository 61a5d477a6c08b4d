"""`crm.contact`: the provider's people."""

import parts
from jackfield import read_fields, write_fields

URL = "{api}/v1/people"

# The unified field of each of the provider's, for what it refuses.
NAMES = {
    "given_name": "first_name",
    "family_name": "last_name",
    "mail": "email_addresses",
    "phone": "phone_numbers",
    "mobile": "phone_numbers",
    "address": "addresses",
    "owner": "user_id",
    "extra": "field_mappings",
}


def to_unified(person, fields):
    phones = [
        *parts.phones(person.get("phone"), "WORK", "CONTACT"),
        *parts.phones(person.get("mobile"), "MOBILE", "CONTACT"),
    ]
    return {
        "first_name": person.get("given_name"),
        "last_name": person.get("family_name"),
        "email_addresses": parts.emails(person.get("mail"), "CONTACT"),
        "phone_numbers": phones or None,
        "addresses": parts.addresses(person.get("address"), "CONTACT"),
        "user_id": parts.reference(person.get("owner")),
        **read_fields(fields, person.get("extra")),
    }


def from_unified(contact, fields):
    person = parts.renamed(contact, {"first_name": "given_name", "last_name": "family_name"})
    if "email_addresses" in contact:
        person["mail"] = parts.mail(contact["email_addresses"])
    if "phone_numbers" in contact:
        # A list stands for all numbers, so what it lacks is cleared.
        numbers = contact["phone_numbers"] or []
        person["phone"] = parts.number([phone for phone in numbers if phone.get("phone_type") != "MOBILE"])
        person["mobile"] = parts.number([phone for phone in numbers if phone.get("phone_type") == "MOBILE"])
    if "addresses" in contact:
        person["address"] = parts.address(contact["addresses"])
    if "user_id" in contact:
        person["owner"] = parts.id("user_id", contact["user_id"])
    extra = write_fields(fields, contact.get("field_mappings"))
    return person | ({"extra": extra} if extra else {})
