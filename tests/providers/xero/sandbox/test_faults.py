"""Faults: the provider acts or does not, whatever its caller hears."""

import socket

import httpx
import pytest

from integrations.providers.xero.sandbox.harness import Sandbox
from tests.providers.xero.sandbox.conftest import Api


def names(api: Api) -> list[str]:
    return [contact["Name"] for contact in api.get("Contacts")["Contacts"]]


def put(api: Api) -> httpx.Response:
    return api.http.put("Contacts", json={"Name": "Halvorsen Marine"}, headers={"Idempotency-Key": "key-1"})


def test_a_connection_that_is_cut_before_has_no_effect(api: Api, sandbox: Sandbox) -> None:
    sandbox.set_faults({"kind": "cut", "on": "PUT *", "times": 1})

    with pytest.raises(httpx.TransportError):
        put(api)

    assert names(api) == []
    assert sandbox.struck() == [1]


def test_a_connection_that_is_cut_after_hides_an_effect(api: Api, sandbox: Sandbox) -> None:
    sandbox.set_faults({"kind": "cut_after", "on": "PUT *", "times": 1})

    with pytest.raises(httpx.TransportError):
        put(api)

    assert names(api) == ["Halvorsen Marine"]
    assert put(api).status_code == 200
    assert sandbox.effects()["by_key"] == {"key-1": {"created": 1, "changed": 0}}


@pytest.mark.parametrize("kind, found", [("timeout", []), ("timeout_after", ["Halvorsen Marine"])])
def test_a_caller_that_waits_in_vain_does_not_know_whether_it_was_done(
    api: Api, sandbox: Sandbox, kind: str, found: list[str]
) -> None:
    sandbox.set_faults({"kind": kind, "on": "PUT *", "seconds": 30})
    api.http.timeout = httpx.Timeout(0.3)

    with pytest.raises(httpx.ReadTimeout):
        put(api)

    assert names(api) == found


@pytest.mark.parametrize("kind, found", [("error", []), ("error_after", ["Halvorsen Marine"])])
def test_an_error_comes_instead_of_the_effect_or_after_it(
    api: Api, sandbox: Sandbox, kind: str, found: list[str]
) -> None:
    sandbox.set_faults({"kind": kind, "on": "PUT *", "status": 503, "retry_after": 7})

    answer = put(api)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    assert names(api) == found


def test_an_error_may_have_any_status_and_body(api: Api, sandbox: Sandbox) -> None:
    sandbox.set_faults({"kind": "error", "status": 409, "body": '{"Message": "busy"}'})

    answer = put(api)

    assert (answer.status_code, answer.json()) == (409, {"Message": "busy"})


def test_a_limit_can_be_pretended(api: Api, sandbox: Sandbox) -> None:
    sandbox.set_faults({"kind": "rate_limit", "problem": "day", "retry_after": 90, "times": 1})

    answer = put(api)

    assert (answer.status_code, answer.headers["X-Rate-Limit-Problem"]) == (429, "day")
    assert answer.headers["Retry-After"] == "90"
    assert sandbox.effects()["throttled"] == {"total": 1, "fault": 1}


def test_a_token_can_be_refused_once(api: Api, sandbox: Sandbox) -> None:
    sandbox.set_faults({"kind": "unauthorized", "times": 1})

    assert put(api).status_code == 401
    assert put(api).status_code == 200


def test_a_malformed_answer_hides_an_effect(api: Api, sandbox: Sandbox) -> None:
    sandbox.set_faults({"kind": "malformed", "on": "PUT *", "times": 1})

    answer = put(api)

    assert answer.status_code == 200
    with pytest.raises(ValueError):
        answer.json()
    assert names(api) == ["Halvorsen Marine"]


def test_a_late_answer_is_right(api: Api, sandbox: Sandbox) -> None:
    sandbox.set_faults({"kind": "delay", "seconds": 0.3, "times": 1})

    answer = put(api)

    assert answer.status_code == 200
    assert answer.elapsed.total_seconds() >= 0.3


def test_a_rule_spares_the_first_and_strikes_some(api: Api, sandbox: Sandbox) -> None:
    sandbox.set_faults({"kind": "error", "skip": 2, "times": 1})

    assert [api.ask("GET", "Contacts").status_code for _ in range(4)] == [200, 200, 503, 200]


def test_the_same_seed_brings_the_same_weather(api: Api, sandbox: Sandbox) -> None:
    def days(seed: int) -> list[int]:
        sandbox.set_faults({"kind": "error", "probability": 0.5}, seed=seed)
        return [api.ask("GET", "Organisation").status_code for _ in range(20)]

    first = days(1)

    assert days(1) == first
    assert days(2) != first
    assert set(first) == {200, 503}


def test_one_rule_more_keeps_the_counts_of_the_others(api: Api, sandbox: Sandbox) -> None:
    sandbox.set_faults({"kind": "error", "on": "PUT *", "times": 1})
    put(api)

    rules = sandbox.control("POST", "faults", {"kind": "cut", "on": "DELETE *"})["rules"]

    assert [rule["struck"] for rule in rules] == [1, 0]
    assert sandbox.control("DELETE", "faults")["rules"] == []


@pytest.mark.parametrize("rule", [{"kind": "storm"}, {"kind": "cut", "often": 1}, {"kind": "cut", "probability": 2}])
def test_a_rule_that_is_none_is_refused(sandbox: Sandbox, rule: dict[str, object]) -> None:
    with pytest.raises(RuntimeError, match="validation error"):
        sandbox.control("POST", "faults", rule)


def test_a_request_that_never_arrives_whole_has_no_effect(api: Api, sandbox: Sandbox) -> None:
    head = f"PUT /api.xro/2.0/Contacts HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Bearer {api.access}\r\n"
    half = f'{head}Xero-Tenant-Id: {sandbox.tenant_id}\r\nContent-Length: 99\r\n\r\n{{"Name": "Halv'

    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2]))) as line:
        line.sendall(half.encode())

    while not sandbox.control("GET", "log"):
        continue
    assert sandbox.control("GET", "log")[-1]["status"] == 0
    assert names(api) == []
