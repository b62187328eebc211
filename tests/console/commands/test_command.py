from collections.abc import Callable
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.commands import exchanges
from integrations.models import Attempt, Command, Outcome, WorkState

Maker = Callable[..., Any]
PERSONAL = "ap@halvorsen.example"


def shown(client: Any, url: str, command: Command) -> Any:
    return client.get(f"{url}{command.pk}/")


def test_an_unknown_outcome_says_what_is_in_doubt_and_what_is_safe(
    client_of: Any, support: Any, commands_url: str, unknown: Command
) -> None:
    text = shown(client_of(support), commands_url, unknown).content.decode()

    assert "Stripe may or may not hold this refund." in text
    assert "sent again only under the same operation id" in text
    assert "No answer came within 20 s." in text
    assert "It waits for a person." in text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"outcome": Outcome.UNKNOWN}, ["submitted", "sent", "unknown outcome", "accepted", "confirmed"]),
        ({"outcome": Outcome.SUBMITTED}, ["submitted", "sent", "accepted", "confirmed"]),
        ({"outcome": Outcome.ACCEPTED}, ["submitted", "sent", "accepted", "confirmed"]),
        ({"outcome": Outcome.CONFIRMED}, ["submitted", "sent", "accepted", "confirmed"]),
        ({"outcome": Outcome.FAILED}, ["submitted", "sent", "failed"]),
        ({"outcome": Outcome.CANCELLED, "sent_at": None}, ["submitted", "cancelled"]),
    ],
)
def test_its_way_shows_where_it_stands(
    client_of: Any, support: Any, commands_url: str, make_command: Maker, fields: dict[str, Any], words: list[str]
) -> None:
    command = make_command(**{"sent_at": timezone.now(), **fields})

    steps = shown(client_of(support), commands_url, command).context["steps"]

    assert [step.word for step in steps] == words
    assert [step.word for step in steps if step.css == "here"] == [str(Outcome(fields["outcome"]).label).lower()]


def test_the_newest_try_comes_first_with_both_sides(
    client_of: Any, support: Any, commands_url: str, unknown: Command, make_try: Maker
) -> None:
    make_try(
        unknown, status=503, category="provider outage", provider_request_id="req_theirs_1", sent=b'{"amount": 12.50}',
        answer={"error": {"type": "api_error"}}, headers={"retry-after": "60", "date": "today"},
    )  # fmt: skip

    newest, oldest = shown(client_of(support), commands_url, unknown).context["tries"]

    assert (newest.number, newest.sent.line) == (2, "POST /v1/refunds")
    assert newest.sent.body == '{\n  "amount": 12.50\n}'
    assert newest.answer.line == "503 Service Unavailable, after 1.2 s"
    assert newest.answer.headers == [("retry-after", "60")]
    assert '"type": "api_error"' in newest.answer.body
    assert (oldest.number, oldest.answer) == (1, None)
    assert oldest.outcome.endswith("The request may have had its effect.")


def test_their_request_id_can_be_copied(
    client_of: Any, support: Any, commands_url: str, unknown: Command, make_try: Maker
) -> None:
    make_try(unknown, status=200, provider_request_id="req_theirs_1")

    text = shown(client_of(support), commands_url, unknown).content.decode()

    assert 'data-copy="req_theirs_1"' in text


def test_a_try_that_repeats_the_same_bytes_says_so(
    client_of: Any, support: Any, commands_url: str, unknown: Command, make_try: Maker
) -> None:
    first = Attempt.objects.get(command=unknown)
    make_try(unknown, request_id=first.request_id, request_at=first.request_at)

    newest, oldest = shown(client_of(support), commands_url, unknown).context["tries"]

    assert '"amount": 1250' in newest.sent.body
    assert oldest.sent.body.startswith("(the same bytes as attempt 2, SHA-256 ")


def test_commands_in_one_request_show_their_own_part_and_how_many_travelled(
    client_of: Any, support: Any, commands_url: str, make_command: Maker, make_try: Maker
) -> None:
    one, two = make_command("op_1"), make_command("op_2")
    first = make_try(one, sent={"Items": [{"n": 1}, {"n": 2}]}, request_path="/Items/0", status=200)
    make_try(two, request_id=first.request_id, request_at=first.request_at, request_path="/Items/1", status=200)

    (shown_try,) = shown(client_of(support), commands_url, two).context["tries"]

    assert shown_try.sent.body == '{\n  "n": 2\n}'
    assert shown_try.together == 2


