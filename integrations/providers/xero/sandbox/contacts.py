"""Contacts: found by id, number or name; names are unique among active ones.

Source: https://developer.xero.com/documentation/api/accounting/contacts
"""

from integrations.providers.xero.sandbox.elements import part, text, word
from integrations.providers.xero.sandbox.formats import JSON
from integrations.providers.xero.sandbox.refusals import Invalid
from integrations.providers.xero.sandbox.store import Books, Shelf, Unit, new_id

TEXTS = {
    "Name": 255,
    "ContactNumber": 50,
    "AccountNumber": 50,
    "FirstName": 255,
    "LastName": 255,
    "EmailAddress": 255,
    "CompanyNumber": 50,
    "TaxNumber": 50,
    "DefaultCurrency": 3,
}
LISTS = ("Addresses", "Phones")


def find_contact(shelf: Shelf, element: JSON) -> JSON | None:
    """The contact that an element means: by id, else by number, else by name. Raises `Invalid` for an unknown id."""
    if contact_id := text(element, "ContactID"):
        found = shelf.objects.get(contact_id.lower())
        if found is None:
            raise Invalid("The contact could not be found. Check the ContactID.")
        return found
    numbered = shelf.find("ContactNumber", text(element, "ContactNumber") or "")
    return numbered[0] if numbered else named(shelf, text(element, "Name") or "")


def named(shelf: Shelf, name: str) -> JSON | None:
    """The active contact of this name; capitals and spaces around it do not count."""
    return next((found for found in shelf.find("_name", fold(name)) if found["ContactStatus"] == "ACTIVE"), None)


def fold(name: str) -> str:
    """A name as it is compared."""
    return name.strip().casefold()


def create(unit: Unit, element: JSON) -> JSON:
    """A new contact. Raises `Invalid`."""
    fields = _fields(element)
    if not fields.get("Name", "").strip():
        raise Invalid("The contact name must be specified")
    shelf = unit.books.contacts
    _unique(shelf, fields, "")
    contact = {
        "ContactID": new_id(),
        "ContactStatus": "ACTIVE",
        "Addresses": [],
        "Phones": [],
        **fields,
        "_name": fold(fields["Name"]),
    }
    unit.add(shelf, contact)
    unit.note(shelf, contact, "created")
    return contact


def update(unit: Unit, contact: JSON, element: JSON) -> JSON:
    """Another version of a contact: what is not named stays. Raises `Invalid`."""
    fields = _fields(element)
    shelf = unit.books.contacts
    if "ContactStatus" in element:
        fields["ContactStatus"] = word(element, "ContactStatus", ("ACTIVE", "ARCHIVED"), "ACTIVE")
    status = fields.get("ContactStatus", contact["ContactStatus"])
    if status == "ACTIVE":
        _unique(shelf, {"Name": contact["Name"], **fields}, contact["ContactID"])
    if "Name" in fields:
        fields["_name"] = fold(fields["Name"])
    after = unit.change(shelf, contact["ContactID"], **fields)
    unit.note(shelf, after, "changed", fields.get("ContactNumber", ""))
    return after


def _fields(element: JSON) -> JSON:
    fields: JSON = {}
    for field, longest in TEXTS.items():
        if (value := text(element, field, longest)) is not None:
            fields[field] = value
    for field in LISTS:
        if isinstance(value := element.get(field), list):
            fields[field] = [row for row in value if isinstance(row, dict)]
    if "@" not in (fields.get("EmailAddress") or "@"):
        raise Invalid("Email address must be valid.")
    return fields


def _unique(shelf: Shelf, fields: JSON, own: str) -> None:
    other = named(shelf, fields["Name"])
    if other is not None and other["ContactID"] != own:
        raise Invalid(
            f"The contact name {fields['Name']} is already assigned to another contact. "
            "The contact name must be unique across all active contacts."
        )
    for taken in shelf.find("ContactNumber", fields.get("ContactNumber") or ""):
        if taken["ContactID"] != own:
            raise Invalid(f"The contact number {fields['ContactNumber']} is already assigned to another contact.")


def contact_of(unit: Unit, element: JSON) -> JSON:
    """The contact of a document, made when only its name is told. Raises `Invalid`."""
    told = part(element, "Contact")
    found = find_contact(unit.books.contacts, told)
    if found is None and told.get("Name"):
        found = create(unit, {"Name": told["Name"], "ContactNumber": told.get("ContactNumber")})
    if found is None:
        raise Invalid("A Contact must be specified for this type of transaction")
    if found["ContactStatus"] != "ACTIVE":
        raise Invalid("The contact is archived")
    return found


def show(books: Books, contact: JSON) -> JSON:
    """A contact as Xero shows it."""
    shown = {name: value for name, value in contact.items() if name[0] != "_"}
    shown.setdefault("EmailAddress", "")
    shown.update(
        BankAccountDetails="",
        IsSupplier=False,
        IsCustomer=books.invoices.has("_contact", contact["ContactID"]),
        ContactGroups=[],
        ContactPersons=[],
        SalesTrackingCategories=[],
        PurchasesTrackingCategories=[],
        HasAttachments=False,
        HasValidationErrors=False,
    )
    return shown


def brief(books: Books, contact_id: str) -> JSON:
    """A contact inside a document."""
    contact = books.contacts.objects.get(contact_id, {})
    return {
        "ContactID": contact_id,
        **({"ContactNumber": contact["ContactNumber"]} if contact.get("ContactNumber") else {}),
        "Name": contact.get("Name", ""),
        "Addresses": [],
        "Phones": [],
        "ContactGroups": [],
        "ContactPersons": [],
        "HasValidationErrors": False,
    }
