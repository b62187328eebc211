"""The breaker: what opens it, what closes it, one probe at a time, and what waits meanwhile."""

import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone

from integrations.failures.categories import Category, Fault
from integrations.health import breaker
from integrations.health.breaker import Allowed, Waits
from integrations.journal.actor import Actor
from integrations.models import Breaker, Command, Connection, JournalEntry
from integrations.workflow import wake
from integrations.workflow.errors import Refusal

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PRIYA = Actor(None, "Priya Raman", "operations")
MakeCommand = Callable[..., Command]

pytestmark = pytest.mark.django_db


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def fault(category: Category = Category.OUTAGE, retry_after: float | None = None) -> Fault:
    return Fault(category, "http_503", "Stripe failed on its side (HTTP 503).", retry_after=retry_after)


def opened(connection: Connection, at: float = 0) -> Breaker:
    """Return a breaker that five failures have opened."""
    for _ in range(breaker.FAILURES):
        breaker.note_fault(connection, fault(), now=after(at))
    return Breaker.objects.get(connection=connection)


def probe_of(connection: Connection, at: float) -> uuid.UUID:
    answer = breaker.allows(connection, now=after(at))
    assert isinstance(answer, Allowed)
    assert answer.probe
    return answer.probe


def told(connection: Connection) -> list[str]:
    return list(
        JournalEntry.objects.filter(action__startswith="breaker.", connection_id=connection.pk)
        .order_by("id")
        .values_list("action", flat=True)
    )


@pytest.fixture
def make_command(connection: Connection) -> MakeCommand:
    def make(**fields: Any) -> Command:
        number = Command.objects.count() + 1
        defaults: dict[str, Any] = {
            "operation_id": f"op-{number}", "content_hash": b"", "action": "refund.create", "resource": "refund",
            "summary": f"Refund {number}", "asked_by": "the tests", "due_at": timezone.now() - timedelta(minutes=1),
        }  # fmt: skip
        return Command.objects.create(
            tenant=connection.tenant, environment="test", connection=connection, **(defaults | fields)
        )

    return make


# -- opening


@pytest.mark.parametrize(
    ("what", "opens"),
    [
        # Each is (seconds, category), or (seconds, None) for a success.
        ([(0, Category.OUTAGE)] * 4, False),
        ([(0, Category.OUTAGE)] * 5, True),
        ([(0, Category.TIMEOUT), (1, Category.OUTAGE)] * 2 + [(9, Category.TIMEOUT)], True),
        ([(0, Category.OUTAGE)] * 4 + [(59.9, Category.OUTAGE)], True),
        ([(0, Category.OUTAGE)] * 4 + [(60, Category.OUTAGE)], False),  # the window is over
        ([(0, Category.OUTAGE)] * 4 + [(1, None)] * 4 + [(2, Category.OUTAGE)], True),  # 5 of 9
        ([(0, Category.OUTAGE)] * 4 + [(1, None)] * 6 + [(2, Category.OUTAGE)], False),  # 5 of 11 failed
        ([(0, None)] * 99 + [(1, Category.OUTAGE)] * 5, True),  # what went through before counts for nothing
        ([(0, Category.AUTHENTICATION)], True),
        ([(0, Category.VALIDATION)] * 20, False),
        ([(0, Category.RATE_LIMIT)] * 20, False),
        ([(0, Category.BUSINESS), (0, Category.CONTRACT), (0, Category.UNKNOWN)] * 9, False),
    ],
)
def test_it_opens_when_the_provider_does_not_work(
    connection: Connection, what: list[tuple[float, Category | None]], opens: bool
) -> None:
    for seconds, category in what:
        if category is None:
            breaker.note_success(connection, now=after(seconds))
        else:
            breaker.note_fault(connection, fault(category), now=after(seconds))

    last = after(what[-1][0])
    assert isinstance(breaker.allows(connection, now=last), Waits if opens else Allowed)
    assert Breaker.objects.filter(connection=connection, state="open").exists() == opens
    assert told(connection) == (["breaker.opened"] if opens else [])


