"""What planning some exports needs to know, read in a fixed number of queries, and what is planned of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.db.models import Count
from django.db.models.functions import Lower

from integrations.journal.write import Entry
from integrations.models import (
    Command,
    Connection,
    Copy,
    CopyState,
    Drift,
    DriftStatus,
    Event,
    Link,
    Record,
    Reference,
    WorkState,
)
from integrations.providers import get_adapter
from integrations.providers.base import Adapter
from integrations.providers.exporting import Ask, Exporter, Hold, Made, Part
from integrations.workflow.entries import entries_of, rfc3339
from integrations.workflow.exporting import Step
from integrations.workflow.peers import peers_of

#: From a record over what it refers to: a refund, its payment, the invoice, the customer.
DEPTH = 4


@dataclass
class Batch:
    """Copies of one connection that are planned together, with what is known of them."""

    connection: Connection
    adapter: Adapter
    exporter: Exporter
    now: datetime
    copies: list[Copy]
    records: dict[int, Record] = field(default_factory=dict)
    links: dict[int, dict[str, int]] = field(default_factory=dict)
    others: dict[int, Copy] = field(default_factory=dict)
    source_ids: dict[int, str] = field(default_factory=dict)
    #: Customers that are called like one who came to the target before them.
    namesakes: set[int] = field(default_factory=set)
    differs: dict[str, int] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    #: Which record of ours put something there, by the operation id that it carries.
    makers: dict[str, int] = field(default_factory=dict)
    #: By record: those of its kind that its adapter has to know beside it.
    peers: dict[int, set[int]] = field(default_factory=dict)
    #: When a record came into its state, by what an event of its provider told.
    entered: dict[int, datetime] = field(default_factory=dict)
    #: What is planned, by copy: set as it goes.
    asked: list[tuple[Copy, Ask]] = field(default_factory=list)
    looks: list[tuple[Connection, str, str]] = field(default_factory=list)
    stopped: list[tuple[Copy, Step]] = field(default_factory=list)
    dropped: list[Command] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    #: The records of exports that went on since they needed a person.
    freed: set[int] = field(default_factory=set)
    missing: dict[int, int] = field(default_factory=dict)
    #: Records that are there and have to go first, with their own connections.
    to_go: dict[int, int] = field(default_factory=dict)
    #: Copies that wait for those, and are planned again should that be lost.
    hurried: set[int] = field(default_factory=set)
    #: What was to be sent over theirs and is not: the copy, its differences, and why.
    given_up: list[tuple[Copy, list[int], str]] = field(default_factory=list)
    pushed: list[Copy] = field(default_factory=list)


def load(connection: Connection, rows: Sequence[Copy], now: datetime) -> Batch | None:
    """Read everything that planning some copies needs, in a fixed number of queries.

    Return None for a provider to which nothing is exported.
    """
    adapter = get_adapter(connection.provider)
    if adapter.exporter is None:
        return None
    records = {copy.record_id: copy.record for copy in rows}
    batch = Batch(connection, adapter, adapter.exporter, now, list(rows), records)
    _load_makers(batch)
    ahead = set(batch.records)
    for _ in range(DEPTH):
        for record_id, name, target_id in Link.objects.filter(record_id__in=ahead).values_list(
            "record_id", "field", "target_id"
        ):
            batch.links.setdefault(record_id, {})[name] = target_id
        ahead = {pk for pk in _targets_of(batch, ahead) if pk not in batch.records}
        if not ahead:
            break
        batch.records |= Record.objects.defer("search_text").in_bulk(ahead)
    _load_peers(batch)
    own = {copy.record_id: copy for copy in rows}
    others = Copy.objects.filter(connection=connection, record_id__in=batch.records.keys() - own.keys())
    others = others.select_related("route", *(["command"] if batch.peers else []))
    batch.others = {copy.record_id: copy for copy in others} | own
    _load_names(batch)
    batch.entered = entries_of({pk: r for pk, r in batch.records.items() if r.kind == "payment"})
    _load_sights(batch)
    return batch


def _load_makers(batch: Batch) -> None:
    """Read whose objects hang on those of the copies, and these records."""
    operations = {operation for copy in batch.copies for _, _, operation in copy.held_by if operation}
    if not operations:
        return
    made = Command.objects.filter(connection=batch.connection, operation_id__in=operations, record__isnull=False)
    batch.makers = {operation: pk for operation, pk in made.values_list("operation_id", "record_id") if pk}
    batch.records |= Record.objects.defer("search_text").in_bulk(set(batch.makers.values()) - batch.records.keys())


def _load_peers(batch: Batch) -> None:
    """Read the records that the adapter has to know beside those of the copies."""
    for kind, path in batch.exporter.peers.items():
        ids = {copy.record_id for copy in batch.copies if copy.record.kind == kind}
        batch.peers |= peers_of(ids, path, batch.links) if ids else {}
    missing = {pk for ids in batch.peers.values() for pk in ids} - batch.records.keys()
    batch.records |= Record.objects.defer("search_text").in_bulk(missing) if missing else {}


def _targets_of(batch: Batch, record_ids: set[int]) -> set[int]:
    return {target for pk in record_ids for target in batch.links.get(pk, {}).values()}


def _load_names(batch: Batch) -> None:
    """Read by which ids records go at their own provider, and which customers are called alike."""
    sources = {record.connection_id for record in batch.records.values()}
    rows = Reference.objects.filter(record_id__in=batch.records, connection_id__in=sources)
    for record_id, connection_id, external_id in rows.order_by("-pk").values_list(
        "record_id", "connection_id", "external_id"
    ):
        if batch.records[record_id].connection_id == connection_id:
            batch.source_ids[record_id] = external_id
    own = [copy.record_id for copy in batch.copies if copy.record.kind == "customer"]
    batch.namesakes = _namesakes(batch.connection, own) if own else set()


def _namesakes(target: Connection, own: Sequence[int]) -> set[int]:
    """Return the customers that are called like one who came to the target before them, from whatever source.

    Capitals do not count. Spaces around a name do not either: labels have none.
    """
    called = Record.objects.filter(pk__in=own).annotate(folded=Lower("label")).values("folded")
    alike = Record.objects.filter(kind="customer").annotate(folded=Lower("label")).filter(folded__in=called.order_by())
    rows = alike.filter(copies__connection=target).order_by("copies__pk").values_list("pk", "folded")
    first: dict[str, int] = {}
    return {pk for pk, folded in rows if first.setdefault(folded, pk) != pk}


def _load_sights(batch: Batch) -> None:
    """Read what differs at the target, and about which objects evidence waits that we have not read."""
    ids = [copy.external_id for copy in batch.copies if copy.external_id]
    if not ids:
        return
    here = {"connection": batch.connection, "external_id__in": ids}
    rows = Drift.objects.filter(**here, status=DriftStatus.OPEN).values("external_id").annotate(n=Count("pk"))
    batch.differs = {row["external_id"]: row["n"] for row in rows.order_by()}
    waiting = (WorkState.READY, WorkState.LEASED, WorkState.WAITING, WorkState.HELD)
    batch.told = set(Event.objects.filter(**here, state__in=waiting).values_list("external_id", flat=True))


def part_of(
    batch: Batch, record: Record, depth: int = DEPTH, *, held: bool = True, seen_as: Copy | None = None
) -> Part:
    """Return a record as the adapter sees it, with what it refers to, and what hangs on it unless `held` is off.

    `seen_as` stands in for its copy.
    """
    copy = seen_as or batch.others.get(record.pk)
    holds = copy.held_by if copy and held else []
    peers = batch.peers.get(record.pk, ()) if depth == DEPTH else ()
    linked = batch.links.get(record.pk, {}) if depth else {}
    return Part(
        record_id=record.pk,
        kind=record.kind,
        state=record.state,
        data=record.data,
        label=record.label,
        source_id=batch.source_ids.get(record.pk, ""),
        external_id=copy.external_id if copy else "",
        made=_made(copy),
        links={name: part_of(batch, batch.records[pk], depth - 1, held=False) for name, pk in linked.items()},
        shown_state=copy.shown_state if copy else "",
        holds=tuple(_hold(batch, *hold) for hold in holds),
        namesake=record.pk in batch.namesakes,
        kept={name: pair["theirs"] for name, pair in copy.kept.items()} if copy else {},
        under_way=copy is not None and copy.state != CopyState.EXPORTED,
        settings=batch.connection.settings,
        entered_at=rfc3339(batch.entered.get(record.pk)),
        peers=tuple(_peer(batch, batch.records[pk]) for pk in sorted(peers)),
    )


def _made(copy: Copy | None) -> dict[str, Made]:
    known = copy.made if copy else {}
    return {action: Made(told["external_id"], told["content"]) for action, told in known.items()}


def _peer(batch: Batch, record: Record) -> Part:
    """Return a record beside the one that is planned; what is under way of it counts as made."""
    part, copy = part_of(batch, record, 0, held=False), batch.others.get(record.pk)
    if copy is None or not copy.flying or copy.command is None:
        return part
    return replace(part, made={**part.made, copy.command.action: Made("", copy.command.content)})


def _hold(batch: Batch, resource: str, external_id: str, operation: str) -> Hold:
    maker = batch.records.get(batch.makers.get(operation, 0))
    return Hold(resource, external_id, operation, part_of(batch, maker, held=False) if maker else None)
