"""What a full list does not show is asked for, and is gone only where the provider says so."""

import httpx
import pytest
from django.utils import timezone

from integrations.models import (
    Connection,
    Event,
    Failure,
    JournalEntry,
    Record,
    Reference,
    Run,
    Stream,
)
from integrations.workflow import runs
from tests.conftest import TESTER, connected, customer_object
from tests.fake_provider import Provider, work_off
from tests.stripe_objects import invoice_object
from tests.workflow.scans.conftest import by_id, drop, gone, scan, scanned

pytestmark = pytest.mark.django_db(transaction=True)


# -- what is gone


def test_what_is_gone_is_asked_for_and_becomes_deleted(stream: Stream, provider: Provider) -> None:
    drop(provider, "cus_0001", "cus_0003")

    run = scanned(stream)

    assert gone() == ["cus_0001", "cus_0003"]
    assert sorted(by_id(provider)) == ["cus_0001", "cus_0003"]
    assert (run.state, run.held, run.missing, run.gone) == ("done", 5, 2, 2)
    assert Event.objects.filter(run=run, deleted=True, event_type="customer absent").count() == 2
    assert JournalEntry.objects.filter(
        action="run.finished", summary__endswith="2 of the 5 that we hold were not among them: 2 gone, 0 still there"
    ).exists()
    assert Stream.objects.get(pk=stream.pk).last_scan_at


def test_a_scan_that_finds_all_of_it_there_writes_nothing(stream: Stream) -> None:
    before = [model.objects.count() for model in (Record, Reference, Event)]

    run = scanned(stream)

    assert [model.objects.count() for model in (Record, Reference, Event)] == before
    assert (run.state, run.items, run.missing, run.changed) == ("done", 5, 0, 0)


def test_a_scan_brings_what_changed_and_what_is_new(stream: Stream, provider: Provider) -> None:
    provider.put(customer_object("cus_0002", name="Renamed"), customer_object("cus_0009", created=1_700_000_009))

    scanned(stream)

    assert Record.objects.get(references__external_id="cus_0002").data["name"] == "Renamed"
    assert Record.objects.filter(references__external_id="cus_0009").exists()


def test_what_was_found_gone_is_not_looked_for_again(stream: Stream, provider: Provider) -> None:
    drop(provider, "cus_0001")
    scanned(stream)
    provider.asked.clear()

    run = scanned(stream)

    assert (run.held, run.missing, by_id(provider)) == (4, 0, [])


def test_a_status_that_means_deleted_deletes(stream: Stream, provider: Provider) -> None:
    """The provider answers for an object that is gone with a stub that says so."""
    provider.put({"id": "cus_0001", "object": "customer", "deleted": True, "created": 1_700_000_001})

    run = scanned(stream)

    assert (gone(), run.missing, run.gone) == (["cus_0001"], 1, 1)


def test_an_absence_that_is_not_legal_waits_for_a_person_once(connection: Connection, provider: Provider) -> None:
    """An open invoice cannot be deleted: belief stays, and the same finding is not made every day."""
    provider.put(customer_object(), invoice_object())
    stream = Stream.objects.get(connection=connection, resource="invoice")
    for each in Stream.objects.filter(connection=connection, resource__in=("customer", "invoice")):
        runs.ask(each, actor=TESTER)
    work_off()
    provider.objects["invoice"].clear()
    provider.now += 60

    first, second = scanned(stream), scanned(stream)

    assert Record.objects.get(kind="invoice").state == "open"
    assert Failure.objects.get().code == "illegal:open:deleted"
    assert (first.missing, second.missing) == (1, 0)
    assert Event.objects.filter(deleted=True).count() == 1


def test_what_we_put_there_ourselves_is_asked_for_once_and_belief_stays(
    stream: Stream, connection: Connection, provider: Provider
) -> None:
    """The record came from another connection: its copy is gone here, which is a difference and no deletion."""
    source = connected(connection.tenant, "Source")
    Record.objects.filter(references__external_id="cus_0001").update(connection=source)
    drop(provider, "cus_0001")

    first, second = scanned(stream), scanned(stream)

    assert (first.missing, first.gone, gone()) == (1, 1, [])
    assert (second.missing, Record.objects.get(references__external_id="cus_0001").state) == (0, "active")


# -- lists that lie, move and break


def test_a_list_that_is_cut_deletes_nothing(stream: Stream, provider: Provider) -> None:
    """It says that there is no more, after its first page."""
    whole = provider.truth
    provider.answers = [lambda request: cut(whole(request), provider)]

    run = scanned(stream)

    assert (gone(), run.missing, run.gone) == ([], 3, 0)
    assert len(by_id(provider)) == 3


