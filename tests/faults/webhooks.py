"""A thousand webhooks of a few records: shuffled, some delivered twice, some that nobody can read; and what is true."""

import contextlib
import json
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import httpx

from tests.conftest import customer_object, signed, webhook_body
from tests.processes import wait_until

SENDERS = 4
LONG_AGO = 1_700_000_000
INVOICE_STATES = ("draft", "open", "open", "paid")


@dataclass
class Plan:
    """What is sent, in this order, and what must come of it."""

    bodies: list[bytes] = field(default_factory=list)
    #: How often each event is delivered, by its id.
    deliveries: Counter[str] = field(default_factory=Counter)
    #: Events that can only be parked, and the category of each.
    poison: dict[str, str] = field(default_factory=dict)
    #: The last readable state of each record: (state, fields, provider's time).
    truth: dict[str, tuple[str, dict[str, Any], int]] = field(default_factory=dict)


def plan(rng: random.Random, *, customers: int = 20, invoices: int = 30, each: int = 18) -> Plan:
    """Return the plan for these many records with `each` events: about a thousand deliveries."""
    made = Plan()
    for number in range(customers):
        _tell_customer(made, rng, f"cus_{number:04}", each)
    for number in range(invoices):
        _tell_invoice(made, rng, f"in_{number:04}", f"cus_{number % customers:04}", each)
    _add_unreadable(made)
    made.bodies += rng.sample(made.bodies, len(made.bodies) // 9)
    rng.shuffle(made.bodies)
    for body in made.bodies:
        made.deliveries[identity(body)] += 1
    return made


def identity(body: bytes) -> str:
    """Return the identity under which an event is kept: its id, or the hash of bytes that hold none."""
    try:
        return str(json.loads(body)["id"])
    except ValueError:
        return f"sha256:{sha256(body).hexdigest()}"


def _tell_customer(made: Plan, rng: random.Random, external_id: str, each: int) -> None:
    for step in range(each):
        name = f"Name {step} of {external_id}"
        obj = customer_object(external_id, name=name, email=f"{step}@{external_id}.example")
        event_id = _send(made, "customer.created" if step == 0 else "customer.updated", obj, step)
        if step and rng.random() < 0.02:
            made.bodies[-1] = made.bodies[-1].replace(b'"name": "', b'"name": 7, "nom": "')
            made.poison[event_id] = "mapping failure"
        else:
            fields = {"name": name, "email": f"{step}@{external_id}.example"}
            made.truth[external_id] = ("active", fields, LONG_AGO + step)


def _tell_invoice(made: Plan, rng: random.Random, external_id: str, customer: str, each: int) -> None:
    for step in range(each):
        state = INVOICE_STATES[step * len(INVOICE_STATES) // each]
        obj = invoice_object(external_id, customer, status=state, total=1000 + step)
        poisoned = step > 0 and rng.random() < 0.02
        event_id = _send(made, "invoice.updated", obj | ({"status": "in_review"} if poisoned else {}), step)
        if poisoned:
            made.poison[event_id] = "mapping failure"
        else:
            made.truth[external_id] = (state, {"total": 1000 + step, "number": f"N-{external_id}"}, LONG_AGO + step)


def _send(made: Plan, event_type: str, obj: dict[str, Any], step: int) -> str:
    event_id = f"evt_{obj['id']}_{step:03}"
    made.bodies.append(webhook_body(event_type, obj, event_id=event_id, created=LONG_AGO + step))
    return event_id


def _add_unreadable(made: Plan) -> None:
    """Bodies with a good signature that say nothing: an unknown type, and JSON that ends too early."""
    for number in range(4):
        event_id = f"evt_unknown_{number}"
        made.bodies.append(webhook_body("moon.eclipsed", {"id": "moon_1"}, event_id=event_id, created=LONG_AGO))
        made.bodies.append(f'{{"id": "evt_broken_{number}", "object": "ev'.encode())
        made.poison |= {event_id: "contract mismatch", identity(made.bodies[-1]): "contract mismatch"}


def invoice_object(external_id: str, customer: str, *, status: str, total: int) -> dict[str, Any]:
    """Return an invoice in Stripe's shape."""
    return {
        "id": external_id, "object": "invoice", "created": LONG_AGO, "number": f"N-{external_id}", "status": status,
        "customer": customer, "currency": "eur", "subtotal": total, "total": total, "total_taxes": None,
        "amount_due": total, "amount_paid": total if status == "paid" else 0, "due_date": None,
        "status_transitions": {"finalized_at": None, "paid_at": None}, "livemode": False,
    }  # fmt: skip


def send_all(url: str, bodies: list[bytes]) -> list[int]:
    """Deliver webhooks from several senders at once, each until it is taken; return how many attempts each took."""
    with httpx.Client(timeout=30) as client, ThreadPoolExecutor(SENDERS) as pool:
        return list(pool.map(lambda body: deliver(client, url, body), bodies))


def deliver(client: httpx.Client, url: str, body: bytes) -> int:
    """Deliver one webhook as a provider does: again, while the answer is missing or not a success."""
    attempts = 0

    def try_once() -> bool:
        nonlocal attempts
        attempts += 1
        with contextlib.suppress(httpx.TransportError):
            return client.post(url, content=body, headers=signed(body)).status_code == 200
        return False

    wait_until("the webhook is taken", try_once, 60, every=0.2)
    return attempts
