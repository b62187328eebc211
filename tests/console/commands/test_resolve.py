from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from console.access import grant
from console.models import Role, User
from integrations.models import Command, JournalEntry, Outcome, Record, Reference, Tenant, WorkState
from tests.conftest import connected

Maker = Callable[..., Command]


def resolve(client: Any, url: str, command: Command, **values: str) -> Any:
    answer = {"how": "confirmed", "external_id": "re_found", "reason": "Seen in their dashboard"}
    return client.post(f"{url}{command.pk}/resolve/", answer | values)


def test_support_marks_one_as_confirmed_with_the_id_that_was_found(
    client_of: Any, support: Any, commands_url: str, unknown: Command, tenant: Tenant
) -> None:
    # At its own provider a record has the identity that evidence gave it.
    Record.objects.update(connection=connected(tenant, "Shop"))

    assert resolve(client_of(support), commands_url, unknown).status_code == 302

    unknown.refresh_from_db()
    assert (unknown.outcome, unknown.state, unknown.external_id) == (Outcome.CONFIRMED, WorkState.DONE, "re_found")
    assert Reference.objects.filter(record=unknown.record, external_id="re_found").exists()
    entry = JournalEntry.objects.get(action="command.resolved")
    assert (entry.actor_id, entry.reason) == (support.pk, "Seen in their dashboard")


@pytest.mark.parametrize("seen", [True, False])
def test_what_is_another_records_is_not_taken_for_its_effect(
    client_of: Any, support: Any, commands_url: str, unknown: Command, tenant: Tenant, make_record: Any, seen: bool
) -> None:
    """The copy would aim at it, and the next change go over it. What it is, is told to who may see it."""
    shop = connected(tenant, "Shop")
    Record.objects.update(connection=shop)
    other = make_record("invoice", data={"number": "INV-9000"}, on=shop)
    Reference.objects.create(
        record=other, connection=unknown.connection, resource="refund", external_id="re_found",
        seen_at=timezone.now(), checked_at=timezone.now(),
    )  # fmt: skip
    visitor = User.objects.create_user(username="v@x.example", email="v@x.example", password="right horse")
    grant(visitor, Role.SUPPORT, tenant, by="the tests", connection=unknown.connection)

    refused = resolve(client_of(support if seen else visitor), commands_url, unknown)

    assert refused.status_code == 422
    assert "re_found is the id of" in refused.content.decode()
    assert ("INV-9000" in refused.content.decode()) == seen
    unknown.refresh_from_db()
    assert (unknown.outcome, unknown.external_id) == (Outcome.UNKNOWN, "")


def test_confirmed_needs_the_id(client_of: Any, support: Any, commands_url: str, unknown: Command) -> None:
    answer = resolve(client_of(support), commands_url, unknown, external_id=" ")

    assert answer.status_code == 422
    assert "Give the id" in answer.content.decode()
    unknown.refresh_from_db()
    assert unknown.outcome == Outcome.UNKNOWN


def test_marked_as_failed_nothing_is_sent(client_of: Any, support: Any, commands_url: str, unknown: Command) -> None:
    resolve(client_of(support), commands_url, unknown, how="failed", external_id="")

    unknown.refresh_from_db()
    assert (unknown.outcome, unknown.state) == (Outcome.FAILED, WorkState.DONE)


def test_who_may_send_can_have_it_sent_again(
    client_of: Any, operations: Any, commands_url: str, unknown: Command
) -> None:
    resolve(client_of(operations), commands_url, unknown, how="again", external_id="")

    unknown.refresh_from_db()
    assert unknown.state == WorkState.READY
    assert JournalEntry.objects.filter(action="command.sent_again").exists()


def test_who_may_not_send_is_not_offered_to(client_of: Any, support: Any, commands_url: str, unknown: Command) -> None:
    client = client_of(support)

    assert "Send 1 command again" not in client.get(f"{commands_url}{unknown.pk}/resolve/").content.decode()
    assert resolve(client, commands_url, unknown, how="again").status_code == 422
    unknown.refresh_from_db()
    assert unknown.state == WorkState.PARKED


def test_it_needs_a_reason(client_of: Any, support: Any, commands_url: str, unknown: Command) -> None:
    assert resolve(client_of(support), commands_url, unknown, reason="").status_code == 422


def test_what_is_over_stays_as_it_is(client_of: Any, support: Any, commands_url: str, make_command: Maker) -> None:
    command = make_command(outcome=Outcome.CONFIRMED, state=WorkState.DONE, confirmed_at=timezone.now())

    assert resolve(client_of(support), commands_url, command, how="failed").status_code == 422
    assert client_of(support).get(f"{commands_url}{command.pk}/").context["acts"] == []


@pytest.mark.parametrize("role", ["finance", "auditor", "administrator"])
def test_other_roles_are_refused(
    request: pytest.FixtureRequest, client_of: Any, commands_url: str, unknown: Command, role: str
) -> None:
    assert resolve(client_of(request.getfixturevalue(role)), commands_url, unknown).status_code == 403


def test_the_page_says_who_decides(
    client_of: Any, support: Any, finance: Any, operations: Any, commands_url: str, unknown: Command
) -> None:
    told = {
        user.first_name: client_of(user).get(f"{commands_url}{unknown.pk}/").context["who_may"]
        for user in (support, finance, operations)
    }

    assert told == {
        "Support": "Operations and engineers may send it again or cancel it.",
        "Finance": "Support, operations and engineers may decide about it.",
        "Operations": "",
    }