def cut(answer: httpx.Response, provider: Provider) -> httpx.Response:
    return provider.json(answer.json() | {"has_more": False})


def test_an_object_that_a_moving_page_skips_stays(stream: Stream, provider: Provider) -> None:
    """While the second page is read, the first one lost an object, and one slips past the border."""

    def shifted(request: httpx.Request) -> httpx.Response:
        page = provider.truth(request).json()
        return provider.json(page | {"data": page["data"][1:]})

    provider.answers = [provider.truth, shifted]

    run = scanned(stream)

    assert (gone(), run.missing, run.gone) == ([], 1, 0)


def test_what_is_created_during_a_scan_is_not_missed_by_it(stream: Stream, provider: Provider) -> None:
    """It arrives by a webhook behind the place that the scan has reached; nobody asks for it by its id."""
    run = scan(stream)

    def arrive(request: httpx.Request) -> None:
        if "starting_after" in request.url.params and not Record.objects.filter(label="New").exists():
            hold(stream.connection, "cus_new")

    provider.watch = arrive

    work_off()

    run.refresh_from_db()
    assert (run.missing, by_id(provider), gone()) == (0, [], [])


def hold(connection: Connection, external_id: str) -> None:
    now = timezone.now()
    record = Record.objects.create(
        tenant=connection.tenant, environment="test", connection=connection, kind="customer", state="active",
        label="New", occurred_at=now, created_at=now, updated_at=now,
    )  # fmt: skip
    Reference.objects.create(
        record=record, connection=connection, resource="customer", external_id=external_id, seen_at=now, checked_at=now
    )


@pytest.mark.parametrize("place", [0, 1, 2, 3, 4])
def test_an_outage_half_way_deletes_nothing_and_goes_on_where_it_was(
    place: int, stream: Stream, provider: Provider
) -> None:
    """Three pages and two objects by their ids; the outage comes before any of the five requests."""
    drop(provider, "cus_0000", "cus_0002")
    provider.put(*(customer_object(f"cus_{n:04}", created=1_700_000_000 + n) for n in (5, 6)))
    run = scan(stream)
    provider.answers = [*[provider.truth] * place, provider.failing(503)]

    work_off()

    run.refresh_from_db()
    assert (run.state, run.category) == ("waiting", "provider outage")
    assert len(gone()) == max(0, place - 3)
    Run.objects.update(due_at=timezone.now())
    work_off()
    run.refresh_from_db()
    assert (run.state, gone()) == ("done", ["cus_0000", "cus_0002"])
    assert len(provider.asked) == 6


def test_a_scan_goes_on_past_an_object_that_cannot_be_fetched(stream: Stream, provider: Provider) -> None:
    drop(provider, "cus_0001", "cus_0003")
    provider.answers = [provider.truth, provider.truth, provider.failing(400)]

    run = scanned(stream)

    assert (run.state, gone()) == ("done", ["cus_0001"])
    parked = Run.objects.get(state="parked")
    assert (parked.targets, parked.category) == ([["customer", "cus_0003"]], "validation")
    assert Failure.objects.get(run=parked).resolved_at is None


def test_a_page_that_cannot_be_read_parks_the_scan_and_deletes_nothing(stream: Stream, provider: Provider) -> None:
    """An empty page that says there is more names no place to go on from."""
    provider.answers = [provider.truth, *(provider.json({"object": "list", "data": [], "has_more": True}),) * 3]
    run = scan(stream)
    for _ in range(3):
        Run.objects.filter(state="waiting").update(due_at=timezone.now())
        work_off()

    run.refresh_from_db()
    assert (run.state, run.category, gone(), run.pages) == ("parked", "contract mismatch", [], 1)


def test_a_scan_begins_its_list_again_when_its_place_is_gone(stream: Stream, provider: Provider) -> None:
    """The last object of the first page is deleted before the second page is asked for."""
    provider.watch = lambda request: (
        provider.objects["customer"].pop("cus_0003", None) if "starting_after" in request.url.params else None
    )

    run = scanned(stream)
    run.refresh_from_db()
    assert (run.state, run.cursor, gone()) == ("waiting", None, [])
    Run.objects.update(due_at=timezone.now())
    work_off()

    run.refresh_from_db()
    assert (run.state, run.missing, gone()) == ("done", 0, [])
    assert run.held == 5
