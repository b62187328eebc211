"""What becomes of an export next."""

import pytest

from integrations.models.copy import CopyState
from integrations.providers.exporting import Ask, Await, Impossible, Made, Nothing, Part, Plan
from integrations.workflow.commands import LONGEST_ID
from integrations.workflow.exporting import Standing, Step, next_step, operation_id

PART = Part(7, "invoice", "open", {}, "INV-7")
THERE = Part(7, "invoice", "open", {}, "INV-7", external_id="x", made={"invoice.create": Made("x", {})})
OTHER = Part(3, "customer", "active", {}, "Halvorsen")
CREATE, VOID = Ask("invoice.create", {}), Ask("invoice.void", {}, "x")


def step(plan: Plan, standing: Standing | None = None, *, part: Part = PART, awaited: str = "") -> Step:
    return next_step(
        part, plan, standing or Standing(), target="Books", creates=plan == CREATE, awaited=awaited
    )  # fmt: skip


def test_what_makes_a_new_object_is_asked_for_at_once() -> None:
    assert step(CREATE).ask == CREATE


def test_what_changes_an_object_is_preceded_by_a_look_at_it() -> None:
    before, after = step(VOID, part=THERE), step(VOID, Standing(fresh=True), part=THERE)

    assert before.look
    assert before.ask is None
    assert after.ask == VOID


def test_what_was_changed_there_is_not_written_over() -> None:
    found = step(VOID, Standing(fresh=True, differs=2), part=THERE)

    assert (found.state, found.ask) == (CopyState.STOPPED, None)
    assert "2 fields" in found.reason


def test_nothing_is_asked_for_while_a_command_is_under_way() -> None:
    assert step(VOID, Standing(flying=True, fresh=True), part=THERE).ask is None


def test_a_command_that_cannot_go_on_stops_the_export_with_its_reason() -> None:
    found = step(CREATE, Standing(blocked="Create invoice: no such account"))

    assert found == Step(CopyState.STOPPED, "Create invoice: no such account")


@pytest.mark.parametrize(
    ("awaited", "state", "words"),
    [
        ("", CopyState.WAITING, "Waits for customer Halvorsen to be at Books"),
        (CopyState.STOPPED, CopyState.WAITING, "needs a person"),
        (CopyState.NOT_NEEDED, CopyState.NOT_NEEDED, "is not exported"),
    ],
)
def test_what_waits_for_another_record_says_for_which_and_how_that_stands(awaited: str, state: str, words: str) -> None:
    found = step(Await(OTHER), awaited=awaited)

    assert (found.state, found.waits_on) == (state, 3)
    assert words in found.reason


@pytest.mark.parametrize(
    ("awaited", "words"),
    [
        (CopyState.EXPORTED, "Waits until customer Halvorsen is out of Books."),
        (CopyState.STOPPED, "Waits until customer Halvorsen is out of Books, whose export needs a person."),
    ],
)
def test_what_waits_for_another_record_to_go_says_so(awaited: str, words: str) -> None:
    assert step(Await(OTHER, gone=True), part=THERE, awaited=awaited) == Step(CopyState.WAITING, words, waits_on=3)


def test_what_is_there_and_needs_nothing_is_exported_and_what_never_goes_there_is_not() -> None:
    assert step(Nothing(), part=THERE).state == CopyState.EXPORTED
    assert step(Nothing("A draft")) == Step(CopyState.NOT_NEEDED, "A draft")
    assert step(Impossible("Negative")) == Step(CopyState.STOPPED, "Negative", code="export:Negative")


def test_what_cannot_go_there_is_grouped_whatever_its_figures() -> None:
    first, second = step(Impossible("Total is -1,200.00 KWD")), step(Impossible("Total is -7 KWD"))

    assert first.code == second.code == "export:Total is -# KWD"


def test_what_was_refused_goes_out_anew_once_its_record_has_changed() -> None:
    refused = Standing(flying=True, blocked="Create invoice: the name is taken", outdated=True)

    found = step(CREATE, refused)

    assert (found.state, found.drop) == (CopyState.WAITING, True)
    assert step(CREATE, Standing(flying=True, blocked="Taken")).state == CopyState.STOPPED


def test_an_operation_id_names_the_version_and_fits_the_shortest_field() -> None:
    assert operation_id(1, 2, 3, 0, "invoice.create") == "x1-2-v3-invoice.create"
    assert len(operation_id(99_999, 9_999_999_999, 9_999, 99, "credit_note.take_back")) <= LONGEST_ID
