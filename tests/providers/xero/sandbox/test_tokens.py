"""Who may ask: tokens, clients, tenants."""

import urllib.error

import httpx
import pytest

from integrations.providers.xero.sandbox.harness import Sandbox
from tests.providers.xero.sandbox.conftest import Api


def refused(sandbox: Sandbox, token: str) -> str:
    with pytest.raises(urllib.error.HTTPError) as caught:
        sandbox.refresh(token)
    assert caught.value.code == 400
    return caught.value.read().decode()


def test_a_refresh_token_gives_a_new_pair_that_opens_the_api(sandbox: Sandbox, api: Api) -> None:
    found = sandbox.refresh(api.refresh)

    api.http.headers["Authorization"] = f"Bearer {found['access_token']}"
    assert api.get("Organisation")["Organisations"][0]["Name"] == "Northwind Books"
    assert found["expires_in"] == 1800
    assert found["refresh_token"] != api.refresh


def test_a_refresh_token_gives_the_very_same_pair_for_half_an_hour(sandbox: Sandbox, api: Api) -> None:
    first = sandbox.refresh(api.refresh)

    sandbox.set_clock(advance=1790)
    again = sandbox.refresh(api.refresh)

    assert again == first
    counts = sandbox.effects()
    assert (counts["refreshes"], counts["refreshes_repeated"]) == (1, 1)


def test_a_refresh_token_is_used_up_after_half_an_hour(sandbox: Sandbox, api: Api) -> None:
    sandbox.refresh(api.refresh)

    sandbox.set_clock(advance=1801)

    assert refused(sandbox, api.refresh) == '{"error":"invalid_grant"}'


@pytest.mark.parametrize("token", ["", "unknown"])
def test_an_unknown_refresh_token_gives_nothing(sandbox: Sandbox, token: str) -> None:
    assert refused(sandbox, token) == '{"error":"invalid_grant"}'
    assert sandbox.effects()["refreshes"] == 0


def test_a_refresh_token_that_lay_for_sixty_days_is_over(sandbox: Sandbox, api: Api) -> None:
    sandbox.set_clock(advance=60 * 86_400)

    assert refused(sandbox, api.refresh) == '{"error":"invalid_grant"}'


def test_a_lost_answer_of_the_token_endpoint_costs_nothing(sandbox: Sandbox, api: Api) -> None:
    sandbox.set_faults({"kind": "cut_after", "on": "POST /connect/token", "times": 1})
    with pytest.raises(OSError, match=r"closed|reset"):
        sandbox.refresh(api.refresh)

    found = sandbox.refresh(api.refresh)

    api.http.headers["Authorization"] = f"Bearer {found['access_token']}"
    api.get("Organisation")
    assert sandbox.effects()["refreshes"] == 1


def test_the_client_must_be_the_right_one(sandbox: Sandbox, api: Api) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": api.refresh}

    answer = httpx.post(f"{sandbox.url}/connect/token", data=form, auth=(sandbox.client_id, "wrong"))

    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_client"})


def test_only_refresh_tokens_are_exchanged(sandbox: Sandbox, api: Api) -> None:
    form = {"grant_type": "password", "refresh_token": api.refresh}

    answer = httpx.post(f"{sandbox.url}/connect/token", data=form, auth=(sandbox.client_id, sandbox.client_secret))

    assert (answer.status_code, answer.json()) == (400, {"error": "unsupported_grant_type"})


def test_an_access_token_lives_half_an_hour(sandbox: Sandbox, api: Api) -> None:
    sandbox.set_clock(advance=1790)
    api.get("Organisation")

    sandbox.set_clock(advance=11)
    answer = api.ask("GET", "Organisation")

    assert answer.status_code == 401
    assert answer.json()["Detail"].startswith("TokenExpired")


def test_tokens_can_be_made_to_expire(sandbox: Sandbox, api: Api) -> None:
    sandbox.expire_tokens()

    assert api.ask("GET", "Organisation").status_code == 401
    sandbox.refresh(api.refresh)
    sandbox.expire_tokens(refresh=True)
    assert refused(sandbox, api.refresh) == '{"error":"invalid_grant"}'


@pytest.mark.parametrize("header", ["", "Bearer wrong", "Basic wrong"])
def test_without_a_valid_token_nobody_may_ask(api: Api, header: str) -> None:
    api.http.headers["Authorization"] = header

    answer = api.ask("GET", "Contacts")

    assert (answer.status_code, answer.json()["Detail"]) == (401, "AuthenticationUnsuccessful")


@pytest.mark.parametrize("tenant", ["", "7e3a1c5e-0000-4000-8000-000000000000"])
def test_without_a_tenant_of_ours_nothing_is_shown(api: Api, tenant: str) -> None:
    api.http.headers["Xero-Tenant-Id"] = tenant

    answer = api.ask("GET", "Contacts")

    assert (answer.status_code, answer.json()["Title"]) == (403, "Forbidden")


def test_connections_lists_the_tenants_of_the_token(sandbox: Sandbox, api: Api) -> None:
    answer = httpx.get(f"{sandbox.url}/connections", headers={"Authorization": f"Bearer {api.access}"})

    connection = answer.json()[0]
    assert connection["tenantId"] == sandbox.tenant_id
    assert connection["tenantType"] == "ORGANISATION"
    assert connection["tenantName"] == "Northwind Books"
