"""Events that wait for something named, and what wakes them."""

from collections.abc import Iterable

from django.db import connection

from integrations.workflow.wake import EVENTS, after_commit


def wake(arrived: Iterable[tuple[int, str]]) -> int:
    """Make events due that wait for what has arrived, (connection id, name); return how many.

    Those that gave up waiting and were parked wake too: what they missed is here.
    """
    names = sorted(set(arrived))
    if not names:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE integrations_event e SET state = 'ready', due_at = now()
            FROM unnest(%s::bigint[], %s::text[]) AS a(connection_id, name)
            WHERE e.connection_id = a.connection_id AND e.waits_for = a.name AND e.waits_for <> ''
              AND e.state IN ('waiting', 'parked')
            """,
            [[n[0] for n in names], [n[1] for n in names]],
        )
        woken = int(cursor.rowcount)
    if woken:
        after_commit(EVENTS)
    return woken
