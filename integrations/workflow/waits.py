"""Events that wait for something named, and what wakes them."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from integrations.failures.categories import Category
from integrations.workflow.wake import EVENTS, after_commit

Arrived = tuple[int, str, datetime | None]


def wake(arrived: Iterable[Arrived]) -> int:
    """Make events due that wait for what has arrived, (connection id, name, when it was asked for); return how many.

    Those that gave up waiting and were parked wake too: what they missed is here. A look at an object wakes only
    what had arrived before it was asked for: of anything else it cannot tell whether it came before or after.
    """
    names = list(set(arrived))
    if not names:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE integrations_event e SET state = 'ready', due_at = now()
            FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[]) AS a(connection_id, name, asked_at)
            WHERE e.connection_id = a.connection_id AND e.waits_for = a.name AND e.waits_for <> ''
              AND e.state IN ('waiting', 'parked') AND (a.asked_at IS NULL OR e.received_at <= a.asked_at)
            """,
            [[n[0] for n in names], [n[1] for n in names], [n[2] for n in names]],
        )
        woken = int(cursor.rowcount)
    if woken:
        after_commit(EVENTS)
    return woken


def wake_overlooked(parked_within: timedelta = timedelta(minutes=10)) -> int:
    """Make parked events due whose record arrived in the very moment in which they parked; return how many.

    Neither transaction saw the other: the one that parked found no record, the one that made it found nobody waiting.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE integrations_event e SET state = 'ready', due_at = now()
            WHERE e.state = 'parked' AND e.category = %s AND e.waits_for <> '' AND e.decided_at > %s
              AND EXISTS (
                  SELECT 1 FROM integrations_reference r
                  WHERE r.connection_id = e.connection_id AND r.resource = split_part(e.waits_for, ':', 1)
                    AND r.external_id = substr(e.waits_for, strpos(e.waits_for, ':') + 1))
            """,
            [Category.DEPENDENCY, timezone.now() - parked_within],
        )
        woken = int(cursor.rowcount)
    if woken:
        after_commit(EVENTS)
    return woken
