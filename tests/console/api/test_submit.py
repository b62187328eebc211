"""`POST /api/v1/commands/`: what is asked for once happens once."""

import json
import threading
from collections import Counter
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.access import grant
from console.models import Role, User
from integrations.models import Command, Connection, JournalEntry, Outcome, Record, Tenant, WorkState
from integrations.workflow.exporting import operation_id
from tests.conftest import connected, person
from tests.console.api.conftest import Ask

pytestmark = pytest.mark.django_db


def test_a_new_one_is_committed_and_answered_with_201(
    submit: Ask, operations: User, connection: Connection, quiet_broker: list[str]
) -> None:
    answer = submit(operations, reason="The customer returned it")

    assert answer.status_code == 201
    command = Command.objects.get()
    assert (command.operation_id, command.action, command.outcome) == ("op_1", "refund.create", Outcome.SUBMITTED)
    assert command.content == {"payment": "pi_0001", "amount": 1250, "currency": "EUR"}
    assert answer.json()["id"] == command.pk
    assert answer.json()["url"].endswith(f"/northwind/test/commands/{command.pk}/")


def test_the_journal_names_the_person_and_the_token(submit: Ask, operations: User) -> None:
    submit(operations, reason="The customer returned it")

    entry = JournalEntry.objects.get(action="command.submitted")
    assert (entry.actor_id, entry.reason) == (operations.pk, "The customer returned it")
    assert entry.actor == f"{operations.name}, by the token “warehouse”"


def test_the_same_again_gets_the_first_result(submit: Ask, operations: User, engineer: User) -> None:
    first = submit(operations)
    Command.objects.update(outcome=Outcome.CONFIRMED, state=WorkState.DONE)

    again = submit(operations)
    by_another = submit(engineer)

    assert (first.status_code, again.status_code, by_another.status_code) == (201, 200, 200)
    assert again.json()["id"] == by_another.json()["id"] == first.json()["id"]
    assert again.json()["outcome"] == "confirmed"
    assert Command.objects.count() == 1


def test_the_order_of_fields_makes_no_difference(submit: Ask, operations: User) -> None:
    submit(operations)

    again = submit(operations, content={"currency": "EUR", "amount": 1250, "payment": "pi_0001"})

    assert again.status_code == 200


@pytest.mark.parametrize("fields", [{"content": {"payment": "pi_0001", "amount": 1251, "currency": "EUR"}}])
def test_other_content_under_a_known_id_is_a_conflict(submit: Ask, operations: User, fields: dict[str, Any]) -> None:
    submit(operations)

    answer = submit(operations, **fields)

    assert answer.status_code == 409
    assert answer["Content-Type"] == "application/problem+json"
    assert "op_1 is that of another command" in answer.json()["detail"]
    assert Command.objects.get().content["amount"] == 1250


def test_a_conflict_tells_nothing_of_a_command_that_one_may_not_see(
    submit: Ask, tenant: Tenant, connection: Connection
) -> None:
    sibling = connected(tenant, "Sibling")
    Command.objects.create(
        tenant=tenant, environment="test", connection=sibling, operation_id="op_1", content_hash=b"0" * 32,
        action="refund.create", resource="refund", summary="Refund Hidden Person", due_at=timezone.now(),
    )  # fmt: skip
    somebody = person("somebody", tenant)
    grant(somebody, Role.OPERATIONS, tenant, by="the tests", connection=connection)

    answer = submit(somebody)

    assert answer.status_code == 409
    assert "Hidden Person" not in answer.content.decode()


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"connection": "stripe"}, "connection"),
        ({"action": "refund.destroy"}, "action"),
        ({"action": ""}, "action"),
        ({"content": []}, "content"),
        ({"content": {"payment": "pi_1"}}, "content.amount"),
        ({"content": {"payment": "pi_1", "amount": "1250", "currency": "EUR"}}, "content.amount"),
        ({"content": {"payment": "pi_1", "amount": 12.5, "currency": "EUR"}}, "content.amount"),
        ({"content": {"payment": "pi\x00", "amount": 1250, "currency": "EUR"}}, "content.payment"),
        ({"content": {"payment": "\ud800", "amount": 1250, "currency": "EUR"}}, "content.payment"),
        ({"content": {"payment": "pi_1", "amount": 1250, "currency": "eur"}}, "content.currency"),
        ({"content": {"payment": "pi_1", "amount": 0, "currency": "EUR"}}, "content.amount"),
        ({"content": {"payment": "pi_1", "amount": 1, "currency": "EUR", "tip": 1}}, "content.tip"),
        ({"external_id": "re_1"}, "external_id"),
        ({"action": "invoice.void", "content": {}}, "external_id"),
        ({"action": "invoice.void", "content": {}, "external_id": ".."}, "external_id"),
        ({"content": {"payment": ".", "amount": 1, "currency": "EUR"}}, "content.payment"),
        ({"record": "five"}, "record"),
        ({"record": 2**70}, "record"),
        ({"reason": "x" * 501}, "reason"),
        ({"reson": "misspelt"}, "reson"),
    ],
)
def test_what_is_wrong_is_said_by_field(submit: Ask, operations: User, fields: dict[str, Any], where: str) -> None:
    answer = submit(operations, **fields)

    assert answer.status_code == 400
    assert where in answer.json()["errors"]
    assert not Command.objects.exists()


