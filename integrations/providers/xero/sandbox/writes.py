"""Writing: elements one by one, all or nothing unless `summarizeErrors=false`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from integrations.providers.xero.sandbox import contacts, documents, payments
from integrations.providers.xero.sandbox.contacts import find_contact
from integrations.providers.xero.sandbox.documents import CREDIT_NOTE, INVOICE, Kind
from integrations.providers.xero.sandbox.formats import JSON, loads
from integrations.providers.xero.sandbox.reads import show
from integrations.providers.xero.sandbox.refusals import Invalid, exception, not_found, unreadable
from integrations.providers.xero.sandbox.store import NOBODY, Books, Shelf, Unit


@dataclass(frozen=True)
class Act:
    """How elements of one resource are created, found and updated."""

    create: Callable[[Unit, JSON], JSON]
    update: Callable[[Unit, JSON, JSON], JSON]
    match: Callable[[Shelf, JSON], JSON | None]


def _by_number(shelf: Shelf, element: JSON) -> JSON | None:
    """The object with the element's id, else with its number. Raises `Invalid` for an unknown id."""
    if found_id := element.get(shelf.id_field):
        found = shelf.objects.get(str(found_id).lower())
        if found is None:
            raise Invalid(f"{shelf.one} could not be found")
        return found
    number = element.get(shelf.number)
    alive = [found for found in shelf.find(shelf.number, str(number or "")) if found["Status"] not in documents.OVER]
    return alive[0] if alive else None


def _documents(kind: Kind) -> Act:
    return Act(
        create=lambda unit, element: documents.create(unit, kind, element),
        update=lambda unit, found, element: documents.update(unit, kind, found, element),
        match=_by_number,
    )


ACTS = {
    "Contacts": Act(contacts.create, contacts.update, find_contact),
    "Invoices": _documents(INVOICE),
    "CreditNotes": _documents(CREDIT_NOTE),
    "Payments": Act(payments.create, payments.update, _by_number),
}


@dataclass(frozen=True)
class Writing:
    """A request that writes: to a list, or to the one object that `word` names."""

    books: Books
    shelf: Shelf
    creates: bool
    word: str
    key: str
    summarize: bool

    def perform(self, body: bytes) -> tuple[JSON, list[Unit]]:
        """The answer and the units that stay. Raises `Refused` 400 or 404."""
        listed = elements(body, self.shelf.resource)
        target = None
        if self.word:
            target = self.shelf.get(self.word)
            if target is None:
                raise not_found()
            listed = listed[:1]
        if self.summarize:
            return self._together(listed, target)
        return self._each(listed, target)

    def _together(self, listed: list[JSON], target: JSON | None) -> tuple[JSON, list[Unit]]:
        unit = Unit(self.books, self.key)
        done, wrong = [], []
        for element in listed:
            try:
                done.append(self._apply(unit, element, target))
            except Invalid as error:
                wrong.append(self._wrong(element, error))
        if wrong:
            unit.undo()
            raise exception("A validation exception occurred", wrong)
        return {self.shelf.resource: [self._show(found) for found in done]}, [unit]

    def _each(self, listed: list[JSON], target: JSON | None) -> tuple[JSON, list[Unit]]:
        shown, units = [], []
        for element in listed:
            unit = Unit(self.books, self.key)
            try:
                found = self._apply(unit, element, target)
            except Invalid as error:
                unit.undo()
                shown.append({**self._wrong(element, error), "StatusAttributeString": "ERROR"})
            else:
                units.append(unit)
                shown.append({**self._show(found), "StatusAttributeString": "OK"})
        return {self.shelf.resource: shown}, units

    def _show(self, obj: JSON) -> JSON:
        found = self.shelf.objects[obj[self.shelf.id_field]]
        return show(self.books, self.shelf, found)

    def _apply(self, unit: Unit, element: JSON, target: JSON | None) -> JSON:
        act = ACTS[self.shelf.resource]
        if target is None and not self.creates:
            target = act.match(self.shelf, element)
        if target is None:
            return act.create(unit, element)
        return act.update(unit, self.shelf.objects[target[self.shelf.id_field]], element)

    def _wrong(self, element: JSON, error: Invalid) -> JSON:
        """What an element in error looks like: whatever names it, and the messages."""
        names = (self.shelf.id_field, self.shelf.number, self.shelf.operation, "Name")
        echo = {name: element[name] for name in names if isinstance(element.get(name), str)}
        flag = "HasErrors" if self.shelf.one in ("Invoice", "CreditNote") else "HasValidationErrors"
        messages = [{"Message": message} for message in error.messages]
        return {self.shelf.id_field: NOBODY, **echo, flag: True, "ValidationErrors": messages}


def elements(body: bytes, resource: str) -> list[JSON]:
    """The elements of a body: one, a list, or a list under the resource's name. Raises `Refused` 400."""
    try:
        found: Any = loads(body)
    except ValueError as error:
        raise unreadable("The request body is not valid JSON") from error
    if isinstance(found, dict) and resource in found:
        found = found[resource]
    listed = found if isinstance(found, list) else [found]
    if not listed or not all(isinstance(element, dict) for element in listed):
        raise unreadable(f"The request body holds no {resource}")
    return listed


def allocate(books: Books, word: str, body: bytes, key: str) -> tuple[JSON, list[Unit]]:
    """`PUT CreditNotes/{id}/Allocations`. Raises `Refused` 400 or 404."""
    unit = Unit(books, key)
    shown = []
    if books.credit_notes.get(word) is None:
        raise not_found()
    for element in elements(body, "Allocations"):
        note = books.credit_notes.get(word) or {}
        try:
            shown.append(documents.show_allocation(books, payments.allocate(unit, note, element)))
        except Invalid as error:
            unit.undo()
            wrong = {"ValidationErrors": [{"Message": message} for message in error.messages]}
            raise exception("A validation exception occurred", [wrong]) from error
    return {"Allocations": shown}, [unit]