def test_one_that_never_failed_costs_a_question(connection: Connection, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        assert breaker.allows(connection) == Allowed()
    with django_assert_num_queries(1):
        breaker.note_success(connection)

    assert not Breaker.objects.exists()


def test_it_says_why_and_when_it_looks_again(connection: Connection) -> None:
    opened(connection)

    answer = breaker.allows(connection, now=after(5))

    assert answer == Waits(after(breaker.FIRST_PROBE), "Stripe failed on its side (HTTP 503) (5 failures in 1 s)")
    assert JournalEntry.objects.get(action="breaker.opened").lane == "commands"


def test_the_breaker_of_one_connection_holds_no_other(connection: Connection, other_connection: Connection) -> None:
    opened(connection)

    assert isinstance(breaker.allows(connection, now=NOON), Waits)
    assert breaker.allows(other_connection, now=NOON) == Allowed()


# -- probing


@pytest.mark.parametrize(
    ("outcome", "state", "next_probe"),
    [
        (None, "closed", None),
        (Category.VALIDATION, "closed", None),  # it refused what was asked, so it works
        (Category.BUSINESS, "closed", None),
        (Category.OUTAGE, "open", 2 * breaker.FIRST_PROBE),
        (Category.TIMEOUT, "open", 2 * breaker.FIRST_PROBE),
        (Category.AUTHENTICATION, "open", 2 * breaker.FIRST_PROBE),
        (Category.RATE_LIMIT, "open", 7),  # as it asked, and no failure
    ],
)
def test_a_probe_decides(
    connection: Connection, outcome: Category | None, state: str, next_probe: float | None
) -> None:
    opened(connection)
    probe = probe_of(connection, 15)

    if outcome is None:
        breaker.note_success(connection, probe=probe, now=after(16))
    else:
        breaker.note_fault(connection, fault(outcome, retry_after=7), probe=probe, now=after(16))

    held = Breaker.objects.get()
    assert held.state == state
    assert held.probe_at == (after(16 + next_probe) if next_probe else None)
    assert held.probe is None


def test_probes_come_later_each_time_up_to_the_longest(connection: Connection) -> None:
    at, waits = 0.0, list[float]()
    opened(connection)

    for _ in range(8):
        held = Breaker.objects.get()
        assert held.probe_at
        waits.append((held.probe_at - after(at)).total_seconds())
        at += waits[-1]
        breaker.note_fault(connection, fault(), probe=probe_of(connection, at), now=after(at))

    assert waits == [15, 30, 60, 120, 240, 300, 300, 300]
    assert told(connection) == ["breaker.opened"] + ["breaker.probe_failed"] * 8


def test_after_it_closed_the_waits_begin_anew(connection: Connection) -> None:
    opened(connection)
    breaker.note_fault(connection, fault(), probe=probe_of(connection, 15), now=after(15))
    breaker.note_success(connection, probe=probe_of(connection, 60), now=after(60))

    assert opened(connection, at=100).probe_at == after(115)


@pytest.mark.django_db(transaction=True)
def test_of_twenty_who_ask_one_probes(connection: Connection) -> None:
    opened(connection)
    together, answers = threading.Barrier(20), list[Allowed | Waits]()

    def worker() -> None:
        try:
            together.wait(10)
            answers.append(breaker.allows(connection, now=after(15)))
        finally:
            database.close()

    threads = [threading.Thread(target=worker) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(answers) == 20
    assert sum(isinstance(answer, Allowed) for answer in answers) == 1


def test_the_probe_of_a_worker_that_died_is_free_again(connection: Connection, settings: Any) -> None:
    settings.PROVIDER_TIMEOUT = 5
    opened(connection)
    lost = probe_of(connection, 15)

    assert isinstance(breaker.allows(connection, now=after(34)), Waits)
    second = probe_of(connection, 35)
    breaker.note_success(connection, probe=lost, now=after(36))

    assert second != lost
    assert Breaker.objects.get().state == "half open", "what the first one says comes too late"


def test_a_probe_that_nothing_was_sent_with_is_due_at_once(connection: Connection) -> None:
    opened(connection)
    breaker.unused(connection, probe_of(connection, 15))

    answer = breaker.allows(connection)

    assert isinstance(answer, Allowed)
    assert answer.probe


def test_answers_to_what_had_left_before_change_nothing(connection: Connection) -> None:
    opened(connection)
    breaker.note_success(connection, now=after(1))
    breaker.note_fault(connection, fault(), now=after(2))
    assert Breaker.objects.get().probe_at == after(15)
    probe_of(connection, 15)

    breaker.note_success(connection, now=after(16))
    breaker.note_fault(connection, fault(), now=after(16))

    assert Breaker.objects.get().state == "half open"


# -- what waits


def test_what_waited_goes_on_oldest_first_at_the_allowed_rate(
    connection: Connection, make_command: MakeCommand, quiet_broker: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    Connection.objects.update(drain_per_second=2)
    connection.refresh_from_db()
    hour = timezone.now() + timedelta(hours=1)
    waiting = [
        make_command(),
        make_command(state="waiting", due_at=hour, category="provider outage", outcome="unknown"),
        make_command(),
    ]
    untouched = [
        make_command(state="waiting", due_at=hour, category="missing dependency"),
        make_command(state="parked"),
        make_command(state="waiting", outcome="accepted"),
    ]
    before = {command.pk: command.due_at for command in untouched}
    opened(connection)
    assert breaker.behind(connection) == 3

    with django_capture_on_commit_callbacks(execute=True):
        breaker.note_success(connection, probe=probe_of(connection, 15), now=after(16))

    due = [Command.objects.get(pk=command.pk).due_at for command in waiting]
    assert [(later - due[0]).total_seconds() for later in due] == [0, 0.5, 1]
    assert {command.pk: Command.objects.get(pk=command.pk).due_at for command in untouched} == before
    assert wake.COMMANDS in quiet_broker
    assert "3 commands go on, oldest first" in JournalEntry.objects.get(action="breaker.closed").summary


# -- by hand


def test_people_open_it_with_a_reason_and_it_stays_open(connection: Connection, make_command: MakeCommand) -> None:
    make_command()

    waits = breaker.open_by_hand(connection, actor=PRIYA, reason="Their books are closed today")

    entry = JournalEntry.objects.get(action="breaker.opened")
    assert waits == 1
    assert (entry.lane, entry.actor, entry.reason) == ("people", "Priya Raman", "Their books are closed today")
    assert breaker.allows(connection, now=after(10**9)) == Waits(None, "Their books are closed today")
    with pytest.raises(Refusal, match="already, by Priya Raman"):
        breaker.open_by_hand(connection, actor=PRIYA, reason="again")


def test_people_close_it_with_a_reason(connection: Connection, make_command: MakeCommand) -> None:
    make_command()
    opened(connection)

    count = breaker.close_by_hand(connection, actor=PRIYA, reason="They say it works")

    entry = JournalEntry.objects.get(action="breaker.closed")
    assert count == 1
    assert breaker.allows(connection) == Allowed()
    assert (entry.actor, entry.reason) == ("Priya Raman", "They say it works")
    with pytest.raises(Refusal, match="closed already"):
        breaker.close_by_hand(connection, actor=PRIYA, reason="again")


@pytest.mark.parametrize("act", [breaker.open_by_hand, breaker.close_by_hand])
def test_nobody_opens_or_closes_it_without_a_reason(connection: Connection, act: Any) -> None:
    opened(connection)

    with pytest.raises(Refusal, match="reason"):
        act(connection, actor=PRIYA, reason=" ")


def test_people_have_it_probed_at_once(connection: Connection) -> None:
    opened(connection)
    breaker.probe_now(connection, actor=PRIYA)

    answer = breaker.allows(connection)

    assert isinstance(answer, Allowed)
    assert answer.probe
    assert told(connection)[-1] == "breaker.probe_asked"
    with pytest.raises(Refusal, match="under way"):
        breaker.probe_now(connection, actor=PRIYA)


def test_a_closed_one_is_not_probed(connection: Connection) -> None:
    with pytest.raises(Refusal, match="closed"):
        breaker.probe_now(connection, actor=PRIYA)


def test_one_that_people_opened_is_not_probed_by_itself_after_a_probe_failed(connection: Connection) -> None:
    breaker.open_by_hand(connection, actor=PRIYA, reason="Books closed")
    breaker.probe_now(connection, actor=PRIYA)
    asked = breaker.allows(connection)
    assert isinstance(asked, Allowed)

    breaker.note_fault(connection, fault(), probe=asked.probe)

    assert breaker.allows(connection, now=timezone.now() + timedelta(days=9)) == Waits(None, "Books closed")


@pytest.mark.parametrize(("category", "at_once"), [(Category.AUTHENTICATION, True), (Category.OUTAGE, False)])
def test_a_new_secret_is_tried_at_once_where_the_old_one_was_refused(
    connection: Connection, category: Category, at_once: bool
) -> None:
    for _ in range(breaker.FAILURES):
        breaker.note_fault(connection, fault(category))

    breaker.secret_renewed(connection)

    assert isinstance(breaker.allows(connection), Allowed) == at_once
