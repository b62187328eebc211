"""The records that a batch is about: loaded with locks, changed in memory, written once."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from django.db import connection as database

from integrations.canonical import KINDS
from integrations.models import Event, Link, Record, Reference, Transition
from integrations.workflow import copies
from integrations.workflow.decide import Belief, Change, Decision, Order, decide, lag_of, order_of
from integrations.workflow.evidence import Read
from integrations.workflow.messages import tell
from integrations.workflow.rows import insert_rows, update_rows

Key = tuple[int, str, str]

RECORD_FIELDS = (
    "state", "data", "version", "label", "amount", "currency", "customer", "occurred_at", "mapping", "updated_at",
    "search_text",
)  # fmt: skip
REFERENCE_FIELDS = ("seen_at", "seen_exact", "seen_hash", "asked_at", "lag", "checked_at", "deleted_at")


@dataclass
class Known:
    """A record with the reference by which a batch reached it."""

    record: Record
    reference: Reference


def digest(obj: Any) -> bytes:
    """Return what tells whether two sights of an object are equal: 16 bytes over its sorted JSON."""
    return blake2b(json.dumps(obj, sort_keys=True, separators=(",", ":")).encode(), digest_size=16).digest()


@dataclass
class Board:
    """All belief that a batch touches. `known` grows with the records that it creates."""

    known: dict[Key, Known]
    targets: dict[Key, Record]
    now: datetime
    #: When objects of which there is no record were last asked for and were not there.
    not_there: dict[Key, datetime] = field(default_factory=dict)
    transitions: list[Transition] = field(default_factory=list)
    #: (record, field) → what it refers to by now; the record by its identity, since it may not have its id yet.
    links: dict[tuple[int, str], Link] = field(default_factory=dict)
    unlinked: dict[tuple[int, str], Record] = field(default_factory=dict)
    ties: list[tuple[Event, Record]] = field(default_factory=list)
    changed: dict[int, Record] = field(default_factory=dict)
    created: list[Known] = field(default_factory=list)
    seen: dict[int, Reference] = field(default_factory=dict)

    @classmethod
    def load(cls, reads: Sequence[Read], now: datetime) -> "Board":
        """Lock the records that the events are about, in order of id, and look up those they refer to."""
        keys = {read.key for read in reads if read.event.external_id}
        references = (
            _references(keys)
            .select_related("record")
            .select_for_update(of=("self", "record"), no_key=True)
            .order_by("record_id")
        )
        known = {key_of(ref): Known(ref.record, ref) for ref in references}
        links = {
            (read.event.connection_id, resource, external_id)
            for read in reads
            if read.mapped
            for _, resource, external_id in read.mapped.links
        }
        rows = _references(links - known.keys()).values_list("connection_id", "resource", "external_id", "record_id")
        # Of what is only referred to, the id is enough.
        targets = {(place, resource, external_id): Record(pk=pk) for place, resource, external_id, pk in rows}
        return cls(known, targets, now, _not_there(reads, known))

    @staticmethod
    def records_of(reads: Sequence[Read]) -> set[int]:
        """Return the ids of the records that `load` locks."""
        return set(_references({read.key for read in reads}).values_list("record_id", flat=True))

    def belief(self, key: Key) -> Belief | None:
        """Return what is believed of an object, None where there is no record."""
        known = self.known.get(key)
        if known is None:
            return None
        ref = known.reference
        lag = timedelta(seconds=ref.lag or 0)
        return Belief(known.record.state, known.record.data, ref.seen_at, ref.checked_at, ref.asked_at, lag)

    def decide(self, read: Read) -> Decision:
        """Decide what an event means for what is believed of its object."""
        assert read.candidate
        decision = decide(self.belief(read.key), read.candidate)
        if decision.ask_provider and self._stands_on(read):
            return decide(self.belief(read.key), read.candidate, again=True)
        return decision

    def _stands_on(self, read: Read) -> bool:
        """Say whether belief stands on this very evidence."""
        reference = self.known[read.key].reference
        return reference.seen_at == read.event.occurred_at and bytes(reference.seen_hash) == digest(read.obj)

    def missed_since(self, read: Read) -> bool:
        """Say whether the object was asked for after an event had arrived, and was not there; nor is there a record."""
        asked_at = self.not_there.get(read.key)
        return asked_at is not None and read.key not in self.known and read.event.received_at <= asked_at

    def read_since(self, read: Read) -> bool:
        """Say whether the object was read after an event had happened."""
        if read.key not in self.known:
            return False
        reference, event = self.known[read.key].reference, read.event
        if reference.asked_at is None:
            return False
        before = reference.seen_at - timedelta(seconds=reference.lag or 0)
        return event.received_at <= reference.asked_at or event.occurred_at < before

    def overtook(self, read: Read) -> bool:
        """Say whether what we learned since may be newer than what a check saw."""
        belief = self.belief(read.key)
        return bool(belief and read.candidate and order_of(belief, read.candidate) is not Order.NEWER)

    def target(self, connection_id: int, resource: str, external_id: str) -> Record | None:
        """Return the record that a link leads to."""
        key = (connection_id, resource, external_id)
        return self.known[key].record if key in self.known else self.targets.get(key)

    def missing_links(self, read: Read) -> list[tuple[str, str, str]]:
        """Return the links of an event, (field, resource, external id), that lead to no record yet."""
        links = read.mapped.links if read.mapped else ()
        return [link for link in links if self.target(read.event.connection_id, link[1], link[2]) is None]

    def apply(self, read: Read, decision: Decision, *, cause: str, cause_id: int) -> Known:
        """Change belief by one transition."""
        event, candidate = read.event, read.candidate
        assert candidate
        known = self.known.get(read.key)
        before = known.record.state if known else ""
        if known is None:
            known = self._create(read)
        record = known.record
        if before:
            record.version += 1
        record.state, record.data, record.mapping_id = candidate.state, decision.data, read.mapping_id
        self._describe(record, read)
        self._unlink(record, decision.changes)
        known.reference.deleted_at = event.occurred_at if candidate.state == "deleted" else None
        if record.pk:
            self.changed[record.pk] = record
        self.transitions.append(
            transition(
                record,
                before,
                decision.changes,
                cause=cause,
                cause_id=cause_id,
                occurred_at=event.occurred_at,
                now=self.now,
            )
        )
        return known

    def _create(self, read: Read) -> Known:
        event = read.event
        assert read.candidate
        record = Record(
            tenant_id=event.tenant_id,
            environment=event.environment,
            connection_id=event.connection_id,
            kind=read.candidate.kind.name,
            occurred_at=event.occurred_at,
            created_at=self.now,
        )
        reference = Reference(
            record=record,
            connection_id=event.connection_id,
            resource=event.resource,
            external_id=event.external_id,
            seen_at=event.occurred_at,
            checked_at=event.received_at,
        )
        known = self.known[read.key] = Known(record, reference)
        self.created.append(known)
        return known

    def _describe(self, record: Record, read: Read) -> None:
        """Set what lists show and search from the record's data."""
        describe(record, read.event.external_id, self.now)
        for name, resource, external_id in read.mapped.links if read.mapped else ():
            target = self.target(read.event.connection_id, resource, external_id)
            assert target
            self.links[id(record), name] = Link(record=record, field=name, target=target)
            self.unlinked.pop((id(record), name), None)
            if name == "customer":
                record.customer = target

    def _unlink(self, record: Record, changes: Iterable[Change]) -> None:
        """Take away links whose field has become nothing."""
        for name, _, after in changes:
            if after is None and name in KINDS[record.kind].links:
                self.unlinked[id(record), name] = record
                self.links.pop((id(record), name), None)
                if name == "customer":
                    record.customer = None

    def see(self, read: Read) -> None:
        """Note how new our sight of the object is: its provider's time and the digest of what was shown."""
        known = self.known.get(read.key)
        if known is None:
            return
        reference, event = known.reference, read.event
        read_after = event.asked_at is not None and reference.checked_at <= event.asked_at
        if event.occurred_at >= reference.seen_at or read_after:
            reference.seen_at = max(event.occurred_at, reference.seen_at)
            reference.seen_exact, reference.asked_at = event.exact, event.asked_at
            reference.lag = lag_of(event.asked_at, event.received_at).seconds or None
            reference.seen_hash = digest(read.obj) if read.obj else b""
        reference.checked_at = max(reference.checked_at, event.received_at)
        if reference.pk:
            self.seen[reference.pk] = reference

    def checked(self, read: Read) -> None:
        """Note that the provider answered about the object, though belief does not follow the answer."""
        reference = self.known[read.key].reference
        reference.checked_at = max(reference.checked_at, read.event.received_at)
        if reference.pk:
            self.seen[reference.pk] = reference

    def tie(self, event: Event, record: Record) -> None:
        """Let an event hang on a record, which may not have its id yet."""
        self.ties.append((event, record))

    def name_records(self) -> None:
        """Give the events the ids of their records; call after `write`."""
        for event, record in self.ties:
            event.record_id = record.pk

    def write(self) -> None:
        """Write all that changed, one statement a table."""
        self._insert_records()
        insert_rows([known.reference for known in self.created])
        update_rows(list(self.changed.values()), RECORD_FIELDS)
        update_rows(list(self.seen.values()), REFERENCE_FIELDS)
        insert_rows(self.transitions)
        moved = [transition.record for transition in self.transitions]
        copies.make_due({record.pk for record in moved}, {record.connection_id for record in moved})
        tell(self.transitions, self.now)
        links = list(self.links.values())
        insert_rows(links, conflict="ON CONFLICT (record_id, field) DO UPDATE SET target_id = EXCLUDED.target_id")
        for (_, name), record in self.unlinked.items():
            Link.objects.filter(record_id=record.pk, field=name).delete()

    def _insert_records(self) -> None:
        """Insert new records; their ids come first, because they may refer to each other."""
        records = [known.record for known in self.created]
        if not records:
            return
        with database.cursor() as cursor:
            cursor.execute(
                "SELECT nextval(pg_get_serial_sequence('integrations_record', 'id')) FROM generate_series(1, %s)",
                [len(records)],
            )
            for record, (pk,) in zip(records, cursor.fetchall(), strict=True):
                record.pk = pk
        insert_rows(records)


