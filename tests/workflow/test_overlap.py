"""A resync looks back by the provider's clock: whatever ours shows, nothing is missed, and nothing is written twice."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import Connection, Event, Record, Reference, Run, Stream, Transition
from integrations.workflow import runs
from tests.conftest import TESTER, connected, customer_object
from tests.fake_provider import Provider, work_off

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connection(tenant: Any) -> Connection:
    return connected(tenant)


@pytest.fixture
def stream(connection: Connection) -> Stream:
    return Stream.objects.get(connection=connection, resource="customer")


def resync(stream: Stream) -> Run:
    run = runs.ask(Stream.objects.get(pk=stream.pk), actor=TESTER)
    work_off()
    return run


def made(external_id: str, at: int) -> dict[str, Any]:
    return customer_object(external_id, created=at)


def known() -> set[str]:
    return set(Reference.objects.values_list("external_id", flat=True))


@pytest.mark.parametrize("minutes", [-90, -7, -1, 0, 1, 7, 90])
def test_a_clock_that_goes_wrong_by_minutes_loses_nothing(minutes: int, stream: Stream, provider: Provider) -> None:
    """The provider's clock is so much ahead of ours; something is made just before, in and after each run."""
    provider.now = int(time.time()) + minutes * 60
    provider.put(made("cus_0", provider.now - 1))
    resync(stream)
    for n in range(1, 4):
        provider.now += 120
        provider.put(made(f"cus_{n}", provider.now - 119), made(f"cus_{n}b", provider.now))
        resync(stream)

    assert known() == set(provider.objects["customer"])


@pytest.mark.parametrize("minutes", [-90, 90])
def test_a_clock_that_is_set_back_or_forth_meanwhile_loses_nothing(
    minutes: int, stream: Stream, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours jumps between two runs: from when the next one asks is told by theirs alone."""
    resync(stream)
    provider.now += 60
    provider.put(made("cus_1", provider.now))
    with monkeypatch.context() as patch:
        patch.setattr("django.utils.timezone.now", lambda: datetime.now(UTC) + timedelta(minutes=minutes))
        run = runs.ask(Stream.objects.get(pk=stream.pk), actor=TESTER)

    assert run.since == datetime.fromtimestamp(provider.now - 60 - 300, UTC)


def test_what_shows_up_late_within_the_overlap_is_found(stream: Stream, provider: Provider) -> None:
    resync(stream)
    provider.put(made("cus_late", provider.now - 299))
    provider.now += 600

    resync(stream)

    assert known() == {"cus_late"}


@pytest.mark.parametrize(("overlap", "found"), [(0, set()), (60, set()), (300, {"cus_late"}), (3600, {"cus_late"})])
def test_the_overlap_is_the_streams_own(overlap: int, found: set[str], stream: Stream, provider: Provider) -> None:
    Stream.objects.update(overlap=overlap)
    resync(stream)
    provider.put(made("cus_late", provider.now - 100))
    provider.now += 600

    resync(stream)

    assert known() == found


def test_what_is_seen_again_in_the_overlap_unchanged_writes_nothing(stream: Stream, provider: Provider) -> None:
    provider.put(*(made(f"cus_{n}", provider.now - n) for n in range(5)))
    resync(stream)
    before = [model.objects.count() for model in (Record, Reference, Transition, Event)]
    records = list(Record.objects.order_by("pk").values_list("version", "updated_at"))
    provider.now += 60

    run = resync(stream)

    run.refresh_from_db()
    assert (run.items, run.changed) == (5, 0)
    assert [model.objects.count() for model in (Record, Reference, Transition, Event)] == before
    assert list(Record.objects.order_by("pk").values_list("version", "updated_at")) == records


def test_a_tombstone_in_a_list_deletes_once_however_often_it_is_seen(
    stream: Stream, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list names what is gone, and shows nothing of it."""
    from integrations.providers.base import Item
    from integrations.providers.stripe import adapter

    provider.put(made("cus_1", provider.now))
    resync(stream)
    real = adapter._objects

    def tombs(entries: list[Any], resource: str, as_of: datetime) -> tuple[Item, ...]:
        return tuple(
            Item("", "", resource, item.external_id, as_of, "", {}, exact=True, deleted=True)
            for item in real(entries, resource, as_of)
        )

    monkeypatch.setattr(adapter, "_objects", tombs)
    counts = []
    for _ in range(3):
        provider.now += 60
        resync(stream)
        counts.append(Event.objects.count())

    assert Record.objects.get().state == "deleted"
    assert Reference.objects.get().deleted_at
    assert counts == [2, 2, 2]


def test_a_tombstone_in_the_event_log_deletes(connection: Connection, stream: Stream, provider: Provider) -> None:
    provider.put(made("cus_1", provider.now))
    resync(stream)
    provider.now += 60
    gone = {"id": "cus_1", "object": "customer", "deleted": True}
    provider.put({
        "id": "evt_1", "object": "event", "type": "customer.deleted", "created": provider.now, "data": {"object": gone},
    })  # fmt: skip

    resync(Stream.objects.get(connection=connection, change_log=True))

    assert Record.objects.get().state == "deleted"


def test_the_first_run_of_a_cron_stream_is_followed_by_its_next_time(stream: Stream, provider: Provider) -> None:
    Stream.objects.filter(pk=stream.pk).update(every=0, cron="0 3 * * *")

    resync(stream)

    due = Stream.objects.get(pk=stream.pk).next_run_at
    assert due
    assert (due.hour, due.minute) == (3, 0)
    assert timezone.now() < due <= timezone.now() + timedelta(days=1)