def test_nobody_takes_the_operation_ids_of_exports(submit: Ask, operations: User) -> None:
    """What would be exported under it would be refused as another command's content."""
    answer = submit(operations, operation_id(4, 17, 2, 0, "invoice.create"))

    assert answer.status_code == 400
    assert "those of exports" in answer.json()["errors"]["Idempotency-Key"][0]
    assert submit(operations, "x1-order").status_code == 201


@pytest.mark.parametrize("key", [None, "", " ", "x" * 51])
def test_it_needs_an_operation_id(submit: Ask, operations: User, key: str | None) -> None:
    answer = submit(operations, key)

    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()["errors"]


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 100_000, b'{"content": NaN}', b'{"a": ' * 5000, b"0" * 5000],
)
def test_a_body_that_is_no_object_is_refused(submit: Ask, operations: User, raw: bytes) -> None:
    answer = submit(operations, raw=raw)

    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"


def test_a_huge_body_is_refused(submit: Ask, operations: User) -> None:
    assert submit(operations, content={"note": "x" * 300_000}).status_code == 413


@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=12,
    ),
    field=st.sampled_from(["", "connection", "action", "external_id", "content", "record", "reason"]),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_breaks_it(body: Any, field: str, submit: Ask, secret: str, operations: User) -> None:
    answer = (
        submit(operations, secret=secret, **{field: body})
        if field
        else submit(operations, secret=secret, raw=json.dumps(body).encode())
    )

    assert answer.status_code in (200, 201, 400, 404, 409)


@pytest.fixture
def secret(secret_of: Any, operations: User) -> str:
    made: str = secret_of(operations)
    return made


@pytest.mark.parametrize("role", ["support", "finance", "auditor"])
def test_who_sees_and_may_not_command_gets_403(request: pytest.FixtureRequest, submit: Ask, role: str) -> None:
    answer = submit(request.getfixturevalue(role))

    assert answer.status_code == 403
    assert "operations, engineer" in answer.json()["detail"]
    assert not Command.objects.exists()


def test_a_connection_that_the_token_may_not_see_does_not_exist(
    submit: Ask, operations: User, tenant: Tenant, other_connection: Connection
) -> None:
    live = connected(tenant, environment="live")

    for hidden in (other_connection, live):
        assert submit(operations, connection=str(hidden.public_id)).status_code == 404
    assert not Command.objects.exists()


def test_a_record_of_others_does_not_exist(
    submit: Ask, operations: User, make_record: Any, other_connection: Connection
) -> None:
    theirs: Record = make_record(on=other_connection)

    assert submit(operations, record=theirs.pk).status_code == 404


def test_a_record_is_named_with_its_version(submit: Ask, operations: User, make_record: Any) -> None:
    record: Record = make_record("payment")

    assert submit(operations, record=record.pk).json()["record"] == record.pk
    assert Command.objects.get().record_version == record.version


def test_a_disabled_connection_says_so(submit: Ask, operations: User, connection: Connection) -> None:
    Connection.objects.filter(pk=connection.pk).update(disabled_at=timezone.now())

    answer = submit(operations)

    assert answer.status_code == 422
    assert "is disabled" in answer.json()["detail"]


def test_personal_content_comes_back_masked_for_who_may_not_see_it(
    submit: Ask, operations: User, engineer: User
) -> None:
    content = {"payment": "pi_0001", "amount": 1, "currency": "EUR", "reason": "ap@halvorsen.example asked for it"}

    masked, whole = submit(operations, content=content).json(), submit(engineer, content=content).json()

    assert "halvorsen" not in json.dumps(masked)
    assert whole["content"]["reason"] == content["reason"]


@pytest.mark.django_db(transaction=True)
def test_fifty_submissions_of_one_operation_id_at_once_make_one_command(
    submit: Ask, secret: str, operations: User
) -> None:
    ready, statuses = threading.Barrier(50), list[int]()

    def ask() -> None:
        try:
            ready.wait(60)
            statuses.append(submit(operations, "op_once", secret=secret).status_code)
        finally:
            database.close()

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Counter(statuses) == {201: 1, 200: 49}
    assert Command.objects.filter(operation_id="op_once").count() == 1
    assert JournalEntry.objects.filter(action="command.submitted").count() == 1
