"""What the page of one record shows, gathered in few queries."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import Case, IntegerField, OuterRef, Q, Subquery, Value, When
from django.urls import reverse
from django.utils import timezone

from console.access import find_here
from console.commands import beginning
from console.records import answers, asked, belief, exports, sides, timeline
from integrations.canonical import KINDS
from integrations.models import Command, Connection, Event, Failure, Link, Payload, Record, Run
from integrations.models.visibility import Person

MOST_RELATED = 8
MOST_PAYLOADS = 5
MOST_FAILURES = 3


@dataclass(frozen=True)
class Related:
    """Another record, and how it is tied to this one."""

    record: Record
    tie: str


def find(request: Any, pk: int) -> Record:
    """Return the record that the person may see, with what its answers need; raises Http404."""
    rows = answers.with_answers(Record.objects.select_related("customer", "mapping"), request.user)
    rows = asked.with_newest(rows, Command.objects.visible_to(request.user))
    return find_here(request, rows, pk)  # type: ignore[arg-type]


def gather(request: Any, record: Record) -> dict[str, Any]:
    """Return everything that the page shows."""
    now, space, user = timezone.now(), request.space, request.user
    connection = space.connection(record.connection_id)
    may = partial(user.powers.may, tenant_id=record.tenant_id, connection_id=record.connection_id)
    sights = answers.sights_of(record)
    links = list(_links(record, user))
    failures = open_failures(record, user) if record.stuck_since else []
    events = newest_events(record, user)
    stretch = timeline_of(request, record, now)
    url_of = partial(_url_of, space)
    linked = {link.field: link.target for link in links if link.record_id == record.pk}
    waiting = failures[0].event if failures else None
    copies = exports.read(request, record)
    return {
        "record": record,
        "kind": KINDS[record.kind],
        "connection": connection,
        "references": exports.held(connection, sights, match_of(record), copies),
        "exports": copies,
        "differs_elsewhere": sum(each.differs for each in copies),
        "belief": belief.tell(
            belief.Teller(record, linked, now, url_of), failures[0] if failures else None, connection.name
        ),
        "answers": answers.answers(
            record,
            events[0] if events else None,
            [line.entry for line in stretch.lines],
            connection.name,
            sent=asked.answer(record, lambda command_pk: reverse("command", args=(*space.args, command_pk))),
            event_url=lambda event_pk: reverse("event", args=(*space.args, event_pk)),
            mapping_url=lambda mapping_pk: reverse("mapping", args=(*space.args, mapping_pk)),
            delivery_url=lambda delivery_pk: reverse("subscription_delivery", args=(*space.args, delivery_pk)),
        ),
        "undecided": asked.undecided(request, record),
        "failures": failures[:MOST_FAILURES],
        "more_failures": len(failures) - MOST_FAILURES,
        "sides": sides.read(
            record,
            max((sight.checked_at for sight in sights), default=None),
            answers.theirs_of(record),
            connection,
            waiting=waiting,
            personal=may("see_personal"),
            names={field: target.label for field, target in linked.items()},
            locks=exports.locks(copies, record),
            run=run_asked(request, record),
        ),
        "stretch": stretch,
        "related": related(record, links),
        "events": events[:MOST_PAYLOADS],
        "kept": answers.tries_of(record)["events"],
        "offers": beginning.offers(record, answers.held_as(record), _where_to_ask(request)),
        "may_check": may("reconcile") and not connection.disabled_at,
        "may_replay": may("replay"),
        "may_note": may("annotate"),
        "may_see_drift": may("see_drift"),
    }


def _where_to_ask(request: Any) -> list[Connection]:
    """Return the connections of the space at which the person may ask for something."""
    may = partial(request.user.powers.may, "command", tenant_id=request.space.tenant.pk)
    return [each for each in request.space.connections if may(connection_id=each.pk)]


def match_of(record: Record) -> tuple[str, str]:
    """Say how belief stands to the provider's newest word: a word of the topic "match", and its text."""
    differs = exports.differs_at(record, record.connection_id)
    if differs:
        fields = "1 field" if differs == 1 else f"{differs} fields"
        return "differs", f"differs in {fields}"
    return ("behind", "behind its evidence") if record.stuck_since else ("matches", "matches")


def timeline_of(request: Any, record: Record, now: datetime) -> timeline.Stretch:
    """Return the stretch of the timeline that the address asks for."""
    place = request.GET.get("place", "")
    return timeline.read(
        record,
        now,
        request.user,
        place=int(place) if place.isascii() and place.isdigit() and len(place) < 19 else None,
        oldest_first=request.GET.get("order") == "oldest",
        seen=request.GET.get("seen", ""),
        names={each.pk: each.name for each in request.space.connections},
    )


def open_failures(record: Record, person: Person) -> list[Failure]:
    """Return what a person may see of what keeps a record stuck: what asks for a person first, then the oldest."""
    rows = Failure.objects.visible_to(person).filter(record=record, resolved_at__isnull=True, event__isnull=False)
    found = rows.select_related("problem__assigned_to", "event").order_by("at")
    return sorted(found, key=lambda failure: bool(failure.event and failure.event.state != "parked"))


def newest_events(record: Record, person: Person) -> list[Event]:
    """Return a record's newest events that a person may see, each with the size of its payload."""
    kept = Payload.objects.filter(pk=OuterRef("payload_id"), at=OuterRef("payload_at"))
    rows = Event.objects.visible_to(person).filter(record=record).annotate(size=Subquery(kept.values("size")[:1]))
    return list(rows.order_by("-id")[:MOST_PAYLOADS])


def run_asked(request: Any, record: Record) -> Run | None:
    """Return the check that the address speaks of."""
    pk = request.GET.get("check", "")
    if not (pk.isascii() and pk.isdigit() and len(pk) < 19):
        return None
    return Run.objects.visible_to(request.user).filter(pk=int(pk), tenant_id=record.tenant_id).first()


def _links(record: Record, person: Person) -> Any:
    """Return the links from a record first, then the newest ones to it; both ends are seen."""
    own_first = Case(When(record=record, then=Value(0)), default=Value(1), output_field=IntegerField())
    visible = Record.objects.visible_to(person).values("pk")
    rows = Link.objects.filter(Q(record=record, target__in=visible) | Q(target=record, record__in=visible))
    rows = rows.select_related("record", "target")
    return rows.order_by(own_first, "-id")[:MOST_RELATED]


def related(record: Record, links: list[Link]) -> list[Related]:
    """Return the records tied to this one, each once."""
    found: dict[int, Related] = {}
    for link in links:
        own = link.record_id == record.pk
        other = link.target if own else link.record
        found.setdefault(other.pk, Related(other, link.field.replace("_", " ") if own else other.kind))
    return list(found.values())


def _url_of(space: Any, record: Record) -> str:
    return reverse("record", args=(*space.args, record.pk))
