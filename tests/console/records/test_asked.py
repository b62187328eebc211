"""What a record's page says of the commands about it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from console.access import grant
from console.models import Role
from integrations.journal.write import Entry, write
from integrations.models import Attempt, Command, Connection, JournalEntry, Lane, Outcome, Record, Tenant, WorkState
from tests.conftest import connected, person
from tests.console.commands.conftest import make_command, make_try, unknown

__all__ = ["make_command", "make_try", "unknown"]
Maker = Callable[..., Any]


def note(command: Command, action: str, summary: str, *, outcome: str, **data: Any) -> JournalEntry:
    """Write a line about a command, as the engine does."""
    return write([
        Entry(
            tenant_id=command.tenant_id, environment=command.environment, connection_id=command.connection_id,
            record_id=command.record_id, lane=Lane.COMMANDS, action=action, summary=summary, outcome=outcome,
            subject_type="command", subject_id=command.pk, data={"command": command.pk, **data},
        )
    ])[0]  # fmt: skip


def page(client: Any, url: str, record: Any) -> Any:
    return client.get(f"{url}{record.pk}/")


def test_it_says_what_was_sent_last_and_what_is_believed_of_it(
    client_of: Any, support: Any, records_url: str, make_command: Maker, unknown: Command
) -> None:
    sent = page(client_of(support), records_url, unknown.record).context["answers"][0]

    assert (sent.label, sent.text) == ("We sent", "Refund €12.50 in Stripe")
    assert sent.note == "to Stripe, unknown outcome, "
    assert sent.url.endswith(f"/commands/{unknown.pk}/")


def test_a_record_without_commands_says_that_nothing_was_sent(
    client_of: Any, support: Any, records_url: str, invoice: Record
) -> None:
    context = page(client_of(support), records_url, invoice).context

    assert context["answers"][0].text == "Nothing"
    assert context["undecided"] == []


def test_an_unknown_outcome_can_be_resolved_from_here(
    client_of: Any, support: Any, operations: Any, records_url: str, unknown: Command
) -> None:
    for user, names in (
        (support, ["command_resolve"]),
        (operations, ["command_look", "command_send", "command_resolve"]),
    ):
        (asked,) = page(client_of(user), records_url, unknown.record).context["undecided"]
        assert [act.name for act in asked["acts"]] == names


def test_what_is_over_asks_nobody(
    client_of: Any, operations: Any, records_url: str, make_command: Maker, unknown: Command
) -> None:
    Command.objects.update(outcome=Outcome.FAILED, state=WorkState.DONE)

    assert page(client_of(operations), records_url, unknown.record).context["undecided"] == []


def test_the_timeline_tells_of_intent_and_of_each_try(
    client_of: Any, support: Any, records_url: str, unknown: Command
) -> None:
    note(unknown, "command.submitted", "Command: Refund €12.50 in Stripe", outcome="submitted")
    note(unknown, "command.waits", "Refund €12.50 in Stripe: no answer; its outcome is unknown", outcome="unknown")

    waits, submitted = page(client_of(support), records_url, unknown.record).context["stretch"].lines

    assert (submitted.said.head, submitted.outcome, submitted.topic) == (
        "Command: Refund €12.50 in Stripe", "submitted", "command",
    )  # fmt: skip
    assert (waits.tone, waits.outcome) == ("is-warn", "unknown outcome")


def test_behind_a_try_both_sides_stand_without_what_is_personal(
    client_of: Any, support: Any, records_url: str, unknown: Command
) -> None:
    attempt = Attempt.objects.get(command=unknown)
    line = note(unknown, "command.waits", "Refund: no answer", outcome="unknown", attempt=attempt.pk)

    answer = client_of(support).get(f"{records_url}{unknown.record_id}/entries/{line.pk}/")

    text = answer.content.decode()
    assert "POST /v1/refunds" in text
    assert "may have had its effect" in text
    assert "ap@halvorsen.example" not in text


def test_behind_the_intent_stands_its_content_and_no_try(
    client_of: Any, support: Any, records_url: str, unknown: Command
) -> None:
    line = note(unknown, "command.submitted", "Command: Refund", outcome="submitted")

    answer = client_of(support).get(f"{records_url}{unknown.record_id}/entries/{line.pk}/")

    assert answer.context["try"] is None
    assert "op_unknown" in answer.content.decode()


def test_who_sees_the_record_alone_learns_nothing_of_what_another_connection_was_asked(
    client_of: Any, records_url: str, tenant: Tenant, connection: Connection, make_record: Any, make_command: Maker
) -> None:
    books, record = connected(tenant, "Books"), make_record("invoice")
    command = make_command(on=books, record=record, outcome=Outcome.UNKNOWN, state=WorkState.PARKED)
    line = note(command, "command.submitted", "Command: Enter it into the books", outcome="submitted")
    somebody = person("somebody", tenant)
    grant(somebody, Role.ENGINEER, tenant, by="the tests", connection=connection)
    client = client_of(somebody)

    shown = page(client, records_url, record)

    assert shown.context["answers"][0].text == "Nothing"
    assert shown.context["undecided"] == []
    assert "into the books" not in shown.content.decode()
    assert client.get(f"{records_url}{record.pk}/entries/{line.pk}/").status_code == 404


def test_commands_cost_the_page_one_query(
    client_of: Any, operations: Any, records_url: str, unknown: Command, django_assert_max_num_queries: Any
) -> None:
    for _ in range(20):
        note(unknown, "command.waits", "Refund: no answer", outcome="unknown")
    client = client_of(operations)
    page(client, records_url, unknown.record)

    with django_assert_max_num_queries(13):
        page(client, records_url, unknown.record)


@pytest.mark.parametrize("action", ["command.answered", "command.confirmed"])
def test_a_line_that_names_no_try_shows_the_last_one_before_it(
    client_of: Any, support: Any, records_url: str, unknown: Command, action: str, make_try: Maker
) -> None:
    line = note(unknown, action, "Refund: accepted", outcome="accepted")
    make_try(unknown, status=200, started_at=timezone.now() + timedelta(minutes=1))

    answer = client_of(support).get(f"{records_url}{unknown.record_id}/entries/{line.pk}/")

    assert answer.context["try"].number == 1
