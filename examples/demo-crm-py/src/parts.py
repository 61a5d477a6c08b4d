"""What several objects have in common: ids, addresses, and the lists of which the provider keeps one entry.

On the way to the provider, a key that is absent is what the application did not send, and None is what it clears.
"""

from jackfield import invalid


def renamed(unified, names):
    """What was sent of these fields, under the provider's names."""
    return {remote: unified[name] for name, remote in names.items() if name in unified}


def reference(id):
    """The provider's id as a remote id."""
    return None if id is None else str(id)


def id(field, remote_id):
    """A remote id as the provider's id."""
    if remote_id is None:
        return None
    if not (remote_id.isascii() and remote_id.isdecimal()):
        raise invalid("is no id of the demo CRM", field)
    return int(remote_id)


def emails(mail, owner):
    if mail is None:
        return None
    return [{"email_address": mail, "email_address_type": "WORK", "owner_type": owner}]


def mail(emails):
    email = _only("email_addresses", emails)
    return email and email.get("email_address")


def phones(number, type, owner):
    return [] if number is None else [{"phone_number": number, "phone_type": type, "owner_type": owner}]


def number(phones):
    phone = _only("phone_numbers", phones)
    return phone and phone.get("phone_number")


def addresses(address, owner):
    if address is None:
        return None
    return [
        {
            "street_1": address.get("street"),
            "street_2": None,
            "city": address.get("town"),
            "state": address.get("region"),
            "postal_code": address.get("postcode"),
            "country": address.get("country"),
            "address_type": "WORK",
            "owner_type": owner,
        }
    ]


def address(addresses):
    address = _only("addresses", addresses)
    if address is None:
        return None
    lines = [address[key] for key in ("street_1", "street_2") if address.get(key) is not None]
    return {
        "street": ", ".join(lines) or None,
        "postcode": address.get("postal_code"),
        "town": address.get("city"),
        "region": address.get("state"),
        "country": address.get("country"),
    }


def _only(field, entries):
    """The entry of a list that has at most one. More are refused, since dropping one would lose what was sent."""
    if entries and len(entries) > 1:
        raise invalid("has more than one entry of a kind; the demo CRM keeps one", field)
    return entries[0] if entries else None
