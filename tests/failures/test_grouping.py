"""Failures of one connection with one category and fingerprint are one problem, and its counts are true."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection as database
from django.db import transaction
from django.db.models import Count, F, Q, Sum

from integrations.failures import grouping
from integrations.failures.categories import Category, Fault
from integrations.failures.grouping import Failed, fingerprint, note, open_failures_of, resolve
from integrations.models import Connection, Event, Failure, Problem
from tests.conftest import customer_object

pytestmark = pytest.mark.django_db

MakeEvent = Callable[..., Event]


def fault(
    code: str = "missing:total", category: Category = Category.MAPPING, message: str = "It has no total"
) -> Fault:
    return Fault(Category(category), code, message, "total", "7")


def failed(event: Event, what: Fault | None = None) -> Failed:
    return Failed(what or fault(), event.connection, event=event, resource="invoice")


def counts() -> list[tuple[int, int]]:
    return list(Problem.objects.order_by("pk").values_list("count", "open_count"))


# -- what is one problem


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (("mapping failure", "missing:total", "invoice"), ("mapping failure", "missing:total", "invoice"), True),
        (("mapping failure", "missing:total", "invoice"), ("mapping failure", "missing:tax", "invoice"), False),
        (("mapping failure", "missing:total", "invoice"), ("mapping failure", "missing:total", "refund"), False),
        (("mapping failure", "missing:total", "invoice"), ("contract mismatch", "missing:total", "invoice"), False),
        (("a", "b\nc", "d"), ("a\nb", "c", "d"), True),
    ],
)
def test_category_code_and_resource_make_the_fingerprint(
    left: tuple[str, str, str], right: tuple[str, str, str], same: bool
) -> None:
    assert (fingerprint(*left) == fingerprint(*right)) is same


def test_failures_of_one_kind_are_one_problem(make_event: MakeEvent) -> None:
    events = [make_event() for _ in range(3)]

    note(failed(event, fault(message=f"It has no total, {n}")) for n, event in enumerate(events))

    problem = Problem.objects.get()
    assert (problem.count, problem.open_count, problem.failures.count()) == (3, 3, 3)
    assert (problem.category, problem.owner) == (Category.MAPPING, "engineer")
    assert problem.title == "invoice: It has no total, 2" or problem.title.startswith("invoice: It has no total")
    assert problem.next_step == "Fix the mapping of the named field, then replay."


def test_the_same_failure_at_another_connection_is_another_problem(
    make_event: MakeEvent, other_connection: Connection
) -> None:
    note([failed(make_event()), failed(make_event(on=other_connection))])

    assert set(Problem.objects.values_list("tenant_id", flat=True)) == set(
        Connection.objects.values_list("tenant_id", flat=True)
    )
    assert counts() == [(1, 1), (1, 1)]


def test_each_failure_keeps_its_own_words(make_event: MakeEvent) -> None:
    event = make_event()

    note([failed(event)])

    failure = Failure.objects.get()
    assert (failure.event, failure.code, failure.message, failure.field, failure.value) == (
        event, "missing:total", "It has no total", "total", "7",
    )  # fmt: skip


# -- again and again


def test_work_that_fails_again_the_same_way_repeats_its_failure(make_event: MakeEvent) -> None:
    event = make_event()
    note([failed(event)])
    first = Failure.objects.get()

    note([failed(event, fault(message="It still has none"))])

    again = Failure.objects.get()
    assert (again.pk, again.repeats, again.message) == (first.pk, 1, "It still has none")
    assert again.at >= first.at
    assert counts() == [(2, 1)]


def test_work_that_fails_otherwise_has_a_new_failure_and_the_old_one_is_over(make_event: MakeEvent) -> None:
    event = make_event()
    note([failed(event)])

    note([failed(event, fault("missing:tax"))])

    old, new = Failure.objects.order_by("pk")
    assert (old.resolution, new.resolved_at) == ("It failed otherwise since", None)
    assert counts() == [(1, 0), (1, 1)]


def test_what_failed_after_it_was_resolved_counts_anew(make_event: MakeEvent) -> None:
    event = make_event()
    note([failed(event)])
    resolve(open_failures_of(events=[event.pk]), "It went through")

    note([failed(event)])

    assert Failure.objects.count() == 2
    assert counts() == [(2, 1)]


# -- resolved


def test_success_closes_the_failure_and_the_count(make_event: MakeEvent) -> None:
    events = [make_event(), make_event()]
    note(failed(event) for event in events)

    note([], gone=open_failures_of(events=[events[0].pk]))

    assert list(Failure.objects.order_by("pk").values_list("resolution", flat=True)) == ["It went through", ""]
    assert counts() == [(2, 1)]


def test_what_is_resolved_twice_counts_once(make_event: MakeEvent) -> None:
    event = make_event()
    note([failed(event)])
    open_now = open_failures_of(events=[event.pk])

    resolve(open_now, "Dismissed")
    resolve(open_now, "It went through")

    assert Failure.objects.get().resolution == "Dismissed"
    assert counts() == [(1, 0)]


def test_a_named_problem_names_what_fails_so_later(make_event: MakeEvent) -> None:
    note([failed(make_event(), fault("odd", Category.UNKNOWN))])
    grouping.name_unknown(Problem.objects.get(), Category.VALIDATION)

    note([failed(make_event(), fault("odd", Category.UNKNOWN))])

    problem = Problem.objects.get()
    assert (problem.category, problem.owner, problem.count) == (Category.VALIDATION, "support", 2)
    assert set(Failure.objects.values_list("category", flat=True)) == {Category.VALIDATION}


# -- at once


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_lose_no_count(make_event: MakeEvent) -> None:
    codes = ["missing:total", "missing:tax", "missing:number"]
    batches = [[make_event(obj=customer_object(f"cus_{w}_{n}")) for n in range(9)] for w in range(4)]
    barrier = threading.Barrier(4)

    def worker(mine: list[Event], *, backwards: bool) -> None:
        try:
            barrier.wait(10)
            for n in range(0, 9, 3):
                three = [failed(event, fault(code)) for event, code in zip(mine[n : n + 3], codes, strict=True)]
                with transaction.atomic():
                    note(three[::-1] if backwards else three)
                    resolve(open_failures_of(events=[mine[n].pk]), "It went through")
        finally:
            database.close()

    threads = [
        threading.Thread(target=worker, args=[batch], kwargs={"backwards": bool(w % 2)})
        for w, batch in enumerate(batches)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(Problem.objects.values_list("code", "count", "open_count")) == [
        ("missing:number", 12, 12), ("missing:tax", 12, 12), ("missing:total", 12, 0),
    ]  # fmt: skip
    told = Problem.objects.annotate(
        rows=Count("failures") + Sum("failures__repeats"),
        still_open=Count("failures", filter=Q(failures__resolved_at=None)),
    )
    assert not told.exclude(count=F("rows"), open_count=F("still_open")).exists()
