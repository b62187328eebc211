"""Routes: paused, ended, started again, and the first export of everything."""

import pytest

from integrations.models import (
    Connection,
    Copy,
    CopyState,
    Record,
    Route,
    WorkState,
)
from integrations.providers.xero.sandbox.harness import Sandbox
from integrations.reconciliation import pushing
from integrations.workflow import copies, export, routes
from integrations.workflow.errors import Refusal
from tests.books import copy_of, held, make_route, work_off
from tests.conftest import TESTER
from tests.workflow.export.conftest import change, export_everything, long_ago

pytestmark = pytest.mark.django_db(transaction=True)


def test_without_a_route_nothing_becomes_due(target: Connection, story: dict[str, Record]) -> None:
    assert copies.make_due([story["invoice"].pk], [story["invoice"].connection_id]) == 0


def test_a_paused_route_holds_and_drops_nothing(route: Route, books: Sandbox, story: dict[str, Record]) -> None:
    routes.pause(route, actor=TESTER, reason="The books are closed")
    export_everything(story)
    waiting = Copy.objects.filter(state=CopyState.DUE).count()

    routes.resume(route, actor=TESTER)
    work_off()

    assert waiting == 4
    assert set(Copy.objects.values_list("state", flat=True)) == {CopyState.EXPORTED}


def test_an_ended_route_leaves_what_is_there_and_says_of_the_rest_that_it_is_not_exported(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    export_everything({"customer": story["customer"]})
    copies.make_due([record.pk for record in story.values()], [route.source_id])

    told = routes.end(route, actor=TESTER, reason="The books move")
    work_off()
    change(story["customer"], name="Halvorsen Offshore AS")
    work_off()

    assert (told.there, told.ahead, told.under_way) == (1, 4, 0)
    states = {name: copy_of(record).state for name, record in story.items()}
    assert states == dict.fromkeys(story, CopyState.NOT_NEEDED) | {"customer": CopyState.EXPORTED}
    assert copy_of(story["invoice"]).reason == "The route was ended by the tests: The books move"
    assert held(books, "Contacts")[0]["Name"] == "Halvorsen Marine AS"
    assert books.effects()["created"] == 1


def test_started_again_what_was_left_out_and_what_changed_meanwhile_follows(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    export_everything({"customer": story["customer"]})
    copies.make_due([record.pk for record in story.values()], [route.source_id])
    routes.end(route, actor=TESTER, reason="By mistake")
    work_off()
    change(story["customer"], name="Halvorsen Offshore AS")
    long_ago()

    routes.start_again(route, kinds=route.kinds, since=None, actor=TESTER, reason="It was a mistake")
    work_off()

    assert set(Copy.objects.values_list("state", flat=True)) == {CopyState.EXPORTED}
    assert held(books, "Contacts")[0]["Name"] == "Halvorsen Offshore AS"
    assert books.effects()["created"] == 5


def test_what_was_submitted_before_a_route_ended_comes_to_its_end(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    copies.make_due([story["customer"].pk], [route.source_id])
    export.plan_due(seconds=5)

    told = routes.end(route, actor=TESTER, reason="The books move")
    work_off()

    assert told.under_way == 1
    assert len(held(books, "Contacts")) == 1
    assert copy_of(story["customer"]).state == CopyState.EXPORTED


def test_over_an_ended_route_nothing_is_exported_again_by_hand(
    route: Route, books: Sandbox, story: dict[str, Record]
) -> None:
    export_everything({"customer": story["customer"]})
    routes.end(route, actor=TESTER, reason="The books move")

    with pytest.raises(Refusal, match="was ended by the tests"):
        pushing.export_again(copy_of(story["customer"]), actor=TESTER, reason="Once more")
    for act in (routes.pause, routes.end, routes.export_all):
        with pytest.raises(Refusal, match="was ended by the tests"):
            act(route, actor=TESTER, reason="Once more")


def test_ending_a_route_cancels_its_first_export(route: Route, story: dict[str, Record]) -> None:
    run = routes.export_all(route, actor=TESTER, reason="Everything that is there")

    routes.end(route, actor=TESTER, reason="The books move")

    run.refresh_from_db()
    assert run.state == WorkState.DISMISSED


def test_making_a_route_that_was_ended_starts_it_again(
    route: Route, connection: Connection, target: Connection
) -> None:
    routes.end(route, actor=TESTER, reason="By mistake")

    again = routes.make(connection, target, kinds=["customer"], since=None, actor=TESTER, reason="It was a mistake")

    assert (again.pk, again.ended_at, again.kinds) == (route.pk, None, ["customer"])


def test_a_first_export_is_a_run_with_its_count(route: Route, books: Sandbox, story: dict[str, Record]) -> None:
    run = routes.export_all(route, actor=TESTER, reason="Everything that is there")

    with pytest.raises(Refusal, match="under way"):
        routes.export_all(route, actor=TESTER, reason="Twice")
    work_off()

    run.refresh_from_db()
    assert (run.state, run.held, run.items) == (WorkState.DONE, 4, 4)
    assert held(books, "Invoices")[0]["AmountDue"] == 0
    assert routes.counts_of([route])[route.pk] == {CopyState.EXPORTED: 4}


def test_a_route_takes_along_what_its_kinds_refer_to(connection: Connection, target: Connection) -> None:
    assert make_route(connection, target, "refund").kinds == ["customer", "invoice", "payment", "refund"]
