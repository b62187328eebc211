"""What the audit page was asked: the address becomes filters, a selection of entries, and words for both."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.http import QueryDict

from console.access import SEE, grants_at
from console.filters import Choice, Filter, read
from console.models import User
from integrations.journal.select import Selection
from integrations.models import Lane, Record, Reference

#: Group of acts, its label, and the actions that are in it.
GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "records": (
        "records and notes",
        ("record.noted", "record.changed", "record.checked", "record.check_asked", "drift.accepted", "drift.ignored"),
    ),
    "work": (
        "replay, runs, problems",
        ("event.replayed", "event.dismissed", "stream.run_asked", "run.cancelled", "connection.check_asked",
         "problem.assigned", "problem.named"),
    ),
    "pause": (
        "pause, disable, breaker",
        ("connection.paused", "connection.resumed", "connection.disabled", "connection.enabled", "stream.paused",
         "stream.resumed", "breaker.opened", "breaker.closed", "breaker.probe_asked", "breaker.probe_failed"),
    ),
    "secrets": (
        "secrets",
        ("credential.submitted", "credential.activated", "credential.failed", "credential.revoked",
         "credential.cancelled"),
    ),
    "setup": ("settings and mappings", ("connection.made", "settings.changed", "mapping.published")),
    "commands": (
        "commands",
        ("command.submitted", "command.sent_again", "command.hurried", "command.looked_for", "command.cancelled",
         "command.resolved", "command.parked"),
    ),
    "people": ("people and roles", ("grant.given", "grant.taken", "person.invited", "token.made", "token.revoked")),
    "signin": ("sign-ins", ("person.signed_in", "person.signed_out", "person.refused")),
    "reveals": ("reveals", ("payload.revealed",)),
    "audit": ("exports and verification", ("export.made", "journal.verified")),
    "refused": ("refused webhooks", ("webhook.refused",)),
    "evidence": (
        "evidence", ("event.decided", "event.parked", "event.waits", "event.redelivered"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """The filters with their values, the selection that they make, and what of it nobody can find.

    `bounds` names the connections beyond which the person may not go, "" for the whole tenant.
    """

    filters: dict[str, Filter]
    selection: Selection
    everything: bool
    misread: str = ""
    bounds: str = ""

    @property
    def narrowed(self) -> bool:
        """Whether anything but the view narrows the list."""
        return any(each.chosen for each in self.filters.values())

    @property
    def told(self) -> dict[str, str]:
        """The filter in words, for exports and prints."""
        words = {each.label: each.shown for each in self.filters.values() if each.chosen}
        limits = {"By": "" if self.everything else "people", "Where": self.bounds}
        return {name: limit for name, limit in limits.items() if limit} | words


def asked(request: Any, query: QueryDict, *, action: str = SEE) -> Asked:
    """Return what a query asks of the journal, within what the person may do `action` with."""
    space = request.space
    filters = read(_offered(space), query)
    misread: list[str] = []
    since, until = (_day(filters[name].value, misread) for name in ("from", "to"))
    actions = tuple(each for group in filters["did"].chosen for each in GROUPS[group][1])
    everything, within = query.get("view") == "all", reach(request, action)
    selection = Selection(
        tenant_id=space.tenant.pk,
        environment=space.environment,
        connections=within,
        people_only=not everything,
        person_id=int(filters["person"].value) if filters["person"].value else None,
        actions=actions,
        lanes=filters["lane"].chosen,
        connection_ids=tuple(int(pk) for pk in filters["connection"].chosen),
        record_id=_record(request, filters["record"].value, misread),
        since=since,
        until=until + timedelta(days=1) if until else None,
    )
    return Asked(filters, selection, everything, " ".join(misread), bounds(space, within))


def reach(request: Any, action: str) -> frozenset[int] | None:
    """Return the connections at which a person may do `action`; None for the whole tenant."""
    powers, space = request.user.powers, request.space
    if powers.may(action, tenant_id=space.tenant.pk):
        return None
    return frozenset(powers.connections.get(action, frozenset()) & space.connection_ids)


def bounds(space: Any, within: frozenset[int] | None) -> str:
    """Name the connections that `reach` leaves to a person, "" where it leaves the whole tenant."""
    return "" if within is None else ", ".join(each.name for each in space.connections if each.pk in within)


def _offered(space: Any) -> list[Filter]:
    held = grants_at(space.tenant, space.connection_ids)
    people = User.objects.filter(pk__in=held.values("user_id")).order_by("first_name", "email")
    return [
        Filter("from", "From", "date", hint="UTC, that day included."),
        Filter("to", "To", "date", hint="UTC, that day included."),
        Filter("person", "Person", "one", [Choice(str(each.pk), each.name) for each in people]),
        Filter("did", "Action", "many", [Choice(name, label) for name, (label, _) in GROUPS.items()]),
        Filter("lane", "Lane", "many", [Choice(lane.value, lane.value) for lane in Lane]),
        Filter("connection", "Connection", "many", [Choice(str(each.pk), each.name) for each in space.connections]),
        Filter("record", "Record", "text", hint="Its number here, or its whole id at the provider."),
    ]


def _day(text: str, misread: list[str]) -> datetime | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
        return datetime(day.year, day.month, day.day, tzinfo=UTC) if day.year < 9999 else None
    except ValueError:
        misread.append(f"“{text[:40]}” is no date; write it as 2026-11-19.")
        return None


def _record(request: Any, text: str, misread: list[str]) -> int | None:
    """Return the record that a text names: by its number, or by its id at the provider."""
    if not text:
        return None
    space = request.space
    visible = Record.objects.visible_to(request.user).filter(**space.here)
    if text.isascii() and text.isdigit() and len(text) < 19:
        found = visible.filter(pk=int(text)).values_list("pk", flat=True).first()
    else:
        references = Reference.objects.filter(external_id=text[:255], record__in=visible)
        found = references.values_list("record_id", flat=True).first()
    if found is None:
        misread.append(f"No record is known as “{text[:80]}”.")
        return -1
    return int(found)
