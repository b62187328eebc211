"""Finding records by whatever a person has in hand: an id, a number, a name, an amount."""

import re
from dataclasses import dataclass
from typing import Any

from django.db.models import BooleanField, Q, QuerySet
from django.db.models.expressions import RawSQL

from integrations.models import Event, Record, Reference

LONGEST = 120
#: Shorter beginnings of an id ("in_", "cus_") name everything.
SHORTEST_PREFIX = 5
MOST_WORDS = 8
MOST_CUSTOMERS = 5
_MONEY = re.compile(r"[^\w\s.,-]{0,3}\d{1,3}([, ]?\d{3})*(\.\d*)?", re.ASCII)
#: What the database's parser would not find in any record.
_WORDLESS = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Asked:
    """What somebody searches for, made safe: no control characters, one space between words, not too long."""

    text: str

    @classmethod
    def read(cls, raw: str) -> "Asked":
        """Return what a query holds."""
        clean = "".join(c if c.isprintable() and not "\ud800" <= c <= "\udfff" else " " for c in raw[: LONGEST * 2])
        return cls(" ".join(clean.split())[:LONGEST].strip())

    def __bool__(self) -> bool:
        return bool(self.text)

    @property
    def words(self) -> list[str]:
        """The words to look for in lower case; an amount loses its symbol and separators."""
        text = self.text.lower()
        words = [text] if _MONEY.fullmatch(text) else text.split()
        plain = [re.sub(r"[^\d.]", "", word) if _MONEY.fullmatch(word) else word for word in words]
        return [word for word in plain if not _WORDLESS.fullmatch(word)][:MOST_WORDS]

    @property
    def may_be_id(self) -> bool:
        return " " not in self.text


def branches(asked: Asked, rows: "QuerySet[Record]", connection_ids: frozenset[int]) -> list[Q | RawSQL]:
    """Return the ways in which records may match, to be joined as a union; none: nothing can match.

    An id that is known exactly is the answer, and nothing else is looked for.
    """
    exact = by_id(asked, connection_ids)
    if exact:
        return [Q(pk__in=exact)]
    found: list[Q | RawSQL] = []
    beginning = by_prefix(asked, connection_ids)
    if beginning:
        found.append(Q(pk__in=beginning))
    if asked.words:
        found.append(_matches(asked.words))
        customers = rows.filter(_matches(asked.words), kind="customer").values_list("pk", flat=True)
        found += [Q(customer_id=pk) for pk in customers[:MOST_CUSTOMERS]]
    return found


def by_id(asked: Asked, connection_ids: frozenset[int]) -> set[int]:
    """Return the records that have this very id at a provider, or that an event of this id is about."""
    if not asked.may_be_id:
        return set()
    references = Reference.objects.filter(connection_id__in=connection_ids, external_id=asked.text)
    found = set(references.values_list("record_id", flat=True))
    if not found:
        events = Event.objects.filter(connection_id__in=connection_ids, provider_event_id=asked.text)
        found = {pk for pk in events.values_list("record_id", flat=True) if pk}
    return found


def by_prefix(asked: Asked, connection_ids: frozenset[int], most: int = 50) -> list[int]:
    """Return some records whose id at a provider begins so; `%` and `_` mean themselves."""
    if not asked.may_be_id or len(asked.text) < SHORTEST_PREFIX:
        return []
    rows = Reference.objects.filter(connection_id__in=connection_ids, external_id__startswith=asked.text)
    return list(rows.values_list("record_id", flat=True)[:most])


def evidence_without_record(asked: Asked, events: "QuerySet[Event]") -> list[Event]:
    """Return the newest events about an object of this id, or of this id themselves, that made no record."""
    if not asked.may_be_id:
        return []
    about = Q(external_id=asked.text) | Q(provider_event_id=asked.text)
    return list(events.filter(about, record__isnull=True).select_related("connection").order_by("-id")[:20])


def _matches(words: list[str]) -> RawSQL:
    """Return the condition that a record holds all words, each as the beginning of one of its own.

    Each word is looked for twice: as the database's parser cuts it (a number has its sign, a name its
    hyphens), and uncut, as it keeps e-mail addresses.
    """
    quoted: list[Any] = ["'" + word.replace("\\", "\\\\").replace("'", "''") + "':*" for word in words]
    each = "(to_tsquery('simple', %s) || %s::tsquery)"
    condition = " && ".join([each] * len(quoted))
    params = [value for word in quoted for value in (word, word)]
    return RawSQL(f"integrations_record.search @@ ({condition})", params, output_field=BooleanField())  # noqa: S611 - words are parameters
