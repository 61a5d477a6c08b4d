"""`crm.company`: the provider's companies."""

import parts
from jackfield import invalid, read_fields, write_fields

URL = "{api}/v1/companies"

# The unified field of each of the provider's, for what it refuses.
NAMES = {
    "label": "name",
    "sector": "industry",
    "headcount": "number_of_employees",
    "mail": "email_addresses",
    "phone": "phone_numbers",
    "address": "addresses",
    "owner": "user_id",
    "extra": "field_mappings",
}

# The provider's sectors that have a counterpart. Others pass as they are.
SECTORS = {
    "Software": "COMPUTER_SOFTWARE",
    "Logistics": "LOGISTICS_AND_SUPPLY_CHAIN",
    "Food": "FOOD_BEVERAGES",
    "Construction": "CONSTRUCTION",
    "Health care": "HOSPITAL_HEALTH_CARE",
    "Education": "EDUCATION_MANAGEMENT",
    "Energy": "OIL_ENERGY",
    "Finance": "FINANCIAL_SERVICES",
    "Farming": "FARMING",
    "Media": "MEDIA_PRODUCTION",
    "Tourism": "LEISURE_TRAVEL_TOURISM",
}
INDUSTRIES = {industry: sector for sector, industry in SECTORS.items()}


def to_unified(company, fields):
    sector = company.get("sector")
    return {
        "name": company.get("label"),
        "industry": SECTORS.get(sector, sector),
        "number_of_employees": company.get("headcount"),
        "email_addresses": parts.emails(company.get("mail"), "COMPANY"),
        "phone_numbers": parts.phones(company.get("phone"), "WORK", "COMPANY") or None,
        "addresses": parts.addresses(company.get("address"), "COMPANY"),
        "user_id": parts.reference(company.get("owner")),
        **read_fields(fields, company.get("extra")),
    }


def from_unified(company, fields):
    remote = parts.renamed(company, {"name": "label"})
    if "industry" in company:
        remote["sector"] = INDUSTRIES.get(company["industry"], company["industry"])
    if "number_of_employees" in company:
        remote["headcount"] = headcount(company["number_of_employees"])
    if "email_addresses" in company:
        remote["mail"] = parts.mail(company["email_addresses"])
    if "phone_numbers" in company:
        remote["phone"] = parts.number(company["phone_numbers"])
    if "addresses" in company:
        remote["address"] = parts.address(company["addresses"])
    if "user_id" in company:
        remote["owner"] = parts.id("user_id", company["user_id"])
    extra = write_fields(fields, company.get("field_mappings"))
    return remote | ({"extra": extra} if extra else {})


def headcount(number):
    if number is None:
        return None
    if number < 0 or number != int(number):
        raise invalid("must be a number that the demo CRM can keep: whole and not negative", "number_of_employees")
    return int(number)
