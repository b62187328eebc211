"""Messages: written in the transaction of the transition that they tell, with a delivery for each who wants them."""

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection as database

from integrations.boundary.redaction import Redacted, redact
from integrations.canonical import KINDS
from integrations.models import Connection, Message, Reference, Subscription, Transition
from integrations.workflow.rows import insert_rows
from integrations.workflow.wake import DELIVERIES, after_commit

#: What a change is called that leaves the state as it was.
CHANGED = "changed"
#: Every topic.
ALL = "*"

#: Paused and disabled subscriptions collect too: what they miss waits for them. Only an ended one takes nothing.
FAN_OUT = """
INSERT INTO integrations_delivery (tenant_id, environment, connection_id, message_id, subscription_id, record_id,
    state, due_at, created_at, tries, category, answer, problem, replays)
SELECT m.tenant_id, m.environment, m.connection_id, m.id, s.id, m.record_id,
    CASE WHEN s.paused_at IS NULL AND s.disabled_at IS NULL THEN 'ready' ELSE 'held' END,
    m.created_at, m.created_at, 0, '', '', '', 0
FROM integrations_message m
JOIN integrations_subscription s ON s.tenant_id = m.tenant_id AND s.environment = m.environment
WHERE m.uid = ANY(%s) AND s.ended_at IS NULL
  AND s.topics && ARRAY['*', split_part(m.topic, '.', 1) || '.*', m.topic]::varchar[]
ORDER BY m.id, s.id
"""


def topic_of(kind: str, before: str, after: str) -> str:
    """Return how a change is called: the kind and its new state, or that it changed otherwise."""
    return f"{kind}.{CHANGED if before == after else after}"


def topics() -> list[str]:
    """Return every topic that there is, by kind and in the order of a record's life."""
    return [f"{kind.name}.{word}" for kind in KINDS.values() for word in (*kind.states, CHANGED)]


def patterns() -> list[str]:
    """Return what a subscription may ask for: everything, all of a kind, or single topics."""
    return [ALL, *(f"{name}.{ALL}" for name in KINDS), *topics()]


def tell(transitions: Sequence[Transition], now: datetime) -> int:
    """Write the messages of some changes of belief and fan them out; return how many deliveries that makes.

    Call in the transaction of the changes, after they are written. Where nobody subscribes it costs one query.
    """
    told = _heard(transitions)
    if not told:
        return 0
    ids = _transition_ids(told)
    external_ids = _external_ids({(each.record.pk, each.record.connection_id) for each in told})
    names = dict(Connection.objects.filter(pk__in={t.record.connection_id for t in told}).values_list("pk", "name"))
    values = _values(told)
    messages = []
    for each in told:
        key = each.record.pk, each.version
        shown = impersonal(each.record.kind, values[key])
        place = (external_ids.get(each.record.pk, ""), names[each.record.connection_id])
        messages.append(_message(each, ids[key], shown, place, now))
    insert_rows(messages)
    with database.cursor() as cursor:
        cursor.execute(FAN_OUT, [[message.uid for message in messages]])
        made = int(cursor.rowcount)
    if made:
        after_commit(DELIVERIES)
    return made


def _heard(transitions: Sequence[Transition]) -> list[Transition]:
    """Return the changes in spaces in which anybody subscribes to anything."""
    if not transitions:
        return []
    tenants = {each.record.tenant_id for each in transitions}
    rows = Subscription.objects.filter(tenant_id__in=tenants, ended_at__isnull=True)
    spaces = set(rows.values_list("tenant_id", "environment"))
    return [each for each in transitions if (each.record.tenant_id, each.record.environment) in spaces]


def _message(told: Transition, pk: int, values: dict[str, Any], place: tuple[str, str], now: datetime) -> Message:
    record, (external_id, connection) = told.record, place
    return Message(
        tenant_id=record.tenant_id,
        environment=record.environment,
        connection_id=record.connection_id,
        record_id=record.pk,
        transition_id=pk,
        uid=f"msg_{secrets.token_hex(12)}",
        topic=topic_of(record.kind, told.from_state, told.to_state),
        payload={
            "record": {
                "id": record.pk,
                "kind": record.kind,
                "external_id": external_id,
                "connection": connection,
                "state": told.to_state,
                "version": told.version,
                "values": values,
            },
            "before": told.from_state or None,
            "changed": [change[0] for change in told.changes],
            "cause": told.cause,
            "occurred_at": told.occurred_at.isoformat(),
        },
        created_at=now,
    )


def _values(told: Sequence[Transition]) -> dict[tuple[int, int], dict[str, Any]]:
    """Return a record's values after each change: the newest stand in the record, older ones are found backwards."""
    found: dict[tuple[int, int], dict[str, Any]] = {}
    after: dict[int, dict[str, Any]] = {}
    for each in reversed(told):
        now = after.get(each.record.pk, each.record.data)
        found[each.record.pk, each.version] = now
        after[each.record.pk] = now | {name: before for name, before, _ in each.changes if name != "state"}
    return found


def impersonal(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return a record's values without personal ones: whoever may read those asks for them by the record's id."""
    shown = redact(data, KINDS[kind].sensitive or frozenset({"email"}))
    return {name: value for name, value in shown.items() if not isinstance(value, Redacted)}


def _transition_ids(told: Iterable[Transition]) -> dict[tuple[int, int], int]:
    """Return the ids of transitions, which were not told when they were written."""
    keys = [(each.record.pk, each.version) for each in told]
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT record_id, version, id FROM integrations_transition WHERE (record_id, version) IN "
            "(SELECT * FROM unnest(%s::bigint[], %s::int[]))",
            [[record for record, _ in keys], [version for _, version in keys]],
        )
        return {(record, version): pk for record, version, pk in cursor.fetchall()}


def _external_ids(records: set[tuple[int, int]]) -> dict[int, str]:
    """Return by which id each record is known at its own connection."""
    rows = Reference.objects.filter(record_id__in={pk for pk, _ in records})
    found = rows.order_by("-id").values_list("record_id", "connection_id", "external_id")
    return {record: external_id for record, place, external_id in found if (record, place) in records}
