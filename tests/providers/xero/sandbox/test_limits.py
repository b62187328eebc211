"""Limits: per minute, per day, at once, and for the app."""

import threading
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from integrations.providers.xero.sandbox.harness import Sandbox, run_sandbox
from tests.providers.xero.sandbox.conftest import Api, MakeApi


def ask(api: Api, times: int) -> list[httpx.Response]:
    return [api.ask("GET", "Organisation") for _ in range(times)]


def test_the_sixty_first_request_of_a_minute_is_refused(api: Api, sandbox: Sandbox) -> None:
    sandbox.set_limits(enforced=True)

    *allowed, refused = ask(api, 61)

    assert {answer.status_code for answer in allowed} == {200}
    assert allowed[0].headers["X-MinLimit-Remaining"] == "59"
    assert allowed[-1].headers["X-MinLimit-Remaining"] == "0"
    assert (refused.status_code, refused.headers["X-Rate-Limit-Problem"]) == (429, "minute")
    assert 50 <= int(refused.headers["Retry-After"]) <= 60
    assert sandbox.effects()["throttled"] == {"total": 1, "minute": 1}


def test_the_window_slides(api: Api, sandbox: Sandbox) -> None:
    sandbox.set_limits(enforced=True, minute=2)
    ask(api, 1)
    sandbox.set_clock(advance=40)
    ask(api, 1)

    refused = ask(api, 1)[0]
    sandbox.set_clock(advance=int(refused.headers["Retry-After"]))
    first, second = ask(api, 2)

    assert 15 <= int(refused.headers["Retry-After"]) <= 20
    assert (first.status_code, second.status_code) == (200, 429)


def test_a_day_has_its_own_limit(api: Api, sandbox: Sandbox, clients: MakeApi) -> None:
    sandbox.set_limits(enforced=True, day=3)

    *_, refused = ask(api, 4)

    assert (refused.status_code, refused.headers["X-Rate-Limit-Problem"]) == (429, "day")
    assert refused.headers["X-DayLimit-Remaining"] == "0"
    assert int(refused.headers["Retry-After"]) > 86_000
    sandbox.set_clock(advance=86_400)
    assert ask(clients(sandbox), 1)[0].status_code == 200


def test_the_app_has_a_limit_over_all_tenants(api: Api, sandbox: Sandbox, clients: MakeApi) -> None:
    other = sandbox.control("POST", "tenants", {"name": "Contoso Books"})
    sandbox.set_limits(enforced=True, app_minute=3)

    ask(api, 2)
    first, second = ask(clients(sandbox, other["id"]), 2)

    assert first.headers["X-AppMinLimit-Remaining"] == "0"
    assert (second.status_code, second.headers["X-Rate-Limit-Problem"]) == (429, "appminute")


def test_tenants_do_not_share_the_limits_of_a_minute(api: Api, sandbox: Sandbox, clients: MakeApi) -> None:
    other = sandbox.control("POST", "tenants", {"name": "Contoso Books"})
    sandbox.set_limits(enforced=True, minute=1)

    assert ask(api, 1)[0].status_code == 200
    assert ask(clients(sandbox, other["id"]), 1)[0].status_code == 200


def test_a_sixth_request_at_once_is_refused(api: Api, sandbox: Sandbox, clients: MakeApi) -> None:
    sandbox.set_limits(enforced=True)
    sandbox.set_faults({"kind": "delay", "seconds": 3})
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(target=lambda one=one: answers.append(one.ask("GET", "Organisation")))
        for one in [clients(sandbox) for _ in range(8)]
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Counter(answer.status_code for answer in answers) == {200: 5, 429: 3}
    assert {answer.headers.get("X-Rate-Limit-Problem", "") for answer in answers} == {"", "concurrent"}


def test_what_was_refused_has_no_effect_and_does_not_count(api: Api, sandbox: Sandbox) -> None:
    sandbox.set_limits(enforced=True, minute=1)
    api.contact("First")

    refused = [api.ask("PUT", "Contacts", {"Name": "Second"}) for _ in range(3)]

    assert {answer.status_code for answer in refused} == {429}
    sandbox.set_clock(advance=60)
    assert [one["Name"] for one in api.get("Contacts")["Contacts"]] == ["First"]


def test_limits_can_be_lifted(api: Api, sandbox: Sandbox) -> None:
    sandbox.set_limits(enforced=False, minute=1, day=1, concurrent=0, app_minute=1)

    assert {answer.status_code for answer in ask(api, 5)} == {200}


@pytest.fixture
def fast() -> Iterator[Sandbox]:
    with run_sandbox() as sandbox:
        sandbox.set_clock(scale=100)
        yield sandbox


def test_a_scaled_clock_lets_a_minute_pass_in_a_moment(fast: Sandbox, clients: MakeApi) -> None:
    api = clients(fast)
    fast.set_limits(minute=3)
    assert ask(api, 4)[-1].status_code == 429

    deadline = time.monotonic() + 5
    while ask(api, 1)[0].status_code == 429 and time.monotonic() < deadline:
        pass

    assert time.monotonic() < deadline
