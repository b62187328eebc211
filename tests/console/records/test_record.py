from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import Drift, Event, JournalEntry, Link, Record, Run, RunKind, WorkState
from tests.conftest import customer_object
from tests.console.records.conftest import ALERT, invoice_object


def text_of(answer: Any) -> str:
    """An answer's words, with its white space evened out."""
    return " ".join(answer.content.decode().split())


@pytest.fixture
def differing(invoice: Record) -> Record:
    """The invoice, whose provider was found to hold another total."""
    now = timezone.now()
    run = Run.objects.create(
        tenant=invoice.tenant, environment="test", connection=invoice.connection, kind=RunKind.RECONCILE,
        state=WorkState.DONE, due_at=now, asked_by="the tests",
    )  # fmt: skip
    Drift.objects.create(
        tenant=invoice.tenant, environment="test", connection=invoice.connection, record=invoice, kind="invoice",
        resource="invoice", external_id="in_0001", field="amount_paid", ours=0, theirs=20000, run=run,
        first_seen_at=now, last_seen_at=now,
    )  # fmt: skip
    Record.objects.filter(pk=invoice.pk).update(open_drift=1)
    return invoice


def test_one_page_answers_what_is_believed_and_what_is_in_the_way(
    client_of: Any, support: Any, records_url: str, invoice: Record
) -> None:
    text = text_of(client_of(support).get(f"{records_url}{invoice.pk}/"))

    assert "INV-2041" in text
    assert "€4,812.50" in text
    assert "with €962.50 tax" in text
    assert "Waits to be paid" in text
    assert "waits for the mapping of state to be repaired" in text
    assert "Fix the mapping of the named field, then replay." in text
    assert "draft → open" in text
    assert "invoice v1" in text
    assert "no command was ever asked for" in text
    assert "no subscription wanted its changes" in text
    assert "behind its evidence" in text
    assert "Operations and engineers may replay it." in text


def test_theirs_is_what_the_waiting_evidence_says(
    client_of: Any, support: Any, records_url: str, tell: Any, customer: Record
) -> None:
    tell("invoice.created", invoice_object(), created=1_700_000_100)
    tell("invoice.updated", invoice_object(total=500000, status="in_review"), created=1_700_000_300)
    record = Record.objects.get(kind="invoice")

    sides = client_of(support).get(f"{records_url}{record.pk}/").context["sides"]

    rows = {side.name: side for side in sides.rows}
    assert rows["Total"].ours == "€4,812.50"
    assert rows["Total"].theirs == "€5,000.00"
    assert "table does not know" in rows["State"].problem
    assert sides.differing == 2


def test_open_differences_are_marked_and_lead_to_drift_only_for_who_may_see_it(
    client_of: Any, support: Any, operations: Any, records_url: str, differing: Record
) -> None:
    seen_by_support = text_of(client_of(support).get(f"{records_url}{differing.pk}/"))
    seen_by_operations = text_of(client_of(operations).get(f"{records_url}{differing.pk}/"))

    assert "€200.00" in seen_by_support
    assert "differs in 1 field" in seen_by_support
    assert "Operations and finance settle 1 difference." in seen_by_support
    assert "Settle 1 difference" in seen_by_operations


@pytest.mark.parametrize(
    ("kind", "state", "data", "said"),
    [
        ("invoice", "paid", {"total": 100, "amount_paid": 100, "currency": "EUR"}, "Paid in full"),
        ("invoice", "paid", {"total": 100, "amount_paid": 40, "currency": "EUR"}, "Paid with €0.40"),
        ("invoice", "open", {"total": 100, "currency": "EUR", "due_at": "2020-01-01T00:00:00Z"}, "overdue"),
        ("invoice", "draft", {"total": 100, "currency": "EUR"}, "nobody has been asked to pay it yet"),
        ("invoice", "void", {"total": 100, "currency": "EUR"}, "not to be paid any more"),
        ("invoice", "uncollectible", {"amount_due": 100, "currency": "EUR"}, "€1.00 are not expected any more"),
        ("invoice", "deleted", {}, "Deleted at Stripe."),
        ("payment", "failed", {"amount": 500, "currency": "JPY", "failure_reason": "card_declined"}, "card_declined"),
        ("payment", "requires_action", {"amount": 500, "currency": "JPY"}, "The customer has to do something"),
        ("payment", "succeeded", {"amount_refunded": 200, "currency": "JPY"}, "¥200 of it went back"),
        ("refund", "failed", {"amount": 500, "currency": "EUR"}, "The money did not go back."),
        ("refund", "pending", {"amount": 500, "currency": "EUR", "payment": "pi_1"}, "<code>pi_1</code>"),
        ("customer", "active", {"name": "A", "currency": "NOK", "created_at": "2026-01-05T00:00:00Z"}, "billed in NOK"),
    ],
)  # fmt: skip
def test_belief_is_told_in_a_sentence(
    client_of: Any, support: Any, records_url: str, make_record: Any, kind: str, state: str, data: Any, said: str
) -> None:
    record = make_record(kind, state=state, data=data)

    assert said in text_of(client_of(support).get(f"{records_url}{record.pk}/"))


