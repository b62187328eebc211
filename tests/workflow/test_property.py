"""Order does not matter: shuffled, duplicated and truncated histories end in the belief of the ordered one.

Histories are legal lives of customers, invoices, payments and refunds by a clock that ticks in seconds, several
steps within one second among them. What webhooks bring is any part of such a history, in any order, any number of
times; what they do not bring the catch-up over the event log does. The provider answers as things stand at the end,
or, where reads are slow, as they stood while it looked, with the time of the end of its answer.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import httpx
import pytest
from django.db import connection as database
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from integrations.models import Connection, Event, Failure, Record, Reference, Run, Stream
from integrations.workflow import process, runs
from tests.conftest import TESTER, customer_object
from tests.fake_provider import Provider, work_off
from tests.stripe_objects import invoice_object, payment_object, refund_object

pytestmark = pytest.mark.django_db(transaction=True)

START = 1_700_000_000
Told = tuple[str, dict[str, Any]]


@dataclass(repr=False)
class History:
    """What happened at the provider: its events in order, and how its objects stand."""

    now: int = START
    events: list[dict[str, Any]] = field(default_factory=list)
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: How the objects stood after each event.
    stood: list[dict[str, dict[str, Any]]] = field(default_factory=list)

    def __repr__(self) -> str:
        """Show it short, to whoever has to find out why it failed."""
        lines = (
            f"{n}: +{event['created'] - START} {event['type']} {event['data']['object'].get('id')}"
            for n, event in enumerate(self.events)
        )
        return "\n".join([f"a history until +{self.now - START}", *lines])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    def within_a_second_of(self, count: int) -> int:
        """Return how many events had happened a second after so many: as long as a read here takes at most."""
        return sum(event["created"] <= self.events[count - 1]["created"] + 1 for event in self.events)

    def tell(
        self,
        event_type: str,
        obj: dict[str, Any],
        *,
        shown: dict[str, Any] | None = None,
        left: dict[str, Any] | None = None,
    ) -> None:
        """Something happened to an object; the event carries it, or only points to it (`shown`).

        `left` is what a deletion leaves to read.
        """
        self.objects[obj["id"]] = left or obj
        self.stood.append(dict(self.objects))
        self.events.append(
            {
                "id": f"evt_{len(self.events):04}", "object": "event", "type": event_type, "created": self.now,
                "data": {"object": shown or carried(obj)},
            }
        )  # fmt: skip


def carried(obj: dict[str, Any]) -> dict[str, Any]:
    """Return an object as events carry it: a charge by its id, where a read expands it."""
    charge = obj.get("latest_charge")
    return obj | {"latest_charge": charge["id"]} if isinstance(charge, dict) else dict(obj)


STEPS: dict[str, dict[str, list[tuple[str, str]]]] = {
    "invoice": {
        "draft": [("invoice.finalized", "open"), ("invoice.deleted", "deleted")],
        "open": [
            ("invoice.paid", "paid"), ("invoice.voided", "void"), ("invoice.marked_uncollectible", "uncollectible"),
        ],
        "uncollectible": [("invoice.paid", "paid"), ("invoice.voided", "void")],
    },
    "payment": {
        "requires_payment_method": [
            ("payment_intent.requires_action", "requires_action"), ("payment_intent.processing", "processing"),
            ("payment_intent.succeeded", "succeeded"), ("payment_intent.canceled", "canceled"),
            ("payment_intent.payment_failed", "requires_payment_method"),
        ],
        "requires_action": [
            ("payment_intent.processing", "processing"), ("payment_intent.payment_failed", "requires_payment_method"),
            ("payment_intent.canceled", "canceled"),
        ],
        "processing": [
            ("payment_intent.succeeded", "succeeded"), ("payment_intent.payment_failed", "requires_payment_method"),
        ],
    },
    "refund": {
        "pending": [("refund.updated", "succeeded"), ("refund.failed", "failed"), ("refund.updated", "canceled")],
        "succeeded": [("refund.failed", "failed")],
    },
}  # fmt: skip


@st.composite
def histories(draw: Callable[..., Any]) -> History:
    """Draw the lives of two customers, and of what hangs on them."""
    history = History()
    for n in range(2):
        history.tell("customer.created", customer_object(f"cus_{n}", created=history.now))
    for _ in range(draw(st.integers(3, 14))):
        history.now += draw(st.sampled_from([0, 0, 0, 1, 60]))
        draw(st.sampled_from([rename, invoice, pay, refund]))(history, draw)
    history.now += draw(st.integers(0, 1))
    return history


def one_of(history: History, draw: Any, kind: str) -> dict[str, Any] | None:
    """Draw an object of a kind, or None for a new one."""
    found = [obj for obj in history.objects.values() if obj["object"] == kind]
    chosen: dict[str, Any] | None = draw(st.sampled_from([*found, None] if len(found) < 2 else found))
    return chosen


def rename(history: History, draw: Any) -> None:
    customer = one_of(history, draw, "customer")
    if customer is None or customer.get("deleted"):
        return
    if draw(st.integers(0, 9)) == 0:
        left = {"id": customer["id"], "object": "customer", "deleted": True}
        history.tell("customer.deleted", customer, left=left)
    else:
        history.tell("customer.updated", customer | {"name": draw(st.sampled_from("ABC"))})


def invoice(history: History, draw: Any) -> None:
    found = one_of(history, draw, "invoice")
    if found is None:
        new = f"in_{len(history.objects)}"
        obj = invoice_object(new, created=history.now, status="draft", customer=f"cus_{draw(st.integers(0, 1))}")
        history.tell("invoice.created", obj)
    elif found["status"] == "draft" and draw(st.booleans()):
        history.tell("invoice.updated", found | {"total": draw(st.integers(0, 9)) * 100})
    elif found["status"] in STEPS["invoice"]:
        event_type, status = draw(st.sampled_from(STEPS["invoice"][found["status"]]))
        if status == "deleted":
            history.tell(event_type, found, left={"id": found["id"], "object": "invoice", "status": "gone"})
        else:
            history.tell(event_type, found | {"status": status, "amount_paid": 25000 * (status == "paid")})


def pay(history: History, draw: Any) -> None:
    found = one_of(history, draw, "payment_intent")
    if found is None:
        obj = payment_object(
            f"pi_{len(history.objects)}", created=history.now, status="requires_payment_method", amount_received=0,
            latest_charge=None, customer=f"cus_{draw(st.integers(0, 1))}",
        )  # fmt: skip
        history.tell("payment_intent.created", obj)
    elif found["status"] in STEPS["payment"]:
        event_type, status = draw(st.sampled_from(STEPS["payment"][found["status"]]))
        failed = event_type == "payment_intent.payment_failed"
        moved = found | {"status": status, "last_payment_error": {"code": "card_declined"} if failed else None}
        if status == "succeeded" or failed:
            moved |= {"latest_charge": {"id": f"ch_{len(history.events)}", "amount_refunded": 0}}
        if status == "succeeded":
            moved |= {"amount_received": 25000}
        history.tell(event_type, moved)


def refund(history: History, draw: Any) -> None:
    found = one_of(history, draw, "refund")
    if found is not None and found["status"] in STEPS["refund"]:
        event_type, status = draw(st.sampled_from(STEPS["refund"][found["status"]]))
        history.tell(event_type, found | {"status": status})
        return
    paid = [o for o in history.objects.values() if o["object"] == "payment_intent" and o["status"] == "succeeded"]
    if found is None and paid:
        payment = draw(st.sampled_from(paid))
        charge = payment["latest_charge"] | {"amount_refunded": payment["latest_charge"]["amount_refunded"] + 300}
        made = refund_object(
            f"re_{len(history.objects)}", created=history.now, status="pending", payment_intent=payment["id"]
        )
        history.tell("refund.created", made)
        shown = charge | {"object": "charge", "payment_intent": payment["id"]}
        history.tell("charge.refunded", payment | {"latest_charge": charge}, shown=shown)


@dataclass(repr=False)
class World:
    """Our side and theirs, emptied for each example."""

    provider: Provider
    log: Stream

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text("the world")

    def begin(self, history: History) -> None:
        Event.objects.all().delete()
        with database.cursor() as cursor:
            cursor.execute(
                "TRUNCATE integrations_failure, integrations_problem, integrations_drift, integrations_transition,"
                " integrations_link, integrations_reference, integrations_event, integrations_record,"
                " integrations_attempt, integrations_run, integrations_payload, integrations_tally CASCADE"
            )
        Stream.objects.update(changed_since=None, first_sync_done_at=None)
        self.provider.answers.clear()
        self.live_until(history, len(history.events))
        self.provider.now = history.now

    def live_until(self, history: History, count: int) -> None:
        """Let the provider stand as it did after so many events."""
        self.provider.now = history.events[count - 1]["created"]
        self.provider.objects.clear()
        for obj in history.stood[count - 1].values():
            if obj.get("status") != "gone":
                self.provider.put(obj)
        self.provider.put(*history.events[:count])

    def deliver(self, make_event: Callable[..., Event], events: list[dict[str, Any]]) -> None:
        """Let webhooks bring some events."""
        for event in events:
            make_event(body=json.dumps(event).encode())

    def catch_up(self) -> None:
        self.ask(self.log)
        for _ in range(20):
            work_off()
            waiting = Event.objects.filter(state="waiting") | Event.objects.filter(state="ready")
            if not waiting.exists():
                return
            Run.objects.filter(state="ready").update(due_at=Event.objects.values_list("received_at", flat=True)[0])
            waiting.update(due_at=Event.objects.values_list("received_at", flat=True)[0])
            self.provider.now += 1

    def ask(self, stream: Stream) -> None:
        """Have a stream read."""
        runs.ask(Stream.objects.select_related("connection").get(pk=stream.pk), actor=TESTER)

    @property
    def belief(self) -> dict[str, Any]:
        """What is believed in the end, by external id."""
        names = {r.record_id: r.external_id for r in Reference.objects.all()}
        rows = Record.objects.values_list("pk", "kind", "state", "data", "customer_id", "label", "amount")
        return {
            names[pk]: (kind, state, data, names.get(customer), label, amount)
            for pk, kind, state, data, customer, label, amount in rows
        }

    @property
    def left(self) -> list[Any]:
        """What did not come to its end."""
        return [
            *Event.objects.exclude(state="done").values_list("event_type", "state", "decision_reason"),
            *Run.objects.exclude(state="done").values_list("targets", "state"),
            *Failure.objects.filter(resolved_at=None).values_list("code", "message"),
        ]


@pytest.fixture
def world(connection: Connection, provider: Provider) -> World:
    return World(provider, Stream.objects.get(connection=connection, change_log=True))


examples = settings(
    max_examples=40,
    deadline=None,
    # Shrinking a history of hundreds of statements takes minutes; the failing one is printed as it is.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@examples
@given(history=histories(), data=st.data())
def test_every_order_ends_in_the_belief_of_the_ordered_one(
    world: World, make_event: Callable[..., Event], history: History, data: st.DataObject
) -> None:
    world.begin(history)
    world.deliver(make_event, history.events)
    world.catch_up()
    assert world.left == []
    ordered = world.belief

    world.begin(history)
    places = data.draw(st.lists(st.integers(0, len(history.events) - 1), max_size=2 * len(history.events)))
    cut = data.draw(st.integers(0, len(places)))
    world.deliver(make_event, [history.events[place] for place in dict.fromkeys(places[:cut])])
    work_off()
    world.deliver(make_event, [history.events[n] for n in dict.fromkeys(places[cut:]) if n not in places[:cut]])
    world.catch_up()

    assert world.left == []
    assert world.belief == ordered


@examples
@given(history=histories(), data=st.data())
def test_a_slow_read_ends_in_the_belief_of_a_fast_one(
    world: World, make_event: Callable[..., Event], history: History, data: st.DataObject
) -> None:
    """While the provider answers, more happens there, and some of it is here and settled before the answer is."""
    world.begin(history)
    world.deliver(make_event, history.events)
    world.catch_up()
    assert world.left == []
    ordered = world.belief

    world.begin(history)
    looked = data.draw(st.integers(1, len(history.events) - 1), "it looks after so many events")
    answered = data.draw(st.integers(looked, history.within_a_second_of(looked)), "and answers after so many")
    heard = data.draw(st.sets(st.integers(0, looked - 1)), "heard before it was asked")
    meanwhile = data.draw(st.sets(st.integers(0, answered - 1)), "heard while it answers")
    settled = data.draw(st.booleans(), "and settled")
    ticks = data.draw(st.integers(0, 1), "seconds that its clock goes on before it answers")
    world.live_until(history, looked)
    world.deliver(make_event, [history.events[n] for n in heard])
    for stream in Stream.objects.filter(change_log=False):
        world.ask(stream)

    def slowly(request: httpx.Request) -> httpx.Response:
        seen = world.provider.truth(request)
        world.live_until(history, answered)
        world.deliver(make_event, [history.events[n] for n in meanwhile - heard])
        if settled:
            process.process_batch()
        seen.headers["date"] = formatdate(world.provider.now + ticks, usegmt=True)
        return seen

    answers = data.draw(st.integers(0, 3), "so many reads are fast")
    world.provider.answers = [*[world.provider.truth] * answers, slowly]
    work_off()
    world.live_until(history, len(history.events))
    world.deliver(make_event, [e for n, e in enumerate(history.events) if n not in heard | meanwhile])
    world.provider.now = history.now
    world.catch_up()

    assert world.left == []
    assert world.belief == ordered