def describe(record: Record, external_id: str, now: datetime) -> None:
    """Set what lists show and search, from the record's kind and data."""
    kind = KINDS[record.kind]
    record.label = kind.label_of(record.data, external_id)[:200]
    record.amount, record.currency = kind.amount_of(record.data) or (None, "")
    record.search_text = kind.search_text(record.data)
    record.updated_at = now
    created_at = record.data.get("created_at")
    if isinstance(created_at, str):
        record.occurred_at = datetime.fromisoformat(created_at)


def transition(
    record: Record,
    before: str,
    changes: Iterable[Change],
    *,
    cause: str,
    cause_id: int | None,
    occurred_at: datetime,
    now: datetime,
) -> Transition:
    """Return the row that tells a change of belief; `record` is as it stands after it."""
    return Transition(
        record=record,
        version=record.version,
        from_state=before,
        to_state=record.state,
        changes=[list(change) for change in changes],
        cause=cause,
        cause_id=cause_id,
        mapping_id=record.mapping_id,
        occurred_at=occurred_at,
        at=now,
    )


def key_of(reference: Reference) -> Key:
    """Return which object a reference names."""
    return reference.connection_id, reference.resource, reference.external_id


def _not_there(reads: Sequence[Read], known: Iterable[Key]) -> dict[Key, datetime]:
    """Return when objects without a record were last asked for and not there, of those that an event waits for."""
    keys = {read.key for read in reads if read.pointer and read.event.tries} - set(known)
    if not keys:
        return {}
    looks = Event.objects.filter(
        connection_id__in={key[0] for key in keys}, external_id__in={key[2] for key in keys}, exact=True, deleted=True,
        asked_at__isnull=False,
    )  # fmt: skip
    rows = looks.order_by("asked_at").values_list("connection_id", "resource", "external_id", "asked_at")
    return {(place, resource, external_id): asked_at for place, resource, external_id, asked_at in rows if asked_at}


def _references(keys: Iterable[Key]) -> Any:
    """Return the references of some objects; by their index, whatever the number of keys."""
    wanted = list(keys)
    return Reference.objects.extra(
        where=[
            "(integrations_reference.connection_id, integrations_reference.resource,"
            " integrations_reference.external_id) IN (SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[]))"
        ],
        params=[[k[0] for k in wanted], [k[1] for k in wanted], [k[2] for k in wanted]],
    )
