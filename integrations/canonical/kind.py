"""What every canonical kind declares: its fields, states, legal steps, and how people call one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from integrations.canonical.fields import Canonical
from integrations.canonical.money import major_text

Data = Mapping[str, Any]

#: The state of what the provider has deleted.
DELETED = "deleted"
_SHORT = 12


@dataclass(frozen=True)
class Kind:
    """A canonical kind.

    `states` are in the order of a record's life. `initial` are those in which one is born. `steps`
    are the single legal steps. `links` tells which field refers to which kind. `sensitive` fields
    hold personal data. `amount` and `label` name the fields that people sort and call records by.
    `added` are fields that came later: mappings that were published before do not speak of them.
    `booked` are the states in which the books are to know of it: money is owed, or has moved. `booked_amount` is the
    field that says how much, where it is not `amount`.
    """

    name: str
    title: str
    plural: str
    model: type[Canonical]
    states: tuple[str, ...]
    initial: frozenset[str]
    steps: Mapping[str, frozenset[str]]
    links: Mapping[str, str] = field(default_factory=dict)
    sensitive: frozenset[str] = frozenset()
    booked: frozenset[str] = frozenset()
    booked_amount: str = ""
    amount: str = ""
    label: str = ""
    added: frozenset[str] = frozenset()

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Names of all fields, in the order in which people read them."""
        return tuple(self.model.model_fields)

    @cached_property
    def required(self) -> frozenset[str]:
        """Fields without which a record of this kind cannot stand."""
        return frozenset(n for n, info in self.model.model_fields.items() if info.is_required())

    @cached_property
    def _reachable(self) -> dict[str, frozenset[str]]:
        return {state: self._closure(state) for state in self.states}

    def _closure(self, state: str) -> frozenset[str]:
        seen: set[str] = set()
        ahead = list(self.steps.get(state, ()))
        while ahead:
            step = ahead.pop()
            if step not in seen:
                seen.add(step)
                ahead.extend(self.steps.get(step, ()))
        return frozenset(seen)

    def can_become(self, old: str, new: str) -> bool:
        """Say whether `new` may follow `old`, in one step or in several.

        Several, because the evidence of the steps in between may never have arrived. A state may
        always follow itself. An unknown state follows nothing.
        """
        return new in self.states and (old == new or new in self._reachable.get(old, frozenset()))

    def amount_of(self, data: Data) -> tuple[int, str] | None:
        """Return (minor units, currency) of the record, None where it has no amount."""
        minor, currency = data.get(self.amount), data.get("currency")
        return (minor, currency) if isinstance(minor, int) and isinstance(currency, str) else None

    def label_of(self, data: Data, external_id: str) -> str:
        """Return what people call the record: its number or name, else the end of its id."""
        label = data.get(self.label)
        if isinstance(label, str) and label.strip():
            return label.strip()
        return external_id if len(external_id) <= _SHORT else f"…{external_id[-8:]}"

    def search_text(self, data: Data) -> str:
        """Return the words by which the record is found, besides its ids: texts, links, amount."""
        words = [v for n in self.fields if n in self._searched and isinstance(v := data.get(n), str)]
        amount = self.amount_of(data)
        if amount:
            words += [major_text(*amount), amount[1]]
        return " ".join(" ".join(words).lower().split())

    @cached_property
    def _searched(self) -> frozenset[str]:
        texts = {"number", "name", "email", "reason", "failure_reason"}
        return frozenset(texts & set(self.fields)) | frozenset(self.links)
