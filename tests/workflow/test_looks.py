"""Objects that thin webhooks name: fetched many by one request, and what that does not show by itself."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from integrations.boundary import payloads
from integrations.failures.categories import Category
from integrations.models import Attempt, Connection, Event, Pace, Record, Reference, Run, RunKind, Tenant, WorkState
from integrations.providers.xero.adapter import XeroAdapter
from integrations.providers.xero.client import TOGETHER
from integrations.providers.xero.sandbox.harness import Sandbox
from integrations.workflow import looks, process, refetch, sync
from tests.books import books, books_process, connect_books, work_off
from tests.providers.xero.sandbox.conftest import Api
from tests.providers.xero.test_adapter import event, webhook

__all__ = ["books", "books_process"]
pytestmark = pytest.mark.django_db(transaction=True)

Told = Callable[..., None]
NOBODY = "00000000-0000-4000-8000-0000000000{:02}"


@pytest.fixture
def target(tenant: Tenant, books: Sandbox) -> Connection:
    return connect_books(tenant, books)


@pytest.fixture
def api(books: Sandbox) -> Iterator[Api]:
    made = Api(books)
    with made.http:
        yield made


@pytest.fixture
def told(target: Connection, make_event: Callable[..., Event]) -> Told:
    """Have a webhook arrive about each of some objects."""
    numbers = iter(range(1, 1000))

    def tell(category: str, *ids: str) -> None:
        for external_id in ids:
            one = event(category, "UPDATE", resourceId=external_id, eventDateUtc=f"{timezone.now():%Y-%m-%dT%H:%M:%S}")
            make_event(on=target, body=webhook(one, first=next(numbers)))

    return tell


def contacts(api: Api, count: int) -> list[str]:
    return [api.contact()["ContactID"] for _ in range(count)]


def asked(connection: Connection) -> list[str]:
    """What was asked of the books, without the tokens: the end of each address, its ids counted."""
    urls = Attempt.objects.filter(connection=connection, url__contains="/api.xro/").order_by("pk")
    found = []
    for url in urls.values_list("url", flat=True):
        path, _, query = url.partition("/api.xro/2.0/")[2].partition("?")
        found.append("several " + path if query.startswith("IDs=") else "one " + path.partition("/")[0])
    return found


def test_what_webhooks_name_comes_by_one_request_for_each_resource(target: Connection, api: Api, told: Told) -> None:
    invoices, notes = [api.invoice() for _ in range(9)], [api.credit_note() for _ in range(2)]
    told("CONTACT", *(one["Contact"]["ContactID"] for one in [*invoices, *notes]))
    told("INVOICE", *(one["InvoiceID"] for one in invoices))
    told("CREDITNOTE", *(one["CreditNoteID"] for one in notes))

    work_off()

    assert sorted(asked(target)) == ["one CreditNotes", "one CreditNotes", "several Contacts", "several Invoices"]
    assert not Event.objects.exclude(state=WorkState.DONE).exists()
    assert dict(Record.objects.order_by("kind").values_list("kind", "state").distinct()) == {
        "customer": "active", "invoice": "open", "refund": "pending",
    }  # fmt: skip


def test_its_bytes_are_kept_once_and_each_piece_of_evidence_points_into_them(
    target: Connection, api: Api, told: Told
) -> None:
    ids = contacts(api, 3)
    told("CONTACT", *ids)

    work_off()

    looked = Event.objects.filter(source="check")
    attempt = Attempt.objects.get(run__isnull=False)
    assert {(one.payload_id, one.asked_at) for one in looked} == {(attempt.payload_id, attempt.started_at)}
    assert attempt.payload_at
    assert all(
        external_id.encode() in payloads.read(attempt.payload_id or 0, attempt.payload_at) for external_id in ids
    )
    assert sorted(looked.values_list("path", flat=True)) == ["/Contacts/0", "/Contacts/1", "/Contacts/2"]
    assert all(one.exact and one.decision == "new" for one in looked)


def test_a_request_for_several_is_one_for_the_limits(target: Connection, api: Api, told: Told) -> None:
    target.limits = {"per_minute": 60, "per_day": 5000, "at_once": 5}
    target.save(update_fields=["limits"])
    told("CONTACT", *contacts(api, 30))

    work_off()

    assert sum(Pace.objects.get(connection=target).hours) == 1
    assert Record.objects.count() == 30


def test_no_request_asks_for_more_than_the_provider_takes(target: Connection, api: Api, told: Told) -> None:
    told("CONTACT", *contacts(api, TOGETHER + 1))

    work_off()

    assert asked(target) == ["several Contacts", "one Contacts"]
    assert Record.objects.count() == TOGETHER + 1


def test_what_it_does_not_show_is_asked_for_by_itself_before_it_counts_as_gone(
    target: Connection, books: Sandbox, api: Api, told: Told
) -> None:
    ids = contacts(api, 3)
    told("CONTACT", *ids)
    work_off()
    books.lose("Contacts", ids[1], gone=True)
    Attempt.objects.all().delete()

    told("CONTACT", *ids)
    work_off()

    assert asked(target) == ["several Contacts", "one Contacts"]
    gone = Event.objects.get(event_type="contact absent")
    assert (gone.external_id, gone.decision) == (ids[1], "changed")
    assert b"cannot be found" in payloads.read(gone.payload_id, gone.payload_at)
    states = dict(Reference.objects.values_list("external_id", "record__state"))
    assert states == {ids[0]: "active", ids[1]: "deleted", ids[2]: "active"}


def test_where_nothing_is_shown_each_is_asked_for_once_more_and_no_more(target: Connection, told: Told) -> None:
    told("CONTACT", NOBODY.format(1), NOBODY.format(2))

    work_off()

    assert asked(target) == ["several Contacts", "one Contacts", "one Contacts"]
    assert not Record.objects.exists()
    assert not Event.objects.exclude(state=WorkState.DONE).exists()


@pytest.mark.parametrize("status", [400, 404])
def test_what_cannot_be_fetched_together_is_fetched_one_by_one(
    target: Connection, books: Sandbox, api: Api, told: Told, status: int
) -> None:
    ids = contacts(api, 3)
    told("CONTACT", *ids)
    books.set_faults({"kind": "error", "on": "GET /api.xro/2.0/Contacts", "status": status, "times": 1})

    work_off()

    assert asked(target) == ["several Contacts", "one Contacts", "one Contacts", "one Contacts"]
    assert Record.objects.count() == 3
    assert not Run.objects.filter(state=WorkState.PARKED).exists()
    refused = Attempt.objects.get(status=status)
    assert refused.payload_id, "what was answered instead is kept"


def test_only_the_one_that_cannot_be_fetched_at_all_waits_for_a_person(
    target: Connection, books: Sandbox, api: Api, told: Told
) -> None:
    ids = contacts(api, 3)
    told("CONTACT", *ids)
    books.set_faults(
        {"kind": "error", "on": "GET /api.xro/2.0/Contacts", "status": 400},
        {"kind": "error", "on": f"GET /api.xro/2.0/Contacts/{ids[2]}", "status": 400},
    )

    work_off()

    parked = Run.objects.get(state=WorkState.PARKED)
    assert [target[1] for target in parked.targets] == [ids[2]]
    assert parked.category == Category.VALIDATION
    assert set(Reference.objects.values_list("external_id", flat=True)) == set(ids[:2])


def test_an_outage_takes_nothing_apart(target: Connection, books: Sandbox, api: Api, told: Told) -> None:
    told("CONTACT", *contacts(api, 3))
    process.process_batch()
    books.set_faults({"kind": "error", "status": 503, "on": "GET *", "times": 1})

    sync.perform_next()
    Run.objects.update(due_at=timezone.now())
    work_off()

    assert asked(target) == ["several Contacts", "several Contacts"]


def test_what_is_asked_for_later_joins_what_has_its_turn_yet_to_come(target: Connection) -> None:
    ask(target, "c1")
    ask(target, "c2")
    ask(target, "c1")

    assert Run.objects.get().targets == [["contact", "c1"], ["contact", "c2"]]


@pytest.mark.parametrize("busy", [{"state": WorkState.LEASED}, {"state": WorkState.WAITING, "tries": 1}])
def test_what_is_on_its_way_or_failed_is_not_joined(target: Connection, busy: dict[str, Any]) -> None:
    ask(target, "c1")
    Run.objects.update(**busy)

    ask(target, "c1")
    ask(target, "c2")

    assert list(Run.objects.order_by("pk").values_list("targets", flat=True)) == [
        [["contact", "c1"]], [["contact", "c2"]],
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [RunKind.RECONCILE, RunKind.SCAN])
def test_what_a_list_did_not_show_is_asked_for_one_by_one(kind: str) -> None:
    run = Run(kind=kind, targets=[["contact", "c1"], ["contact", "c2"]])

    assert looks.next_of(run, XeroAdapter()) == [["contact", "c1"]]


def ask(connection: Connection, external_id: str) -> None:
    with transaction.atomic():
        refetch.ask([(connection, "contact", external_id)], timezone.now())