@pytest.mark.parametrize("kind", ["customer", "invoice", "payment", "refund"])
def test_a_record_of_which_nothing_is_known_still_has_a_page(
    client_of: Any, support: Any, records_url: str, make_record: Any, kind: str
) -> None:
    record = make_record(kind)
    Record.objects.filter(pk=record.pk).update(data={"currency": None, "total": "twelve", "created_at": "once"})

    assert client_of(support).get(f"{records_url}{record.pk}/").status_code == 200


def test_personal_values_are_masked_for_who_may_not_see_them(
    client_of: Any, support: Any, engineer: Any, records_url: str, customer: Record
) -> None:
    masked = client_of(support).get(f"{records_url}{customer.pk}/").content.decode()
    shown = client_of(engineer).get(f"{records_url}{customer.pk}/").content.decode()

    assert "ap@halvorsen.example" not in masked
    assert "ap@halvorsen.example" in shown


def test_what_a_provider_calls_its_customer_is_inert(client_of: Any, support: Any, records_url: str, tell: Any) -> None:
    event = tell("customer.created", customer_object(name=ALERT))

    text = client_of(support).get(f"{records_url}{event.record_id}/").content.decode()

    assert ALERT not in text
    assert "&lt;script&gt;alert(1)" in text


def test_related_records_are_shown_once_each(
    client_of: Any, support: Any, records_url: str, customer: Record, make_record: Any
) -> None:
    invoice = make_record("invoice", data={"number": "INV-7"}, customer=customer)
    payment = make_record("payment", external_id="pay_7", data={}, customer=customer)
    Link.objects.create(record=invoice, field="customer", target=customer)
    Link.objects.create(record=payment, field="customer", target=customer)
    Link.objects.create(record=payment, field="invoice", target=invoice)

    related = client_of(support).get(f"{records_url}{invoice.pk}/").context["related"]

    assert {(each.record.label, each.tie) for each in related} == {(customer.label, "customer"), ("pay_7", "payment")}


def test_actions_are_offered_to_who_may_do_them(
    client_of: Any, support: Any, operations: Any, auditor: Any, records_url: str, invoice: Record
) -> None:
    event = Event.objects.get(state=WorkState.PARKED)
    replay, note, check = f"events/{event.pk}/replay/", f"{invoice.pk}/note/", f"{invoice.pk}/check/"

    offered = {
        user.first_name: [act in text for act in (replay, note, check)]
        for user in (support, operations, auditor)
        if (text := client_of(user).get(f"{records_url}{invoice.pk}/").content.decode())
    }

    assert offered == {"Support": [False, True, False], "Operations": [True, True, True], "Auditor": [False] * 3}


@pytest.mark.parametrize("pk", ["0", "999999", "99999999999999999999999999"])
def test_an_unknown_record_is_not_found(client_of: Any, support: Any, records_url: str, pk: str) -> None:
    assert client_of(support).get(f"{records_url}{pk}/").status_code == 404


def test_a_record_of_another_tenant_or_environment_is_not_found(
    client_of: Any, support: Any, records_url: str, make_record: Any, other_connection: Any
) -> None:
    theirs, ours = make_record(on=other_connection), make_record()
    client = client_of(support)

    assert client.get(f"{records_url}{theirs.pk}/").status_code == 404
    assert client.get(f"/northwind/live/records/{ours.pk}/").status_code == 404
    for action in ("note/", "timeline/", "sides/"):
        assert client.get(f"{records_url}{theirs.pk}/{action}").status_code == 404


@pytest.mark.parametrize("address", ["?place=x", "?place=-1", "?check=x", "?check=1", "?order=sideways", "?seen=1.2"])
def test_an_address_that_makes_no_sense_shows_the_record(
    client_of: Any, support: Any, records_url: str, invoice: Record, address: str
) -> None:
    assert client_of(support).get(f"{records_url}{invoice.pk}/{address}").status_code == 200


def test_a_page_with_everything_on_it_takes_fifteen_queries(
    client_of: Any, operations: Any, records_url: str, differing: Record, django_assert_max_num_queries: Any
) -> None:
    lines = [
        JournalEntry(
            at=timezone.now() - timedelta(seconds=n), tenant_id=differing.tenant_id, environment="test",
            connection_id=differing.connection_id, record_id=differing.pk, lane="events", action="event.decided",
            summary="invoice.updated arrived: It says what we already believe", outcome="unchanged",
        )
        for n in range(1000)
    ]  # fmt: skip
    JournalEntry.objects.bulk_create(lines)
    client = client_of(operations)

    with django_assert_max_num_queries(15):
        answer = client.get(f"{records_url}{differing.pk}/")

    assert len(answer.context["stretch"].lines) == 50
