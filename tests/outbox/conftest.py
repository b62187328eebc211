"""A receiver on this machine, subscriptions to it, and transitions that are told."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.configuration import subscriptions
from integrations.models import Cause, Connection, Delivery, Record, Subscription, Tenant
from integrations.workflow import messages, outbox
from integrations.workflow.belief import transition
from tests import receiver as receivers
from tests.conftest import TESTER


@pytest.fixture(autouse=True)
def near(settings: Any) -> None:
    """Receivers of tests are on this machine, and have a second to answer."""
    settings.OUTBOX_ALLOW_PRIVATE = True
    settings.OUTBOX_TIMEOUT = 1.0


@pytest.fixture
def receiver() -> Iterator[receivers.Receiver]:
    with receivers.running() as made:
        yield made


@dataclass
class Subscribed:
    """A subscription with the secret that its receiver was given."""

    row: Subscription
    secret: str


@pytest.fixture
def subscribe(connection: Connection, receiver: receivers.Receiver) -> Callable[..., Subscribed]:
    """Return a factory of subscriptions to the receiver, for everything if nothing else is said."""

    def make(
        name: str = "Warehouse",
        *,
        topics: tuple[str, ...] = ("*",),
        url: str = "",
        tenant: Tenant | None = None,
        **fields: Any,
    ) -> Subscribed:
        given: dict[str, Any] = {"environment": "test", "name": name, "url": url or receiver.url, "topics": topics}
        return Subscribed(*subscriptions.make(tenant or connection.tenant, actor=TESTER, **(given | fields)))

    return make


@pytest.fixture
def change(make_record: Callable[..., Record]) -> Callable[..., Record]:
    """Return what moves a record on by a transition, as the writers of transitions do; a new one without `record`."""

    def move(
        record: Record | None = None, *, state: str = "open", on: Connection | None = None, **fields: Any
    ) -> Record:
        now, before = timezone.now(), record.state if record else ""
        if record is None:
            data = {"number": "F-1", "total": 4_812_50, "currency": "EUR"}
            record = make_record("invoice", state=state, data=data, on=on)
        else:
            record.version += 1
        changes = [] if before == state else [("state", before, state)]
        changes += [(name, record.data.get(name), value) for name, value in fields.items()]
        record.state, record.data = state, record.data | fields
        record.save()
        row = transition(record, before, changes, cause=Cause.EVENT, cause_id=1, occurred_at=now, now=now)
        row.save()
        messages.tell([row], now)
        return record

    return move


def send() -> int:
    """Send what is due."""
    return outbox.send_due(seconds=10)


def let_time_pass() -> None:
    """Let the time pass that deliveries wait for their next try."""
    Delivery.objects.filter(state="waiting").update(due_at=timezone.now() - timedelta(seconds=1))
