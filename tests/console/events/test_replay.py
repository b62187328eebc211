from typing import Any

import pytest
from django.utils import timezone

from integrations.configuration import mappings
from integrations.journal.actor import Actor
from integrations.models import Connection, Event, JournalEntry, Mapping, Record, Run, RunKind, WorkState
from integrations.workflow.process import process_batch
from tests.conftest import customer_object
from tests.console.events.conftest import invoice_object


@pytest.fixture
def url(events_url: str, parked: Event) -> str:
    return f"{events_url}{parked.pk}/replay/"


@pytest.fixture
def repaired(connection: Connection, parked: Event) -> Mapping:
    """The next version of the invoice's mapping, which knows the status."""
    rules = Mapping.objects.get(connection=connection, resource="invoice").rules["rules"]
    rules = {**rules, "states": {**rules["states"], "in_review": "open"}}
    return mappings.publish(connection, "invoice", rules, actor=Actor(None, "the tests"), reason="Knows in_review")


def test_the_plan_names_the_failure_that_it_would_meet(client_of: Any, operations: Any, url: str) -> None:
    text = client_of(operations).get(url).content.decode()

    assert "would fail again" in text
    assert "status that the table does not know" in text
    assert "It would stay parked" in text


@pytest.mark.usefixtures("repaired")
def test_the_plan_shows_what_would_change(client_of: Any, operations: Any, url: str) -> None:
    answer = client_of(operations).get(url)

    assert answer.context["plan"].verdict == "would change"
    assert "<del>draft</del> <ins>open</ins>" in answer.content.decode()
    assert "<del>none</del> <ins>INV-2041</ins>" in answer.content.decode()


def test_looking_at_the_plan_changes_nothing(client_of: Any, operations: Any, url: str, parked: Event) -> None:
    client_of(operations).get(url)

    parked.refresh_from_db()
    assert parked.state == WorkState.PARKED
    assert not JournalEntry.objects.filter(action="event.replayed").exists()


@pytest.mark.usefixtures("repaired")
def test_a_replay_does_what_was_planned(client_of: Any, operations: Any, url: str, parked: Event) -> None:
    client = client_of(operations)
    token = client.get(url).context["plan"].token

    answer = client.post(url, {"token": token, "reason": "The mapping knows in_review now"})
    Event.objects.filter(pk=parked.pk).update(due_at=timezone.now().replace(year=2020))
    process_batch()

    assert answer.status_code == 302
    assert answer["Location"].endswith(f"/events/{parked.pk}/")
    assert Record.objects.get(kind="invoice").state == "open"
    entry = JournalEntry.objects.get(action="event.replayed")
    assert (entry.actor_id, entry.reason) == (operations.pk, "The mapping knows in_review now")
    page = client.get(f"/northwind/test/records/{parked.record_id}/").content.decode()
    assert "Replayed once" in page
    assert "Operations" in page


@pytest.mark.usefixtures("repaired")
def test_when_reality_moved_it_refuses_and_shows_the_new_plan(
    client_of: Any, operations: Any, url: str, parked: Event, tell: Any
) -> None:
    client = client_of(operations)
    token = client.get(url).context["plan"].token
    tell("invoice.voided", invoice_object(status="void", number="INV-2041"), created=1_700_000_900)

    answer = client.post(url, {"token": token, "reason": "Try again"})

    assert answer.status_code == 409
    assert "Plan changed, nothing was done." in answer.content.decode()
    assert answer.context["plan"].verdict == "stale"
    assert "Try again" in answer.content.decode()
    parked.refresh_from_db()
    assert parked.state == WorkState.PARKED


def test_it_needs_a_reason(client_of: Any, operations: Any, url: str, parked: Event) -> None:
    client = client_of(operations)

    answer = client.post(url, {"token": client.get(url).context["plan"].token, "reason": " "})

    assert answer.status_code == 422
    assert "Give a reason" in answer.content.decode()
    parked.refresh_from_db()
    assert parked.state == WorkState.PARKED


def test_the_version_of_the_mapping_can_be_chosen(
    client_of: Any, operations: Any, url: str, parked: Event, repaired: Mapping
) -> None:
    client = client_of(operations)
    old = Mapping.objects.get(resource="invoice", version=1)

    current, original = client.get(url), client.get(url, {"mapping": old.pk})

    assert current.context["plan"].verdict == "would change"
    assert original.context["plan"].verdict == "would fail again"
    offered = [(mapping.version, words, chosen) for mapping, words, chosen, _ in current.context["mappings"]]
    assert offered == [(1, "decided then", False), (2, "in force", True)]
    assert f'name="mapping" value="{old.pk}"' in original.content.decode()


def test_a_mapping_of_another_connection_is_not_taken(
    client_of: Any, operations: Any, url: str, other_connection: Connection
) -> None:
    theirs = Mapping.objects.get(connection=other_connection, resource="invoice")

    for value in (theirs.pk, "x", "9" * 30):
        answer = client_of(operations).get(url, {"mapping": value})
        assert answer.status_code == 200
        assert answer.context["chosen"] is None


def test_an_event_under_way_is_not_offered(client_of: Any, operations: Any, events_url: str, make_event: Any) -> None:
    event = make_event()
    client = client_of(operations)

    page = client.get(f"{events_url}{event.pk}/replay/").content.decode()
    answer = client.post(f"{events_url}{event.pk}/replay/", {"token": "x", "reason": "Now"})

    assert "It can be replayed once that is over." in page
    assert answer.status_code == 422
    assert "let it finish first" in answer.content.decode()


def test_what_was_read_for_a_comparison_is_checked_anew_instead(
    client_of: Any, operations: Any, events_url: str, make_event: Any
) -> None:
    event = make_event(state=WorkState.DONE)
    run = Run.objects.create(
        tenant=event.tenant, environment="test", connection=event.connection, kind=RunKind.RECONCILE,
        due_at=timezone.now(), asked_by="the tests", targets=[["customer", "cus_0001"]],
    )  # fmt: skip
    Event.objects.filter(pk=event.pk).update(run=run)

    page = client_of(operations).get(f"{events_url}{event.pk}/replay/").content.decode()

    assert "Ask for a new check of the record instead." in page
    assert "Replay 1 event" not in page


def test_personal_changes_are_masked_in_the_plan(
    client_of: Any, operations: Any, engineer: Any, events_url: str, tell: Any, make_event: Any
) -> None:
    tell("customer.created", customer_object(), created=1_700_000_000)
    later = customer_object(email="new.address@halvorsen.example")
    event = make_event("customer.updated", later, created=1_700_000_100, state=WorkState.PARKED)

    hidden = client_of(operations).get(f"{events_url}{event.pk}/replay/").content.decode()
    shown = client_of(engineer).get(f"{events_url}{event.pk}/replay/").content.decode()

    assert "new.address@halvorsen.example" not in hidden
    assert "new.address@halvorsen.example" in shown


@pytest.mark.parametrize("role", ["support", "finance", "auditor"])
def test_roles_without_replay_see_neither_plan_nor_button(
    request: pytest.FixtureRequest, client_of: Any, role: str, url: str, parked: Event
) -> None:
    client = client_of(request.getfixturevalue(role))

    assert client.get(url).status_code == 403
    assert client.post(url, {"reason": "x"}).status_code == 403
    assert "Replay 1 event" not in client.get(url.removesuffix("replay/")).content.decode()
    parked.refresh_from_db()
    assert parked.state == WorkState.PARKED
