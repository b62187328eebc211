"""Wake-ups: soon, not many, and none that outlives its use."""

import threading
from typing import Any

import pytest
from celery import current_app
from django.db import transaction

from integrations.workflow import process, tasks, wake


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any, Any]]:
    kept: list[tuple[str, Any, Any]] = []
    monkeypatch.setattr(
        current_app,
        "send_task",
        lambda name, *, args, expires=None, **_: kept.append((name, args, expires)),
    )
    return kept


def test_a_wake_up_grows_stale_and_what_names_work_does_not(sent: list[tuple[str, Any, Any]]) -> None:
    wake.send(wake.EVENTS)
    wake.send("integrations.verify_credential", 7)

    assert sent == [(wake.EVENTS, (), wake.STALE), ("integrations.verify_credential", (7,), None)]


def test_many_signals_wake_once_now_and_once_after_the_pause() -> None:
    woken: list[str] = []
    twice = threading.Event()

    def send(name: str) -> None:
        woken.append(name)
        if len(woken) == 2:
            twice.set()

    waker = wake.Waker(pause=0.1, send=send)
    for _ in range(1000):
        waker.events()
    twice.wait(1)

    assert woken in ([wake.EVENTS], [wake.EVENTS, wake.EVENTS])


def test_a_signal_during_the_pause_is_not_lost() -> None:
    first, second = threading.Event(), threading.Event()
    waker = wake.Waker(pause=0.05, send=lambda _: (second if first.is_set() else first).set())

    waker.events()
    assert first.wait(5)
    waker.events()

    assert second.wait(5)


@pytest.mark.parametrize(("turn", "again"), [(60.0, []), (0.0, [(wake.EVENTS, (), wake.STALE)])])
def test_a_worker_wakes_another_only_when_its_turn_is_over(
    sent: list[tuple[str, Any, Any]], monkeypatch: pytest.MonkeyPatch, turn: float, again: list[Any]
) -> None:
    monkeypatch.setattr(tasks, "TURN", turn)
    monkeypatch.setattr(process, "process_due", lambda **_: 250)

    tasks.process_events()

    assert sent == again


@pytest.mark.django_db(transaction=True)
def test_a_transaction_wakes_once_for_all_that_it_did(sent: list[tuple[str, Any, Any]]) -> None:
    with transaction.atomic():
        for _ in range(3):
            with transaction.atomic():
                wake.after_commit(wake.COMMANDS)
        with transaction.atomic():
            wake.after_commit(wake.EVENTS)
            transaction.set_rollback(True)
        wake.after_commit(wake.RUNS)
        assert sent == []
    with transaction.atomic():
        wake.after_commit(wake.COMMANDS)

    assert [name for name, *_ in sent] == [wake.COMMANDS, wake.RUNS, wake.COMMANDS]
