"""Webhooks in: acknowledged a second, and how long the slowest of 100 waits.

No Celery worker runs meanwhile: what is measured is the way from the wire to committed evidence.
"""

import os
import random
import time
from collections.abc import Iterator

from django.db import connection as database

from integrations.boundary.payloads import read
from integrations.models import Connection, Event
from tests.benchmarks.limits import single_inserts
from tests.benchmarks.lines import Line, percentile
from tests.benchmarks.load import Outcome, drive
from tests.benchmarks.shapes import signature, webhooks
from tests.benchmarks.stage import SECRET, make_connection, web

CONNECTIONS = 16
WARM_UP = 3_000
#: At 3,000 to 5,000 a second this takes 12 to 20 s.
EVENTS = 57_000
#: Delivered a second time, within the next few thousand: with these, one in twenty is a duplicate.
REPEATED = 3_000


def measure() -> Iterator[Line]:
    """Yield the lines of this part."""
    connection = make_connection()
    bodies = list(webhooks(WARM_UP + EVENTS))
    limit_rate, limit_p99 = single_inserts(os.environ["DATABASE_URL"], CONNECTIONS)
    with web() as port:
        requests = [post(port, connection, body) for body in bodies]
        drive(port, requests[:WARM_UP], CONNECTIONS)
        outcome = drive(port, with_duplicates(requests[WARM_UP:]), CONNECTIONS)
    check(bodies, outcome)
    rate = len(outcome.latencies_ms) / outcome.seconds
    yield Line("ingest_acks_per_s", rate, "1/s", limit_rate)
    yield Line("ingest_p99_ms", percentile(outcome.latencies_ms, 99), "ms", limit_p99)
    yield Line("ingest_p50_ms", percentile(outcome.latencies_ms, 50), "ms", limit_p99)


def post(port: int, connection: Connection, body: bytes) -> bytes:
    """Return a whole signed request."""
    head = (
        f"POST /hooks/{connection.public_id}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"User-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\nAccept: */*; q=0.5, application/xml\r\n"
        f"Cache-Control: no-cache\r\nContent-Type: application/json; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nStripe-Signature: {signature(body, SECRET, int(time.time()))}\r\n\r\n"
    )
    return head.encode() + body


def with_duplicates(requests: list[bytes]) -> list[bytes]:
    """Return the requests with some of them a second time, further on."""
    chance = random.Random(20261119)
    placed = [(float(place), request) for place, request in enumerate(requests)]
    for place in chance.sample(range(len(requests) - 5_000), REPEATED):
        placed.append((place + chance.uniform(20, 4_000), requests[place]))
    return [request for _, request in sorted(placed, key=lambda pair: pair[0])]


def check(bodies: list[bytes], outcome: Outcome) -> None:
    """Prove that each acknowledged event is there once, with its payload; raises AssertionError."""
    assert set(outcome.statuses) == {b"200"}, outcome.statuses
    with database.cursor() as cursor:
        cursor.execute("""
            SELECT count(*), count(DISTINCT provider_event_id), count(p.id), sum(redelivered),
                   (SELECT count(*) FROM integrations_journal WHERE action = 'event.redelivered')
            FROM integrations_event e LEFT JOIN integrations_payload p ON p.id = e.payload_id AND p.at = e.payload_at
        """)
        assert cursor.fetchone() == (len(bodies), len(bodies), len(bodies), REPEATED, REPEATED)
    for number in (0, WARM_UP, len(bodies) - 1):
        event = Event.objects.get(provider_event_id=f"evt_{number:024}")
        assert read(event.payload_id, event.payload_at) == bodies[number]
