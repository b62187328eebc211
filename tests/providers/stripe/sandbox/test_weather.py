"""Every fault strikes as its rule says, and nothing else does."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import stripe
from pydantic import ValidationError

from integrations.providers.stripe import signature
from integrations.providers.stripe.sandbox.faults import Faults, Rule, Weather
from integrations.providers.stripe.sandbox.harness import Sandbox

from .conftest import Delivered, Receiver
from .sales import draft, paid, sign_up


def verified(delivered: Delivered, secret: str = "whsec_one") -> stripe.Event:
    event: stripe.Event = stripe.Webhook.construct_event(delivered.body, delivered.signature, secret)
    return event


def get(sandbox: Sandbox, path: str, timeout: float = 5) -> httpx.Response:
    key = sandbox.key("northwind")
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.get(sandbox.url + path, headers=headers, timeout=timeout, trust_env=False)


# -- the rules


def test_the_same_seed_strikes_the_same_requests() -> None:
    rule = {"channel": "api", "kind": "server_error", "probability": 0.3}
    faults = Faults.model_validate({"seed": 3, "rules": [rule]})

    runs = [
        [bool(weather.strike_api("a", "GET", "/v1/x")) for _ in range(50)]
        for weather in (Weather(faults), Weather(faults))
    ]

    assert runs[0] == runs[1]
    assert 5 < sum(runs[0]) < 25


def test_a_rule_skips_counts_and_keeps_to_its_seconds() -> None:
    now = [100.0]
    rule = Rule(channel="api", kind="cut", on="GET /v1/*", skip=1, times=2, from_second=10)  # type: ignore[arg-type]
    weather = Weather(Faults(rules=[rule]), lambda: now[0])

    early = weather.strike_api("a", "GET", "/v1/x")
    now[0] = 111.0
    struck = [bool(weather.strike_api("a", "GET", "/v1/x")) for _ in range(4)]

    assert early is None
    assert struck == [False, True, True, False]


def test_a_fault_of_the_other_channel_is_refused() -> None:
    with pytest.raises(ValidationError):
        Rule.model_validate({"channel": "api", "kind": "drop"})


# -- the API


@pytest.mark.parametrize(
    ("kind", "status"),
    [("rate_limit", 429), ("server_error", 500), ("unauthorized", 401), ("forbidden", 403)],
)
def test_a_refusing_provider_recovers(sandbox: Sandbox, kind: str, status: int) -> None:
    sandbox.set_faults({"channel": "api", "kind": kind, "on": "GET /v1/invoices", "times": 1, "retry_after": 7})

    calm = get(sandbox, "/v1/customers")
    struck = get(sandbox, "/v1/invoices")
    after = get(sandbox, "/v1/invoices")

    assert (calm.status_code, struck.status_code, after.status_code) == (200, status, 200)
    assert struck.headers.get("retry-after") == ("7" if status == 429 else None)
    assert "error" in struck.json()


@pytest.mark.parametrize("kind", ["timeout", "timeout_after", "cut", "cut_after"])
def test_a_silent_provider_gives_no_answer(sandbox: Sandbox, kind: str) -> None:
    sandbox.set_faults({"channel": "api", "kind": kind, "times": 1})

    with pytest.raises(httpx.TransportError) as caught:
        get(sandbox, "/v1/invoices", timeout=0.3)

    assert isinstance(caught.value, httpx.TimeoutException) == ("timeout" in kind)
    assert get(sandbox, "/v1/invoices").status_code == 200


def test_what_was_done_before_the_line_broke_is_found_by_its_key(sandbox: Sandbox) -> None:
    sandbox.set_faults({"channel": "api", "kind": "cut_after", "on": "POST *", "times": 1})
    client = sandbox.client("northwind", calm=False)

    with pytest.raises(stripe.APIConnectionError):
        client.v1.customers.create({"name": "Once"}, {"idempotency_key": "k-cut"})
    again = client.v1.customers.create({"name": "Once"}, {"idempotency_key": "k-cut"})

    assert [one.id for one in client.v1.customers.list().data] == [again.id]


@pytest.mark.parametrize(
    ("rule", "field", "value"),
    [
        ({"kind": "incomplete"}, "customer", None),
        ({"kind": "wrong_type"}, "amount_due", "240.00"),
        ({"kind": "unknown_status"}, "status", "under_review"),
        ({"kind": "changed", "set": {"lines.data.0.amount": -1}}, "total", 24_000),
    ],
)
def test_a_body_is_wrong_in_one_place(sandbox: Sandbox, rule: dict[str, Any], field: str, value: object) -> None:
    client = sandbox.client("northwind")
    invoice = draft(client, sign_up(client).id)
    sandbox.set_faults({"channel": "api", "on": "GET /v1/invoices/*", "times": 1, **rule})

    struck = get(sandbox, f"/v1/invoices/{invoice.id}").json()
    after = get(sandbox, f"/v1/invoices/{invoice.id}").json()

    assert struck.get(field) == value
    assert struck != after


@pytest.mark.parametrize(("kind", "error"), [("malformed", json.JSONDecodeError), ("not_utf8", UnicodeDecodeError)])
def test_a_body_cannot_be_read(sandbox: Sandbox, kind: str, error: type[Exception]) -> None:
    sandbox.client("northwind").v1.customers.create({"name": "Somebody"})
    sandbox.set_faults({"channel": "api", "kind": kind, "times": 1})

    with pytest.raises(error):
        json.loads(get(sandbox, "/v1/customers").content.decode())


# -- webhooks


def test_a_webhook_is_signed_with_every_secret(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.sign_with("northwind", "whsec_old", "whsec_new")

    customer = sandbox.client("northwind").v1.customers.create({"name": "Somebody"})

    delivered = receiver.next()
    for secret in ("whsec_old", "whsec_new"):
        assert verified(delivered, secret).data.object["id"] == customer.id
    with pytest.raises(stripe.SignatureVerificationError):
        verified(delivered, "whsec_one")


def test_a_refused_webhook_comes_again(sandbox: Sandbox, receiver: Receiver) -> None:
    receiver.answers += [500, 503]

    sandbox.client("northwind").v1.customers.create({"name": "Somebody"})

    ids = {verified(receiver.next()).id for _ in range(3)}
    sandbox.settle()
    assert len(ids) == 1
    assert receiver.all() == []
    steps = [entry["step"] for entry in sandbox.log(channel="webhook", account="northwind", limit="3")]
    assert steps == ["refused", "refused", "sent"]


def test_without_weather_webhooks_come_once_and_in_order(sandbox: Sandbox, receiver: Receiver) -> None:
    client = sandbox.client("northwind")

    paid(client, sign_up(client).id)

    sandbox.settle()
    arrived = [verified(one).id for one in receiver.all()]
    assert arrived == [event.id for event in client.v1.events.list({"limit": 50}).data][::-1]


def test_a_duplicate_is_the_same_event(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.set_faults({"channel": "webhook", "kind": "duplicate", "times": 1, "seconds": 0})

    sandbox.client("northwind").v1.customers.create({"name": "Somebody"})

    assert receiver.next().body == receiver.next().body


def test_a_dropped_webhook_is_in_the_event_log_and_can_be_sent(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.set_faults({"channel": "webhook", "kind": "drop"})
    client = sandbox.client("northwind")
    client.v1.customers.create({"name": "Somebody"})
    sandbox.settle()
    assert receiver.all() == []

    event = client.v1.events.list().data[0]
    sandbox.redeliver(event.id)

    assert verified(receiver.next()).id == event.id


def test_an_early_event_waits_for_a_later_one(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.set_faults({"channel": "webhook", "kind": "out_of_order", "times": 1, "seconds": 20})
    client = sandbox.client("northwind")
    customer = client.v1.customers.create({"name": "Before"})

    # a later second, for events of one second have no order
    while int(time.time()) <= customer.created:
        time.sleep(0.02)
    client.v1.customers.update(customer.id, {"name": "After"})

    arrived = [verified(receiver.next()) for _ in range(2)]
    assert [event.type for event in arrived] == ["customer.updated", "customer.created"]
    assert arrived[0].created > arrived[1].created


@pytest.mark.parametrize("kind", ["malformed", "not_utf8", "wrong_type", "unknown_type", "huge"])
def test_a_spoiled_webhook_is_signed_and_the_log_keeps_the_good_one(
    sandbox: Sandbox, receiver: Receiver, kind: str
) -> None:
    sandbox.set_faults({"channel": "webhook", "kind": kind, "times": 1})
    client = sandbox.client("northwind")

    customer = client.v1.customers.create({"name": "Somebody"})

    spoiled = receiver.next()
    headers = {"stripe-signature": spoiled.signature}
    assert signature.verify(spoiled.body, headers, ["whsec_one"], datetime.now(UTC)) == 0
    event = client.v1.events.list().data[0]
    assert event.data.object["id"] == customer.id
    sandbox.redeliver(event.id)
    good = receiver.next()
    assert verified(good).data.object["name"] == "Somebody"
    assert good.body != spoiled.body


@pytest.mark.parametrize("kind", ["bad_signature", "old_signature"])
def test_a_badly_signed_webhook_is_signed_well_the_next_time(sandbox: Sandbox, receiver: Receiver, kind: str) -> None:
    sandbox.set_faults({"channel": "webhook", "kind": kind, "times": 1})
    receiver.answers += [401]

    sandbox.client("northwind").v1.customers.create({"name": "Somebody"})

    with pytest.raises(stripe.SignatureVerificationError):
        verified(receiver.next())
    assert verified(receiver.next()).type == "customer.created"
