"""Many rows by one statement: what goes in comes out, as if Django had written it row by row."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import DataError, transaction

from integrations.models import Connection, Event, Link, Record, Reference, Transition, WorkState
from integrations.workflow.rows import insert_rows, update_rows

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 21, 7, 0, 0, 123456, tzinfo=UTC)
NASTY = 'It\'s "a\\b", {c}; %s\t\n\r – Ærø, 株式会社 🙂 \\u0041'


def event(connection: Connection, number: int, **fields: Any) -> Event:
    defaults: dict[str, Any] = {
        "tenant_id": connection.tenant_id, "environment": "test", "connection": connection, "source": "webhook",
        "provider_event_id": f"evt_{number}", "event_type": "invoice.paid", "resource": "invoice",
        "external_id": f"in_{number}", "occurred_at": NOW, "received_at": NOW, "due_at": NOW,
        "payload_id": number, "payload_at": NOW,
    }  # fmt: skip
    return Event(**(defaults | fields))


def test_all_that_a_column_can_hold_comes_back(connection: Connection, make_record: Callable[..., Record]) -> None:
    owner, record = uuid.uuid4(), make_record()
    rows = [
        event(connection, 1, decision_reason=NASTY, leased_by=owner, leased_until=NOW, record=record, exact=True),
        event(connection, 2, state=WorkState.PARKED),
    ]

    assert insert_rows(rows) == 2

    first, second = Event.objects.order_by("provider_event_id")
    assert (first.decision_reason, first.leased_by, first.leased_until) == (NASTY, owner, NOW)
    assert (first.record_id, first.exact, first.due_at, first.redelivered) == (record.pk, True, NOW, 0)
    assert (second.state, second.leased_by, second.record_id, second.exact) == ("parked", None, None, False)


@pytest.mark.parametrize(
    "value", [None, "text", 7, True, [], {}, [["state", None, NASTY]], {"a": {"b": [1.5, "1.50"]}}]
)
def test_json_stays_what_it_is(make_record: Callable[..., Record], value: Any) -> None:
    record = make_record()
    row = Transition(record=record, version=1, to_state="open", changes=value, cause="event", occurred_at=NOW, at=NOW)

    insert_rows([row])

    assert Transition.objects.get().changes == value


def test_bytes_come_back(make_record: Callable[..., Record]) -> None:
    reference = Reference.objects.get(record=make_record())
    reference.seen_hash = bytes(range(256))

    assert update_rows([reference], ["seen_hash"]) == 1

    assert bytes(Reference.objects.get().seen_hash) == bytes(range(256))


def test_a_row_may_refer_to_one_that_got_its_id_later(make_record: Callable[..., Record]) -> None:
    invoice, customer = make_record("invoice"), Record()
    link = Link(record=invoice, field="customer", target=customer)
    customer.pk = make_record().pk

    insert_rows([link])

    assert Link.objects.get().target_id == customer.pk


def test_what_is_there_already_is_left_by_its_clause(connection: Connection) -> None:
    insert_rows([event(connection, 1)])

    met = insert_rows([event(connection, 1), event(connection, 2)], conflict="ON CONFLICT DO NOTHING")

    assert met == 1
    assert Event.objects.count() == 2


def test_only_the_named_fields_of_only_the_fenced_rows_change(connection: Connection) -> None:
    mine, other = uuid.uuid4(), uuid.uuid4()
    insert_rows([event(connection, 1, leased_by=mine), event(connection, 2, leased_by=other)])
    rows = list(Event.objects.all())
    for row in rows:
        row.decision_reason, row.event_type = NASTY, "not written"

    met = update_rows(rows, ["decision_reason"], where="AND t.leased_by = %s", params=[mine])

    assert met == 1
    assert list(Event.objects.order_by("provider_event_id").values_list("decision_reason", "event_type")) == [
        (NASTY, "invoice.paid"),
        ("", "invoice.paid"),
    ]


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_a_text_that_no_database_holds_is_refused_as_its_error(connection: Connection, text: str) -> None:
    with pytest.raises(DataError), transaction.atomic():
        insert_rows([event(connection, 1, decision_reason=text)])


def test_nothing_takes_no_statement(django_assert_num_queries: Callable[[int], Any]) -> None:
    with django_assert_num_queries(0):
        assert insert_rows([]) == update_rows([], ["state"]) == 0
