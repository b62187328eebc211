"""Where too much is missing at once, a person decides."""

import pytest

from integrations.models import (
    Failure,
    JournalEntry,
    Problem,
    Stream,
)
from integrations.workflow import dismiss, scans
from integrations.workflow.errors import Refusal
from tests.conftest import TESTER
from tests.fake_provider import Provider, work_off
from tests.workflow.scans.conftest import by_id, drop, gone, scanned

pytestmark = pytest.mark.django_db(transaction=True)


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
