"""Finding records by whatever a person has in hand: an id, a number, a name, an amount."""

import re
from dataclasses import dataclass
from typing import Any

from django.db.models import BooleanField, Q, QuerySet
from django.db.models.expressions import RawSQL

from integrations.canonical.money import DECIMALS
from integrations.models import Event, Record, Reference

LONGEST = 120
#: Shorter beginnings of an id ("in_", "cus_") name everything.
SHORTEST_PREFIX = 5
MOST_WORDS = 8
MOST_CUSTOMERS = 5
#: As many matches are gathered before a word counts as common.
FEW = 3000
#: As many rows are read in order of the list before a word counts as rare.
AHEAD = 1500
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


def by_ids(asked: Asked, connection_ids: frozenset[int]) -> set[int]:
    """Return the records of this very id, else some whose id begins so: whoever has an id looks for nothing else."""
    return by_id(asked, connection_ids) or by_prefix(asked, connection_ids)


def among_the_next(rows: "QuerySet[Record]", words: list[str], field: str, wanted: int) -> list[tuple[Any, int]] | None:
    """Return the first `wanted` of ordered `rows` that hold all words, as (value of `field`, id), if they come soon.

    None where the next `AHEAD` rows do not hold that many: the words are rare, and their index finds them. The
    database cannot tell common words from rare ones by itself: it reckons with one share for all beginnings of
    words that it does not know, and either walks the whole list or gathers a million rows.
    """
    read = rows.annotate(holds=_matches(words)).values_list(field, "pk", "holds")[:AHEAD]
    found = [(value, pk) for value, pk, holds in read if holds][:wanted]
    return found if len(found) == wanted else None


def by_words(words: list[str], rows: "QuerySet[Record]") -> tuple[list[Q | RawSQL], bool]:
    """Return the ways in which records match, by their own words or by their customer's, and whether they are few."""
    matches = _matches(words)
    pks = list(rows.filter(matches).order_by().values_list("pk", flat=True)[: FEW + 1])
    if len(pks) > FEW:
        return [matches], False
    customers = list(rows.filter(pk__in=pks, kind="customer").values_list("pk", flat=True)[:MOST_CUSTOMERS])
    return [Q(pk__in=pks), *(Q(customer_id=pk) for pk in customers)], True


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


def by_prefix(asked: Asked, connection_ids: frozenset[int], most: int = 50) -> set[int]:
    """Return some records whose id at a provider begins so; `%` and `_` mean themselves."""
    if not asked.may_be_id or len(asked.text) < SHORTEST_PREFIX:
        return set()
    rows = Reference.objects.filter(connection_id__in=connection_ids, external_id__startswith=asked.text)
    return set(rows.values_list("record_id", flat=True)[:most])


def evidence_without_record(asked: Asked, events: "QuerySet[Event]") -> list[Event]:
    """Return the newest events about an object of this id, or of this id themselves, that made no record."""
    if not asked.may_be_id:
        return []
    about = Q(external_id=asked.text) | Q(provider_event_id=asked.text)
    return list(events.filter(about, record__isnull=True).select_related("connection").order_by("-id")[:20])


def some_with_words(asked: Asked, rows: "QuerySet[Record]", most: int) -> set[int]:
    """Return up to `most` records that hold all words that are asked for, whichever come first."""
    words = asked.words
    return set(rows.filter(_matches(words)).order_by().values_list("pk", flat=True)[:most]) if words else set()


def _matches(words: list[str]) -> RawSQL:
    """Return the condition that a record holds all words, each as the beginning of one of its own.

    Each word is looked for twice: as the database's parser cuts it (a number has its sign, a name its hyphens;
    only the last part may go on), and uncut, as the parser keeps e-mail addresses. A currency is a whole word.
    """
    parts: list[str] = []
    params: list[str] = []
    for word in words:
        if word.upper() in DECIMALS:
            parts.append("phraseto_tsquery('simple', %s)")
            params.append(word)
        else:
            uncut = "'" + word.replace("\\", "\\\\").replace("'", "''") + "':*"
            parts.append(_BEGINNING)
            params += [word, uncut, uncut]
    # The words are parameters; nothing that anybody typed stands in the statement.
    return RawSQL(f"integrations_record.search @@ ({' && '.join(parts)})", params, output_field=BooleanField())  # noqa: S611


_BEGINNING = "COALESCE((NULLIF(phraseto_tsquery('simple', %s)::text, '') || ':*')::tsquery || %s::tsquery, %s::tsquery)"
