import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from console.events import evidence, versions
from integrations.boundary.payloads import keep
from integrations.models import Connection, Event, Payload, Run, RunKind, WorkState
from tests.conftest import customer_object
from tests.console.events.conftest import invoice_object
from tests.console.records.conftest import ALERT


def test_it_says_what_came_what_became_of_it_and_what_is_in_the_way(
    client_of: Any, support: Any, events_url: str, parked: Event
) -> None:
    text = client_of(support).get(f"{events_url}{parked.pk}/").content.decode()

    assert "Stripe told us that <code>invoice.updated</code> happened to" in text
    assert "<b>It is parked</b>" in text
    assert "status that the table does not know" in text
    assert "Fix the mapping of the named field, then replay." in text
    assert "the mapping expects" in text


def test_the_payload_says_which_of_its_parts_were_read_as_what(
    client_of: Any, support: Any, events_url: str, parked: Event
) -> None:
    marks = client_of(support).get(f"{events_url}{parked.pk}/").context["shown"].marks

    assert marks.used["/data/object/total"] == "total"
    assert marks.used["/data/object/status"] == "state"
    assert marks.hits == ("/data/object/status",)


def test_what_the_mapping_misses_is_shown_where_it_should_be(
    client_of: Any, support: Any, events_url: str, customer: Any, tell: Any
) -> None:
    lacking = invoice_object()
    del lacking["total_taxes"]
    event = tell("invoice.created", lacking)

    answer = client_of(support).get(f"{events_url}{event.pk}/")

    assert answer.context["shown"].marks.absent == ("/data/object/total_taxes", "/data/object/tax")
    assert "not in this payload" in answer.content.decode()


def test_each_rule_shows_source_value_and_field_faults_first(
    client_of: Any, support: Any, events_url: str, parked: Event
) -> None:
    results = client_of(support).get(f"{events_url}{parked.pk}/").context["results"]

    assert (results[0].field, results[0].raw, results[0].value) == ("state", '"in_review"', "")
    total = next(result for result in results if result.field == "total")
    assert (total.raw, total.rule, total.value) == ("481250", "minor units", "€4,812.50")


def test_personal_data_is_hidden_from_everybody_until_it_is_revealed(
    client_of: Any, engineer: Any, auditor: Any, events_url: str, tell: Any
) -> None:
    event = tell("customer.created", customer_object(email="ap@halvorsen.example"))

    for user in (engineer, auditor):
        answer = client_of(user).get(f"{events_url}{event.pk}/")
        assert answer.context["shown"].hidden == 2
        payload = json.dumps(answer.context["shown"].payload, default=str)
        assert "halvorsen" not in payload.lower()


def test_a_script_in_a_payload_is_inert_wherever_it_stands(
    client_of: Any, support: Any, events_url: str, tell: Any
) -> None:
    event = tell("customer.updated", customer_object(description=ALERT, metadata={ALERT: ALERT}, currency=ALERT))
    tell(f"customer.{ALERT}", customer_object())
    client = client_of(support)

    for each in Event.objects.all():
        assert ALERT not in client.get(f"{events_url}{each.pk}/").content.decode()
    assert ALERT not in client.get(events_url).content.decode()
    assert event.state == WorkState.PARKED


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"id": "evt_cut", "email": "a@b.example', "This is no JSON: unterminated string starting"),
        (b"", "This is no JSON"),
        (bytes(range(128, 256)), "These bytes are no UTF-8 text: byte 1 of 128"),
        (b"[" * 200_000, "nested too deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", "This JSON cannot be read"),
    ],
)
def test_bytes_that_cannot_be_read_are_explained_and_not_told(
    client_of: Any, support: Any, events_url: str, tell: Any, body: bytes, said: str
) -> None:
    event = tell(body=body)

    text = client_of(support).get(f"{events_url}{event.pk}/").content.decode()

    assert event.state == WorkState.PARKED
    assert said in text
    assert "a@b.example" not in text


@pytest.mark.parametrize(
    "body",
    [
        b"null", b"[]", b"{}", b'"text"', b"12", b"NaN", b'{"a": NaN}', b'{"\\ud800": "\\udfff"}',
        b'{"id": {"id": []}}',
        b'{"object": "event", "id": "evt_1", "type": "customer.created", "created": 1, "data": {"object": []}}',
        b'{"object": "event", "id": "evt_1", "type": "customer.created", "created": 1, "data": {"object": '
        b'{"object": "customer", "id": "cus_1", "name": "\\ud800", "email": {"a": 1}, "created": "x"}}}',
        b'{"a":' * 300 + b"1" + b"}" * 300,
    ],
)  # fmt: skip
def test_whatever_comes_has_a_page(client_of: Any, support: Any, events_url: str, tell: Any, body: bytes) -> None:
    event = tell(body=body)

    assert client_of(support).get(f"{events_url}{event.pk}/").status_code == 200


def test_a_payload_that_is_gone_or_cannot_be_opened_is_said(
    client_of: Any, support: Any, events_url: str, tell: Any
) -> None:
    gone, locked = tell(), tell(obj=customer_object("cus_2"))
    Payload.objects.filter(pk=gone.payload_id).delete()
    Payload.objects.filter(pk=locked.payload_id).update(body=b"nothing fits")
    client = client_of(support)

    for event in (gone, locked):
        assert "The payload is no longer kept." in client.get(f"{events_url}{event.pk}/").content.decode()


