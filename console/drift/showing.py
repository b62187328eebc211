"""Differences in words: values as people read them, what accepting would do, and the money at stake."""

from dataclasses import dataclass, field
from typing import Any

from console import wording
from console.values import name_of, shown, sorts
from integrations.canonical import DELETED, KINDS
from integrations.models import Connection, Drift, DriftStatus, Record
from integrations.models.drift import EXISTENCE


@dataclass(frozen=True)
class Line:
    """One difference as people may see it."""

    drift: Drift
    currencies: tuple[str, str]
    personal: bool

    @property
    def name(self) -> str:
        return "Exists" if self.drift.field == EXISTENCE else name_of(self.drift.field)

    @property
    def open(self) -> bool:
        return self.drift.status == DriftStatus.OPEN

    @property
    def ours(self) -> str:
        return self._side(self.drift.ours, self.currencies[0])

    @property
    def theirs(self) -> str:
        return self._side(self.drift.theirs, self.currencies[1])

    def _side(self, value: Any, currency: str) -> str:
        if self.drift.field == EXISTENCE:
            return "yes" if value == "present" else "no"
        return shown(self.drift.kind, self.drift.field, value, currency=currency, personal=self.personal)

    @property
    def masked(self) -> bool:
        """Whether the two sides are personal and so not shown."""
        kind = KINDS.get(self.drift.kind)
        return not self.personal and kind is not None and self.drift.field in kind.sensitive

    @property
    def is_state(self) -> bool:
        """Whether its values are states of the record's kind."""
        return self.drift.field == "state"

    @property
    def is_link(self) -> bool:
        return sorts(self.drift.kind).get(self.drift.field) == "link"

    @property
    def unusual(self) -> bool:
        """Whether accepting takes a step that is not legal by itself."""
        kind = KINDS.get(self.drift.kind)
        if kind is None or self.drift.field != "state":
            return False
        return not kind.can_become(str(self.drift.ours), str(self.drift.theirs))


@dataclass(frozen=True)
class Sending:
    """What would go out for ours to stand there again: in words, as (field, value), and by its mark in the form.

    `refused` says why nothing would.
    """

    said: str
    content: list[tuple[str, str]]
    mark: str
    refused: str = ""


@dataclass
class Group:
    """One object that differs, with its rows."""

    head: Drift
    personal: bool
    rows: list[Drift] = field(default_factory=list)
    sending: Sending | None = None

    def add(self, drift: Drift) -> None:
        """Take in one more row of the object."""
        self.rows.append(drift)

    @property
    def record(self) -> Record | None:
        return self.head.record

    @property
    def connection(self) -> Connection:
        connection: Connection = self.head.connection
        return connection

    @property
    def is_copy(self) -> bool:
        """Whether it was exported there: belief follows its own provider, and ours may be sent."""
        if self.record is None:
            # A record that one may not see is at another connection than the difference, which one does see.
            return self.head.record_id is not None
        return self.record.connection_id != self.head.connection_id

    @property
    def label(self) -> str:
        """What people call it; the provider's id where we hold no record, or none that one may see."""
        return self.record.label if self.record else self.head.external_id

    @property
    def kind(self) -> str:
        return KINDS[self.head.kind].title if self.head.kind in KINDS else self.head.resource

    @property
    def customer(self) -> str:
        return self.record.customer.label if self.record and self.record.customer else ""

    @property
    def lines(self) -> list[Line]:
        currencies = self._currencies()
        return [Line(row, currencies, self.personal) for row in self.rows]

    def _currencies(self) -> tuple[str, str]:
        """Return in which currency each side counts; they differ where the currency itself does."""
        ours = self.record.currency if self.record else self.head.currency or ""
        theirs = next((str(row.theirs) for row in self.rows if row.field == "currency" and row.theirs), ours)
        return ours, theirs

    @property
    def open(self) -> bool:
        return any(row.status == DriftStatus.OPEN for row in self.rows)

    @property
    def stake(self) -> str:
        """The money at stake in words, "" where there is none or it is not known."""
        amount = at_stake(self.record, self.rows) if self.open else None
        return wording.money(amount, self._currencies()[0]) if amount else ""

    @property
    def effect(self) -> str:
        """Say what accepting theirs would do to the record."""
        words = {row.field: row for row in self.rows}
        if self.is_copy:
            return "cannot follow a copy"
        if self.record is None:
            return "becomes a record here, from the evidence of the check"
        if EXISTENCE in words:
            return f"goes from {self.record.state} to {DELETED}" if words[EXISTENCE].theirs == "absent" else "stays"
        return f"takes {wording.count(len(self.rows), 'value')} of {self.connection.name}"


def at_stake(record: Record | None, rows: list[Drift]) -> int | None:
    """Return in minor units what a record's differences are about.

    Where its state or its existence differs, its whole amount, unless it is known how much of it is due; else the
    largest difference of one of its amounts, since subtotal, total and what is due move together. None where no money
    is in it.
    """
    if record is None:
        return None
    fields = {row.field for row in rows}
    if fields & {"state", EXISTENCE} and "amount_due" not in fields:
        return abs(record.amount) if record.amount is not None else None
    amounts = [abs((row.theirs or 0) - (row.ours or 0)) for row in rows if _counts(row)]
    return max(amounts, default=None)


def _counts(row: Drift) -> bool:
    return sorts(row.kind).get(row.field) == "money" and all(
        value is None or type(value) is int for value in (row.ours, row.theirs)
    )
