"""Absence scans: what the list does not show is asked for, what is gone becomes belief, a bad list deletes nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone

from integrations.models import (
    Connection,
    Event,
    Failure,
    JournalEntry,
    Problem,
    Record,
    Reference,
    Run,
    RunKind,
    Stream,
)
from integrations.workflow import dismiss, runs, scans
from integrations.workflow.errors import Refusal
from integrations.workflow.sync import perform_next
from tests.conftest import TESTER, connected, customer_object
from tests.fake_provider import Provider, work_off
from tests.stripe_objects import invoice_object

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connection(tenant: Any) -> Connection:
    """A connection whose pages hold two objects."""
    return connected(tenant, page_size=2)


@pytest.fixture
def stream(connection: Connection, provider: Provider) -> Stream:
    """The stream of customers, five of which are held."""
    provider.customers(5)
    found = Stream.objects.get(connection=connection, resource="customer")
    runs.ask(found, actor=TESTER)
    work_off()
    provider.asked.clear()
    provider.now += 60
    return Stream.objects.get(pk=found.pk)


def scan(stream: Stream) -> Run:
    return runs.ask_scan(Stream.objects.get(pk=stream.pk), actor=TESTER)


def scanned(stream: Stream) -> Run:
    run = scan(stream)
    work_off()
    run.refresh_from_db()
    return run


def states() -> dict[str, str]:
    return dict(Reference.objects.order_by("external_id").values_list("external_id", "record__state"))


def gone() -> list[str]:
    return [external_id for external_id, state in states().items() if state == "deleted"]


def drop(provider: Provider, *external_ids: str) -> None:
    for external_id in external_ids:
        del provider.objects["customer"][external_id]


def by_id(provider: Provider) -> list[str]:
    return [path.rpartition("/")[2] for path in provider.paths if path.startswith("/v1/customers/")]


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


# -- too much at once


@pytest.fixture
def many(connection: Connection, provider: Provider) -> Stream:
    """The stream of customers, forty of which are held."""
    Connection.objects.update(settings=connection.settings | {"page_size": 100})
    provider.customers(40)
    found = Stream.objects.get(connection=connection, resource="customer")
    runs.ask(found, actor=TESTER)
    work_off()
    provider.asked.clear()
    provider.now += 60
    return found


def test_a_mass_disappearance_waits_for_a_person(many: Stream, provider: Provider) -> None:
    drop(provider, *[f"cus_{n:04}" for n in range(20)])

    run = scanned(many)

    assert (run.state, run.category, run.missing, run.held) == ("parked", "business rule", 20, 40)
    assert gone() == []
    assert by_id(provider) == []
    problem = Problem.objects.get()
    assert (problem.owner, problem.open_count) == ("operations", 1)
    assert "Find out at the provider whether they are gone" in problem.next_step
    assert "20 of the 40 objects that we hold are not in the list, more than the 19" in (
        JournalEntry.objects.get(action="run.parked").summary
    )


@pytest.mark.parametrize(
    ("held", "share", "least", "most"),
    [(5, 10, 20, 19), (199, 10, 20, 19), (200, 10, 20, 20), (1000, 10, 20, 100), (1000, 1, 20, 19), (9, 50, 1, 4)],
)
def test_how_many_may_go_at_once(held: int, share: int, least: int, most: int) -> None:
    assert scans.most_missing(Stream(absent_share=share, absent_least=least), held) == most


def test_a_person_lets_it_go_on_with_a_reason(many: Stream, provider: Provider) -> None:
    drop(provider, *[f"cus_{n:04}" for n in range(25)])
    run = scanned(many)

    scans.release(run, actor=TESTER, reason="They closed these accounts")
    work_off()

    run.refresh_from_db()
    assert (run.state, run.gone, len(gone())) == ("done", 25, 25)
    assert Failure.objects.get().resolution == "the tests let it go on"
    assert JournalEntry.objects.get(action="run.released").reason == "They closed these accounts"


def test_what_is_let_go_on_still_deletes_only_what_is_gone(many: Stream, provider: Provider) -> None:
    """The list was cut: each of the missing answers as there."""
    empty = provider.json({"object": "list", "data": [], "has_more": False})
    provider.answers = [empty]
    run = scanned(many)
    assert (run.state, run.missing) == ("parked", 40)

    scans.release(run, actor=TESTER, reason="Look at each")
    work_off()

    run.refresh_from_db()
    assert (run.state, run.gone, gone()) == ("done", 0, [])


def test_more_than_one_batch_is_asked_for(many: Stream, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scans, "AT_ONCE", 3)
    drop(provider, *[f"cus_{n:04}" for n in range(8)])

    run = scanned(many)

    assert (run.state, run.gone, len(gone())) == ("done", 8, 8)


@pytest.mark.parametrize("reason", ["", "  "])
def test_letting_go_on_takes_a_reason(reason: str, many: Stream, provider: Provider) -> None:
    drop(provider, *[f"cus_{n:04}" for n in range(20)])
    run = scanned(many)

    with pytest.raises(Refusal, match="Give a reason"):
        scans.release(run, actor=TESTER, reason=reason)


def test_a_scan_is_let_go_on_once(many: Stream, provider: Provider) -> None:
    drop(provider, *[f"cus_{n:04}" for n in range(20)])
    run = scanned(many)
    scans.release(run, actor=TESTER, reason="Yes")

    with pytest.raises(Refusal, match="does not wait"):
        scans.release(run, actor=TESTER, reason="Yes")


def test_a_dismissed_scan_keeps_everything(many: Stream, provider: Provider) -> None:
    drop(provider, *[f"cus_{n:04}" for n in range(20)])
    run = scanned(many)

    dismiss.dismiss(run, actor=TESTER, reason="Wrong account")
    work_off()

    assert gone() == []
    assert Failure.objects.get().resolution == "Dismissed by the tests"
    with pytest.raises(Refusal):
        scans.release(run, actor=TESTER, reason="No, do")


def test_a_later_scan_takes_the_place_of_one_that_waits(many: Stream, provider: Provider) -> None:
    drop(provider, *[f"cus_{n:04}" for n in range(20)])
    first = scanned(many)
    provider.customers(40)

    scanned(many)

    first.refresh_from_db()
    assert first.state == "done"
    assert Failure.objects.get().resolution == "A later run went through"


# -- when


def test_scans_are_daily_where_the_list_does_not_show_deletions(connection: Connection) -> None:
    found = dict(Stream.objects.filter(connection=connection).values_list("resource", "scan_every"))

    assert found == {"customer": 86_400, "invoice": 86_400, "payment_intent": 0, "refund": 0, "event": 0}


def test_the_first_scan_is_due_a_day_after_it_could_be(stream: Stream) -> None:
    """All of it has just been listed by the first sync."""
    Stream.objects.update(next_run_at=timezone.now() + timedelta(days=9))

    assert runs.schedule() == 0

    due = Stream.objects.get(pk=stream.pk).next_scan_at
    assert due
    assert timedelta(hours=23) < due - timezone.now() <= timedelta(days=1)


def test_a_due_scan_is_planned_once(stream: Stream) -> None:
    quiet = timezone.now() + timedelta(days=9)
    Stream.objects.update(next_run_at=quiet, next_scan_at=quiet)
    Stream.objects.filter(pk=stream.pk).update(next_scan_at=timezone.now())

    assert (runs.schedule(), runs.schedule()) == (1, 0)
    assert Run.objects.filter(kind=RunKind.SCAN).count() == 1


def test_no_scan_is_planned_while_one_waits_for_a_person(many: Stream, provider: Provider) -> None:
    drop(provider, *[f"cus_{n:04}" for n in range(20)])
    scanned(many)
    quiet = timezone.now() + timedelta(days=9)
    Stream.objects.update(next_run_at=quiet, next_scan_at=quiet)
    Stream.objects.filter(pk=many.pk).update(next_scan_at=timezone.now())

    assert runs.schedule() == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"first_sync_done_at": None}, "first sync"),
        ({"change_log": True}, "holds events"),
    ],
)
def test_there_must_be_something_to_look_for(change: dict[str, Any], said: str, stream: Stream) -> None:
    Stream.objects.update(**change)

    with pytest.raises(Refusal, match=said):
        scan(stream)


def test_a_second_scan_is_refused_even_while_objects_are_asked_for(stream: Stream, provider: Provider) -> None:
    drop(provider, "cus_0001")
    scan(stream)
    provider.answers = [provider.truth, provider.truth, provider.failing(503)]
    work_off()
    assert Run.objects.get(kind=RunKind.SCAN).targets

    with pytest.raises(Refusal, match="under way"):
        scan(stream)


# -- off-peak windows


def window(begins: datetime, ends: datetime) -> list[dict[str, Any]]:
    return [{"days": list(range(7)), "from": f"{begins:%H:%M}", "to": f"{ends:%H:%M}", "zone": "UTC"}]


def test_a_scan_waits_for_the_window(stream: Stream, provider: Provider) -> None:
    now = datetime.now(UTC)
    begins = now + timedelta(hours=3)
    Connection.objects.update(windows=window(begins, now + timedelta(hours=5)))

    run = scanned(stream)

    assert (run.state, run.waits_for, run.pages, run.started_at) == ("waiting", "the off-peak window", 0, None)
    assert run.due_at == begins.replace(second=0, microsecond=0)
    assert provider.asked == []


def test_a_first_sync_waits_too_and_a_resync_does_not(stream: Stream, provider: Provider) -> None:
    now = datetime.now(UTC)
    Connection.objects.update(windows=window(now + timedelta(hours=3), now + timedelta(hours=5)))
    other = Stream.objects.get(resource="invoice")
    bulk, small = runs.ask(other, actor=TESTER), runs.ask(stream, actor=TESTER)

    work_off()

    assert (Run.objects.get(pk=bulk.pk).state, Run.objects.get(pk=small.pk).state) == ("waiting", "done")


def test_a_run_that_reaches_the_end_of_the_window_goes_on_in_the_next(stream: Stream, provider: Provider) -> None:
    drop(provider, "cus_0001")
    later = window(datetime.now(UTC) + timedelta(hours=3), datetime.now(UTC) + timedelta(hours=5))
    provider.watch = lambda _: Connection.objects.update(windows=later)

    run = scanned(stream)

    assert (run.state, run.waits_for, run.pages) == ("waiting", "the off-peak window", 1)
    assert run.started_at
    provider.watch = lambda _: None
    Connection.objects.update(windows=[])
    Run.objects.update(due_at=timezone.now())
    work_off()
    run.refresh_from_db()
    assert (run.state, gone(), run.pages) == ("done", ["cus_0001"], 3)


def test_a_turn_performs_a_scan_page_by_page(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.workflow.sync.TURN", 0.0)
    run = scan(stream)

    assert perform_next()

    run.refresh_from_db()
    assert (run.state, run.pages, run.waits_for) == ("ready", 1, "")
