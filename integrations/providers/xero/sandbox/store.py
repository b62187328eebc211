"""The books of one organisation: shelves of objects with indexes, changed in units that can be undone.

An object is a dict with Xero's field names; amounts are Decimal, days `date`, moments `datetime`. Names that begin
with `_` are ours: `_contact`, `_document` and the tuples `_payments`, `_allocations` hold ids. Values are replaced,
never changed in place, so that a shallow copy is the state before.
"""

import random
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import Any

from integrations.providers.xero.sandbox.clock import Clock
from integrations.providers.xero.sandbox.effects import Effect
from integrations.providers.xero.sandbox.formats import JSON

NOBODY = "00000000-0000-0000-0000-000000000000"


def new_id() -> str:
    """An id as Xero makes them: random, though not by the system's slower random numbers."""
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


class Shelf:
    """All objects of one resource, in the order in which they were created."""

    def __init__(self, resource: str, *, one: str, id_field: str, number: str, operation: str, indexed: Iterable[str]):
        self.resource = resource
        self.one = one
        self.id_field = id_field
        self.number = number
        self.operation = operation
        self.objects: dict[str, JSON] = {}
        self._index: dict[str, dict[str, dict[str, None]]] = {field: {} for field in indexed}

    def __iter__(self) -> Iterator[JSON]:
        return iter(self.objects.values())

    def get(self, word: str) -> JSON | None:
        """The object with this id, else with this number."""
        found = self.objects.get(word.lower())
        if found is None and word:
            found = next(iter(self.find(self.number, word)), None)
        return found

    def knows(self, field: str) -> bool:
        """Whether `find` knows this field."""
        return field in self._index

    def find(self, field: str, value: str) -> list[JSON]:
        """The objects whose field has this value, in the order in which they came to it."""
        return [self.objects[found] for found in self._index[field].get(value, ())]

    def has(self, field: str, value: str) -> bool:
        """Whether any object's field has this value."""
        return value in self._index[field]

    def put(self, obj: JSON) -> None:
        """Add an object, or put back another version of it."""
        found_id = obj[self.id_field]
        before = self.objects.get(found_id, {})
        self.objects[found_id] = obj
        for field, index in self._index.items():
            was, value = before.get(field), obj.get(field)
            if was == value:
                continue
            if was is not None:
                self._drop(index, was, found_id)
            if value is not None:
                index.setdefault(value, {})[found_id] = None

    def remove(self, found_id: str) -> None:
        """Take an object out of the books."""
        obj = self.objects.pop(found_id)
        for field, index in self._index.items():
            if (value := obj.get(field)) is not None:
                self._drop(index, value, found_id)

    def _drop(self, index: dict[str, dict[str, None]], value: str, found_id: str) -> None:
        index[value].pop(found_id)
        if not index[value]:
            del index[value]


class Books:
    """An organisation's shelves, and what its objects last looked like as JSON."""

    #: The last day of the closed period: nothing of it or before can be entered, changed or taken back.
    locked_until: date | None = None

    def __init__(self, name: str, tenant_id: str, currency: str, clock: Clock) -> None:
        self.name = name
        self.tenant_id = tenant_id
        self.currency = currency
        self.clock = clock
        self.connection_id = new_id()
        self.connected_at = clock.stamp()
        self.open()

    def open(self) -> None:
        """Empty books, of no closed period."""
        self.locked_until = None
        self.contacts = Shelf(
            "Contacts",
            one="Contact",
            id_field="ContactID",
            number="ContactNumber",
            operation="ContactNumber",
            indexed=("ContactNumber", "Name", "EmailAddress", "_name"),
        )
        self.invoices = Shelf(
            "Invoices",
            one="Invoice",
            id_field="InvoiceID",
            number="InvoiceNumber",
            operation="Reference",
            indexed=("InvoiceNumber", "Reference", "_contact"),
        )
        self.credit_notes = Shelf(
            "CreditNotes",
            one="CreditNote",
            id_field="CreditNoteID",
            number="CreditNoteNumber",
            operation="Reference",
            indexed=("CreditNoteNumber", "Reference", "_contact"),
        )
        self.payments = Shelf(
            "Payments",
            one="Payment",
            id_field="PaymentID",
            number="PaymentID",
            operation="Reference",
            indexed=("PaymentID", "Reference", "_document"),
        )
        self.numbers = 0

    @property
    def shelves(self) -> dict[str, Shelf]:
        """Every shelf by the name of its resource."""
        return {shelf.resource: shelf for shelf in (self.contacts, self.invoices, self.credit_notes, self.payments)}

    def next_number(self, prefix: str, taken: Callable[[str], Any]) -> str:
        """A number for a document that came without one."""
        while True:
            self.numbers += 1
            number = f"{prefix}-{self.numbers:04d}"
            if not taken(number):
                return number


class Unit:
    """What one request, or one element of it, changes: kept together, or undone together."""

    def __init__(self, books: Books, key: str = "") -> None:
        self.books = books
        self.key = key
        self.now = books.clock.stamp()
        self.effects: list[Effect] = []
        self.events: dict[tuple[str, str], str] = {}
        self._before: list[tuple[Shelf, str, JSON | None]] = []

    def add(self, shelf: Shelf, obj: JSON) -> JSON:
        """Put a new object on its shelf."""
        found_id = obj[shelf.id_field]
        self._before.append((shelf, found_id, None))
        obj["UpdatedDateUTC"] = self.now
        shelf.put(obj)
        self.events[shelf.resource, found_id] = "CREATE"
        return obj

    def change(self, shelf: Shelf, found_id: str, **fields: Any) -> JSON:
        """Another version of an object."""
        before = shelf.objects[found_id]
        self._before.append((shelf, found_id, before))
        after = {**before, **fields, "UpdatedDateUTC": self.now}
        shelf.put(after)
        self.events.setdefault((shelf.resource, found_id), "UPDATE")
        return after

    def note(self, shelf: Shelf, obj: JSON, verb: str, operation: str = "") -> None:
        """Count an effect: what the request asked for, not what followed from it."""
        word = operation or str(obj.get(shelf.operation) or "")
        self.effects.append(Effect(shelf.resource, obj[shelf.id_field], verb, word, self.key))

    def undo(self) -> None:
        """Nothing of it happened."""
        for shelf, found_id, before in reversed(self._before):
            if before is None:
                shelf.remove(found_id)
            else:
                shelf.put(before)
        self._before.clear()
        self.effects.clear()
        self.events.clear()