@pytest.mark.parametrize("role", ["support", "operations", "finance", "auditor", "engineer"])
def test_personal_data_is_taken_out_of_what_was_sent(
    request: pytest.FixtureRequest, client_of: Any, commands_url: str, unknown: Command, role: str
) -> None:
    answer = shown(client_of(request.getfixturevalue(role)), commands_url, unknown)

    assert PERSONAL not in answer.content.decode()
    assert answer.context["hidden"] == 1


@pytest.mark.parametrize(("role", "sees"), [("support", False), ("auditor", False), ("engineer", True)])
def test_content_masks_what_is_personal(
    request: pytest.FixtureRequest, client_of: Any, commands_url: str, make_command: Maker, role: str, sees: bool
) -> None:
    command = make_command(action="customer.update", resource="customer", content={"email": PERSONAL})

    answer = shown(client_of(request.getfixturevalue(role)), commands_url, command)

    assert (PERSONAL in answer.content.decode()) == sees


def test_content_is_shown_in_words_with_its_hash(
    client_of: Any, support: Any, commands_url: str, unknown: Command
) -> None:
    answer = shown(client_of(support), commands_url, unknown)

    assert dict(answer.context["content"]) == {"Payment": "pi_0001", "Amount": "€12.50", "Currency": "eur"}
    assert 'data-copy="' + "01" * 32 in answer.content.decode()


def test_a_form_is_shown_by_its_fields(
    client_of: Any, support: Any, commands_url: str, make_command: Maker, make_try: Maker
) -> None:
    command = make_command()
    make_try(
        command, sent=b"amount=1250&metadata%5Boperation_id%5D=op_1&receipt_email=ap%40halvorsen.example",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )  # fmt: skip

    (only,) = shown(client_of(support), commands_url, command).context["tries"]

    assert '"operation_id": "op_1"' in only.sent.body
    assert PERSONAL not in only.sent.body


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[" * 5000, b'{"a": "\\ud800"}', b"null", b"<html>hello</html>"])
def test_any_bytes_can_be_shown(
    client_of: Any, support: Any, commands_url: str, make_command: Maker, make_try: Maker, body: bytes
) -> None:
    command = make_command()
    make_try(command, sent=body, answer=body, status=200, path="/nowhere/5")

    assert shown(client_of(support), commands_url, command).status_code == 200


def test_an_address_hides_whom_it_looks_for(
    client_of: Any, support: Any, commands_url: str, make_command: Maker, make_try: Maker
) -> None:
    command = make_command()
    make_try(command, method="GET", url="https://api.stripe.example/v1/customers?email=ap%40halvorsen.example")

    text = shown(client_of(support), commands_url, command).content.decode()

    assert "halvorsen.example" not in text


def test_more_tries_than_are_shown_are_counted(
    client_of: Any,
    support: Any,
    commands_url: str,
    make_command: Maker,
    make_try: Maker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchanges, "MOST", 2)
    command = make_command()
    for _ in range(4):
        make_try(command)

    context = shown(client_of(support), commands_url, command).context

    assert [each.number for each in context["tries"]] == [4, 3]
    assert context["earlier"] == 2


def test_the_page_costs_few_queries(
    client_of: Any,
    support: Any,
    commands_url: str,
    unknown: Command,
    make_try: Maker,
    django_assert_max_num_queries: Callable[[int], CaptureQueriesContext],
) -> None:
    for _ in range(5):
        make_try(unknown, sent={"amount": 1}, answer={"id": "re_1"}, status=500)
    client = client_of(support)
    shown(client, commands_url, unknown)

    with django_assert_max_num_queries(13):
        shown(client, commands_url, unknown)


def test_what_a_worker_has_asks_for_its_progress(
    client_of: Any, support: Any, commands_url: str, make_command: Maker
) -> None:
    command = make_command(state=WorkState.LEASED, outcome=Outcome.SENT, sent_at=timezone.now())
    client = client_of(support)

    under_way = client.get(f"{commands_url}{command.pk}/progress/", headers={"HX-Request": "true"})
    Command.objects.filter(pk=command.pk).update(state=WorkState.DONE, outcome=Outcome.CONFIRMED)
    over = client.get(f"{commands_url}{command.pk}/progress/", headers={"HX-Request": "true"})

    assert "A worker has this command" in under_way.content.decode()
    assert over["HX-Refresh"] == "true"
