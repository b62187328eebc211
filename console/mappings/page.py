"""What the page of a mapping shows: its rules in words, tried on the newest real event."""

import re
from dataclasses import dataclass
from typing import Any

from console.access import seen
from console.events import evidence
from console.models import User
from console.tree import Marks
from console.values import name_of, shown
from integrations.boundary.mapping import Traced
from integrations.boundary.mapping_document import ResourceMapping
from integrations.boundary.redaction import redact
from integrations.canonical import KINDS
from integrations.configuration.impact import Impact, Tried, newest_events
from integrations.failures.categories import Category
from integrations.models import Connection, Event, Mapping, WorkState
from integrations.providers import get_adapter
from integrations.workflow.evidence import Read, read_events

#: A source that names one place, and so can be pointed out in a payload.
_PLAIN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
#: Events of an impact that are shown one by one.
SHOWN = 12
#: Parked events that are counted; more tell nobody more.
MOST_PARKED = 1000


@dataclass(frozen=True)
class RuleRow:
    """One rule in words, with what it makes of the example."""

    field: str
    name: str
    sources: tuple[str, ...]
    convert: str
    missing: str
    null: str
    result: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Example:
    """The newest event of the resource, to show the rules at work."""

    event: Event
    payload: Any
    marks: Marks


def rule_rows(rules: ResourceMapping, example: Read | None, *, personal: bool) -> list[RuleRow]:
    """Return the rules in the order in which people read a record."""
    traced = {line.field: line for line in example.trace} if example else {}
    currency = traced["currency"].value if "currency" in traced else ""
    order = ["state", *KINDS[rules.kind].fields]
    return [_row(rules, name, traced.get(name), str(currency or ""), personal) for name in order]


def _row(rules: ResourceMapping, field: str, line: Traced | None, currency: str, personal: bool) -> RuleRow:
    rule = rules.fields[field]
    missing, null = (rule.words_when[word].partition(" → ")[2] for word in ("missing", "null"))
    told = rule.sources != ()
    return RuleRow(
        field=field,
        name=name_of(field),
        sources=rule.sources,
        convert=f"table of {len(rules.states)}" if rule.convert == "state" else rule.words,
        missing=missing if told else "",
        null=null if told else "",
        result=_result(rules.kind, field, line, currency, personal),
        problem=line.problem if line else "",
    )


def _result(kind: str, field: str, line: Traced | None, currency: str, personal: bool) -> str:
    if line is None or line.problem:
        return ""
    return "as believed" if line.kept else shown(kind, field, line.value, currency=currency, personal=personal)


def read_example(connection: Connection, resource: str) -> Read | None:
    """Return the newest event of a resource that shows an object, read by the rules in force."""
    reads = read_events(newest_events(connection, resource, 5), {connection.pk: connection})
    return next((read for read in reads if read.obj), None)


def parked_of(mapping: Mapping) -> int:
    """Return how many events of the resource are parked by a mapping failure, counted up to a limit."""
    connection = mapping.connection
    rows = Event.objects.filter(
        tenant_id=connection.tenant_id, environment=connection.environment, state=WorkState.PARKED,
        connection=connection, resource=mapping.resource, category=Category.MAPPING,
    )  # fmt: skip
    return len(rows.values_list("pk")[:MOST_PARKED])


def example_of(read: Read, rules: ResourceMapping, connection: Connection) -> Example:
    """Return the example with the places that rules read; redacted for everybody, since nobody asked to reveal it."""
    sensitive = evidence.sensitive(read, get_adapter(connection.provider))
    used: dict[str, str] = {}
    for field, rule in rules.fields.items():
        for source in rule.sources:
            if _PLAIN.fullmatch(source):
                used.setdefault("/" + source.replace(".", "/"), name_of(field).lower())
    hits = [
        f"/{line.source.replace('.', '/')}" for line in read.trace if line.problem and _PLAIN.fullmatch(line.source)
    ]
    return Example(read.event, redact(read.obj, sensitive), Marks(used=used, hits=hits))


@dataclass(frozen=True)
class TriedRow:
    """One event of an impact, its changes in words."""

    tried: Tried
    label: str
    rows: tuple[tuple[str, str, str], ...]


def tried_rows(mapping: Mapping, impact: Impact, user: User, *, personal: bool) -> list[TriedRow]:
    """Return the events that the new rules change, failures first."""
    return [
        TriedRow(each, _label(each, user), _changes(mapping.kind, each, personal)) for each in impact.differing[:SHOWN]
    ]


def _label(each: Tried, user: User) -> str:
    record = seen(each.event.record, user)
    return record.label if record else each.event.external_id


def _changes(kind: str, each: Tried, personal: bool) -> tuple[tuple[str, str, str], ...]:
    def say(name: str, value: Any) -> str:
        return shown(kind, name, value, currency=each.currency, personal=personal)

    return tuple((name_of(name), say(name, old), say(name, new)) for name, old, new in each.changes)


def impact_parts(impact: Impact) -> list[tuple[str, int, str]]:
    """Return the verdicts as shares."""
    tones = {
        "no change": "neutral",
        "would change": "accent",
        "would map again": "ok",
        "would fail as before": "warn",
        "would fail": "danger",
    }
    return [(verdict, impact.counts.get(verdict, 0), tone) for verdict, tone in tones.items()]