def test_an_object_of_a_page_is_shown_alone(
    client_of: Any, support: Any, events_url: str, connection: Connection, make_event: Any
) -> None:
    now = timezone.now()
    body = json.dumps({"data": [customer_object("cus_1"), customer_object("cus_2", balance=42)]}).encode()
    kept = keep(connection_id=connection.pk, source="page", body=body, headers={}, at=now)
    event = make_event(source="page", path="/data/1")
    Event.objects.filter(pk=event.pk).update(payload_id=kept.id, payload_at=kept.at)

    shown = client_of(support).get(f"{events_url}{event.pk}/").context["shown"]

    assert shown.payload["balance"] == 42
    assert shown.part == "/data/1"
    assert shown.marks.used["/created"] == "created at"


def test_versions_of_an_object_are_compared_with_the_one_before(
    client_of: Any, support: Any, events_url: str, tell: Any
) -> None:
    tell("customer.created", customer_object(balance=1, email="a@b.example"), created=1_700_000_000)
    event = tell("customer.updated", customer_object(balance=2, email="c@d.example"), created=1_700_000_100)

    answer = client_of(support).get(f"{events_url}{event.pk}/")

    newest, oldest = answer.context["versions"]
    assert newest.changes == [("email", "personal", "personal"), ("balance", "1", "2")]
    assert oldest.changes is None
    assert "c@d.example" not in answer.content.decode()


def test_an_object_is_not_compared_with_another_that_speaks_of_it(connection: Connection, make_event: Any) -> None:
    first = make_event(obj=customer_object(balance=1))
    other = make_event(obj={"id": "cus_0001", "amount": 5, "paid": True, "refunded": False})
    last = make_event(obj=customer_object(balance=2))

    found = versions.compare([last, other, first], connection, frozenset())

    assert [version.changes for version in found] == [[("balance", "1", "2")], None, None]


def test_differences_name_paths_into_lists_and_what_is_absent() -> None:
    before, after = {"a": [{"b": 1}, {"b": 2}], "gone": True}, {"a": [{"b": 1}, {"b": 3}], "new": None}

    found = list(versions.differences(before, after, frozenset()))

    assert found == [("a[1].b", "2", "3"), ("new", "absent", "null"), ("gone", "true", "absent")]


def test_where_it_came_from_is_said(client_of: Any, support: Any, events_url: str, make_event: Any) -> None:
    event = make_event()
    run = Run.objects.create(
        tenant=event.tenant, environment="test", connection=event.connection, kind=RunKind.RESYNC,
        due_at=timezone.now(), asked_by="the engine", targets=[["customer", "cus_0001"]],
    )  # fmt: skip
    Event.objects.filter(pk=event.pk).update(source="page", run=run, path="/data/object")

    assert f"R-{run.pk}" in client_of(support).get(f"{events_url}{event.pk}/").content.decode()


def test_a_redelivered_event_says_how_often_it_came(
    client_of: Any, support: Any, events_url: str, make_event: Any
) -> None:
    event = make_event(redelivered=2, redelivered_at=timezone.now())

    assert "delivered 3 times" in client_of(support).get(f"{events_url}{event.pk}/").content.decode()


def test_an_event_that_a_worker_has_asks_until_it_is_decided(
    client_of: Any, support: Any, events_url: str, make_event: Any
) -> None:
    event = make_event()
    client = client_of(support)

    page = client.get(f"{events_url}{event.pk}/").content.decode()
    under_way = client.get(f"{events_url}{event.pk}/progress/", HTTP_HX_REQUEST="true")
    Event.objects.update(state=WorkState.DONE)
    over = client.get(f"{events_url}{event.pk}/progress/", HTTP_HX_REQUEST="true")

    assert f"/events/{event.pk}/progress/" in page
    assert "A worker takes this event next." in under_way.content.decode()
    assert over["HX-Refresh"] == "true"


@pytest.mark.parametrize("pk", ["0", "99999999999999999999999999"])
def test_an_unknown_event_is_not_found(client_of: Any, support: Any, events_url: str, pk: str) -> None:
    assert client_of(support).get(f"{events_url}{pk}/").status_code == 404


def test_an_event_of_another_tenant_is_not_found(
    client_of: Any, engineer: Any, events_url: str, make_event: Any, other_connection: Connection
) -> None:
    theirs = make_event(on=other_connection)
    client = client_of(engineer)

    for action in ("", "progress/", "replay/", "dismiss/", "reveal/"):
        assert client.get(f"{events_url}{theirs.pk}/{action}").status_code == 404


def test_waiting_events_say_when_they_are_tried_again(
    client_of: Any, support: Any, events_url: str, make_event: Any
) -> None:
    event = make_event(state=WorkState.WAITING, due_at=timezone.now() + timedelta(minutes=3, seconds=30))

    assert "It is tried again in 3 min." in client_of(support).get(f"{events_url}{event.pk}/").content.decode()


@pytest.mark.parametrize(
    ("source", "paths"),
    [
        ("total", ["total"]),
        ("total_taxes or tax", ["total_taxes", "tax"]),
        ("status_transitions.paid_at", ["status_transitions.paid_at"]),
        ("(status == 'x y' && last_payment_error && 'declined') || status", ["status", "last_payment_error"]),
        ("", []),
    ],
)
def test_the_paths_of_a_source_are_found(source: str, paths: list[str]) -> None:
    assert evidence.paths_in(source) == paths
