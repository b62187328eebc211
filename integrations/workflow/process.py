"""Events in, belief out: claim a batch, read it without a transaction, settle it in one."""

import logging
import uuid
from collections.abc import Sequence

from django.db import close_old_connections
from django.utils import timezone

from integrations.failures.categories import Category, Fault
from integrations.failures.outline import outline
from integrations.models import Connection, Event
from integrations.workflow.evidence import Read, read_events
from integrations.workflow.settle import settle
from integrations.workflow.work import LostLease, claim_events

log = logging.getLogger(__name__)

#: Events a batch. Larger ones save statements, smaller ones lose less when a worker dies.
BATCH = 250


def process_batch(most: int = BATCH) -> int:
    """Claim and settle one batch of due events; return how many were claimed.

    Killed anywhere in here, the events come back when their lease ends, and nothing was written twice:
    all that a batch writes is one transaction, fenced by the lease.
    """
    owner = uuid.uuid4()
    events = claim_events(owner, most)
    if not events:
        return 0
    connections = connections_of(events)
    reads = read_events(events, connections)
    try:
        settle(reads, connections, owner)
    except LostLease:
        log.warning("A lease over %d events ended early; another worker has them", len(events))
    except Exception as error:
        log.warning("%d events could not be settled at once, now one by one: %s", len(events), outline(error))
        settle_singly(events, connections, owner)
    return len(events)


def settle_singly(events: Sequence[Event], connections: dict[int, Connection], owner: uuid.UUID) -> None:
    """Settle each event alone, so that one that the database refuses does not hold up the others."""
    for event in events:
        close_old_connections()
        (read,) = read_events([Event.objects.select_related("run", "replay_mapping").get(pk=event.pk)], connections)
        try:
            settle([read], connections, owner)
        except LostLease:
            continue
        except Exception as error:
            log.error("Event %d cannot be settled: %s", event.pk, outline(error))
            settle([refused(event, error)], connections, owner)


def refused(event: Event, error: Exception) -> Read:
    """Return the reading of an event that cannot be settled: a failure without a name."""
    again = Event.objects.select_related("run", "replay_mapping").get(pk=event.pk)
    kind = type(error).__name__
    return Read(again, fault=Fault(Category.UNKNOWN, f"engine:{kind}", f"It could not be settled ({kind})"))


def connections_of(events: Sequence[Event]) -> dict[int, Connection]:
    """Return the connections of some events by id."""
    return Connection.objects.in_bulk({event.connection_id for event in events})


def process_due(*, seconds: float, most: int = BATCH) -> int:
    """Settle batches until nothing is due or `seconds` are over; return how many events were claimed."""
    end = timezone.now().timestamp() + seconds
    total = 0
    while timezone.now().timestamp() < end:
        claimed = process_batch(most)
        total += claimed
        if not claimed:
            break
    return total
