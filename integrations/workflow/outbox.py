"""Deliveries on their way: claimed with a lease, posted without a transaction, and settled many at once.

Per record and subscription one after the other: a younger delivery is claimed only when no older one is open,
parked ones included, so that nobody downstream sees a record go back in time.
"""

import json
import logging
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from integrations.boundary.posting import AT_ONCE, Letter, Post, Posted
from integrations.boundary.signing import key_of
from integrations.boundary.vault import Unreadable, unseal
from integrations.models import AttemptState, Delivery, DeliveryAttempt, SecretState, SigningSecret, WorkState
from integrations.workflow import wake
from integrations.workflow.receipts import Sent, settle

log = logging.getLogger(__name__)

#: Deliveries that one worker has in hand, and of one subscription: as long as it answers quickly, and when it does not.
MOST, MOST_TO_ONE, MOST_TO_SLOW = 1024, 192, 16
#: Seconds after which a receiver counts as slow.
SLOW = 2.0
#: How often those in hand may have to wait for each other at one receiver, `posting.AT_ONCE` of them at a time.
ROUNDS = 3
#: Seconds in which answers are gathered before they are written, all in one transaction.
GATHER = 0.05
#: Workers that may claim at once. Each waits for receivers, and others have to be left for the rest of the work.
SENDERS = 1
#: The class of the advisory locks that count the senders.
LOCK = 0x0B07

# In turns: of each tenant the same number, and in it of each subscription, what is in hand counted. A tenant
# takes at most half of the places that others leave, so that there is one for who comes next.
# Nothing is locked before it is chosen. Of the deliveries of a subscription few are looked at where there are many.
# `+ 0` and `|| ''` keep the planner, as long as it has no statistics, from reading all open deliveries.
CLAIM = """
WITH open AS MATERIALIZED (
    SELECT s.id, s.tenant_id, coalesce(b.held, 0) AS held, coalesce(b.room, %(room)s) AS room
    FROM integrations_subscription s
    LEFT JOIN unnest(%(subscriptions)s::bigint[], %(held)s::int[], %(rooms)s::int[]) AS b(id, held, room) ON b.id = s.id
    WHERE s.paused_at IS NULL AND s.disabled_at IS NULL AND s.ended_at IS NULL AND coalesce(b.room, %(room)s) > 0
      AND EXISTS (SELECT 1 FROM integrations_delivery d
                  WHERE d.subscription_id = s.id AND d.state IN ('ready', 'waiting') AND d.due_at <= %(now)s)
), part AS MATERIALIZED (
    SELECT ceil(2 * %(free)s / greatest(1, count(*))::numeric)::bigint AS size FROM open
), heads AS MATERIALIZED (
    SELECT d.id, d.due_at, o.tenant_id, o.held + row_number() OVER (PARTITION BY o.id ORDER BY d.due_at, d.id) AS place
    FROM open o CROSS JOIN LATERAL (
        SELECT d.id, d.due_at FROM integrations_delivery d
        WHERE d.subscription_id = o.id AND d.state IN ('ready', 'waiting') AND d.due_at <= %(now)s
          AND NOT EXISTS (
              SELECT 1 FROM integrations_delivery o
              WHERE o.record_id = d.record_id AND o.subscription_id + 0 = d.subscription_id AND o.id < d.id
                AND o.state IN ('ready', 'leased', 'waiting', 'parked', 'held'))
        ORDER BY d.due_at, d.id
        LIMIT least(o.room, (SELECT size FROM part))
    ) d
), in_turn AS (
    SELECT h.id, h.due_at, coalesce(t.held, 0) AS held,
        coalesce(t.held, 0) + row_number() OVER (PARTITION BY h.tenant_id ORDER BY h.place, h.due_at, h.id) AS place
    FROM heads h LEFT JOIN unnest(%(tenants)s::bigint[], %(of_tenants)s::int[]) AS t(id, held) ON t.id = h.tenant_id
), chosen AS (
    SELECT id FROM in_turn WHERE place <= greatest(1, (%(free)s + held) / 2) ORDER BY place, due_at, id LIMIT %(free)s
), due AS MATERIALIZED (
    SELECT d.id FROM integrations_delivery d
    WHERE d.id = ANY(ARRAY(SELECT id FROM chosen)) AND d.state || '' IN ('ready', 'waiting')
    FOR UPDATE OF d SKIP LOCKED
), leased AS (
    UPDATE integrations_delivery d SET state = 'leased', leased_by = %(owner)s, leased_until = %(until)s FROM due
    WHERE d.id = due.id RETURNING d.*
), tried AS (
    INSERT INTO integrations_deliveryattempt (delivery_id, state, url, signed_with, address, category, problem,
        answer_type, answer, started_at)
    SELECT l.id, 'in flight', s.url, '', '', '', '', '', '', %(now)s
    FROM leased l JOIN integrations_subscription s ON s.id = l.subscription_id RETURNING id, delivery_id
)
SELECT l.id, l.tenant_id, l.environment, l.connection_id, l.record_id, l.subscription_id, l.tries, l.category,
    l.replays, t.id, m.uid, m.topic, m.payload::text, m.created_at, s.name, s.url
FROM leased l
JOIN tried t ON t.delivery_id = l.id
JOIN integrations_message m ON m.id = l.message_id
JOIN integrations_subscription s ON s.id = l.subscription_id
"""

#: By statistics from before a pause ended, the planner would sort all that is due for each claim. Where it has to sort
#: the few that it found, that now seems dear enough to be compiled, each time anew.
IN_ORDER = "SET LOCAL enable_sort = off; SET LOCAL jit = off"

DUE = """
SELECT EXISTS (
    SELECT 1 FROM integrations_subscription s
    JOIN integrations_delivery d ON d.subscription_id = s.id AND d.state IN ('ready', 'waiting') AND d.due_at <= %s
    WHERE s.paused_at IS NULL AND s.disabled_at IS NULL AND s.ended_at IS NULL
      AND NOT EXISTS (
          SELECT 1 FROM integrations_delivery o
          WHERE o.record_id = d.record_id AND o.subscription_id + 0 = d.subscription_id AND o.id < d.id
            AND o.state IN ('ready', 'leased', 'waiting', 'parked', 'held')))
"""


def body_of(topic: str, at: datetime, data: str) -> bytes:
    """Return the bytes of a message: compact JSON, the same at every try. `data` is JSON already."""
    head = json.dumps({"type": topic, "timestamp": at.isoformat()}, separators=(",", ":"))
    compact = json.dumps(json.loads(data), separators=(",", ":"), ensure_ascii=False)
    return f'{head[:-1]},"data":{compact}}}'.encode()


def send_due(*, seconds: float) -> int:
    """Send deliveries until none is due or `seconds` are over; return how many were tried.

    Killed anywhere in here, a delivery comes back when its lease ends and leaves again under the same message id:
    at least once, never lost.
    """
    end, total = monotonic() + seconds, 0
    while monotonic() < end and is_due():
        with turn() as mine:
            if not mine.held:
                break
            sent = _send(end, mine)
            total += sent
            if not sent:
                break  # Somebody holds it at this moment.
    return total


def is_due() -> bool:
    """Say whether any delivery could leave now."""
    with database.cursor() as cursor:
        cursor.execute(DUE, [timezone.now()])
        return bool(cursor.fetchone()[0])


@dataclass
class Turn:
    """One of the senders' places, where `place` names one; a worker that dies gives it back with its connection."""

    place: int | None = None

    @property
    def held(self) -> bool:
        return self.place is not None

    def give_up(self) -> None:
        """Let another worker claim."""
        if self.held:
            with database.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK, self.place])
            self.place = None


@contextmanager
def turn() -> Iterator[Turn]:
    """Hold one of the senders' places, if one is free."""
    mine = Turn()
    with database.cursor() as cursor:
        for place in range(SENDERS):
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK, place])
            if cursor.fetchone()[0]:
                mine.place = place
                break
    try:
        yield mine
    finally:
        mine.give_up()


@dataclass
class Claims:
    """What one worker has under way, by the id of the delivery."""

    owner: uuid.UUID = field(default_factory=uuid.uuid4)
    sent: dict[int, Sent] = field(default_factory=dict)
    _since: dict[int, float] = field(default_factory=dict)
    #: Whether a subscription answered in time when it answered last.
    _quick: dict[int, bool] = field(default_factory=dict)
    _keys: dict[int, bytes] = field(default_factory=dict)

    @transaction.atomic
    def more(self) -> list[Letter]:
        """Lease what is due, as far as there is room; each with an attempt in flight."""
        now = timezone.now()
        until = now + timedelta(seconds=settings.LEASE_SECONDS + ROUNDS * settings.OUTBOX_TIMEOUT)
        with database.cursor() as cursor:
            cursor.execute(IN_ORDER)
            cursor.execute(CLAIM, self._in_hand() | {"now": now, "until": until, "owner": self.owner})
            rows = cursor.fetchall()
        if not rows:
            return []
        keys = self._secrets({row[5] for row in rows})
        return [self._letter(row, keys[row[5]]) for row in sorted(rows)]

    def done(self, posted: Posted) -> Sent:
        """Take a delivery out of the hand."""
        del self._since[posted.number]
        sent = self.sent.pop(posted.number)
        if not posted.unsent:
            self._quick[sent.subscription_id] = posted.status is not None and posted.latency_ms < SLOW * 1000
        return sent

    def _in_hand(self) -> dict[str, Any]:
        """Return what `CLAIM` has to know: what is in hand of whom, and how much more may be."""
        busy = Counter(sent.subscription_id for sent in self.sent.values())
        tenants = Counter(sent.tenant_id for sent in self.sent.values())
        late = monotonic() - SLOW
        slow = {self.sent[number].subscription_id for number, since in self._since.items() if since < late}
        rooms = {pk: max(0, self._most_to(pk, slow) - busy[pk]) for pk in {*busy, *self._quick}}
        return {
            "subscriptions": list(rooms),
            "held": [busy[pk] for pk in rooms],
            "rooms": list(rooms.values()),
            "room": AT_ONCE,
            "tenants": list(tenants),
            "of_tenants": list(tenants.values()),
            "free": MOST - len(self.sent),
        }

    def _most_to(self, subscription: int, slow: Collection[int]) -> int:
        """Return how many may be in hand of a subscription; of an unknown one, none that would wait for another."""
        if subscription in slow:
            return MOST_TO_SLOW
        quick = self._quick.get(subscription)
        return AT_ONCE if quick is None else MOST_TO_ONE if quick else MOST_TO_SLOW

    def _letter(self, row: Sequence[Any], keys: list[tuple[int, bytes]]) -> Letter:
        sent = Sent._make((*row, " ".join(str(version) for version, _ in keys)))
        self.sent[sent.pk], self._since[sent.pk] = sent, monotonic()
        body = body_of(sent.topic, sent.at, sent.data)
        return Letter(sent.pk, sent.tenant_id, sent.subscription_id, sent.url, sent.uid, body, keys)

    def _secrets(self, subscriptions: Iterable[int]) -> dict[int, list[tuple[int, bytes]]]:
        """Return (version, key) of the secrets that sign for some subscriptions, the newest first."""
        found: dict[int, list[tuple[int, bytes]]] = {pk: [] for pk in subscriptions}
        rows = SigningSecret.objects.filter(
            subscription__in=found, state__in=(SecretState.ACTIVE, SecretState.RETIRING)
        )
        for pk, place, version, secret in rows.values_list("pk", "subscription_id", "version", "secret"):
            key = self._keys.get(pk) or _opened(pk, secret)
            if key:
                self._keys[pk] = key
                found[place].append((version, key))
        return found


def _opened(pk: int, secret: bytes | memoryview) -> bytes:
    """Return the key that a secret holds; empty, and a line in the log, where no key of ours opens it."""
    try:
        return key_of(unseal(secret).decode())
    except (Unreadable, ValueError):
        log.error("The signing secret %d cannot be opened", pk)
        return b""


def _send(end: float, mine: Turn) -> int:
    """Keep posts under way until nothing is due or the time is over, and write what comes back; return how many.

    When the time is over others claim at once, and this worker waits for no more than what has left already.
    """
    claims, total = Claims(), 0
    with Post() as post:
        while True:
            if mine.held and monotonic() >= end:
                post.begin_no_more()
                mine.give_up()
                wake.send(wake.DELIVERIES)
            if mine.held and len(claims.sent) < MOST:
                letters = claims.more()
                total += len(letters)
                post.send(letters)
            if not claims.sent:
                return total
            first = max(0.0, min(1.0, end - monotonic())) if mine.held else 1.0
            answers = [(claims.done(posted), posted) for posted in post.answers(first=first, more=GATHER)]
            if unsent := [sent for sent, posted in answers if posted.unsent]:
                total -= len(unsent)
                _give_back(unsent, claims.owner)
            if answered := [pair for pair in answers if not pair[1].unsent]:
                settle(answered, claims.owner)


@transaction.atomic
def _give_back(unsent: Sequence[Sent], owner: uuid.UUID) -> None:
    """Undo the claims of what did not leave: it is due as before, and was not tried."""
    mine = Delivery.objects.filter(pk__in=[sent.pk for sent in unsent], state=WorkState.LEASED, leased_by=owner)
    mine.update(state=WorkState.READY, leased_by=None, leased_until=None)
    attempts = [sent.attempt_id for sent in unsent]
    DeliveryAttempt.objects.filter(pk__in=attempts, state=AttemptState.IN_FLIGHT).delete()


def free_lost() -> int:
    """Give back the deliveries of workers that died, and close their attempts; return how many.

    Whether such an attempt arrived nobody knows: it leaves again under the same message id.
    """
    now = timezone.now()
    with transaction.atomic():
        lost = list(
            Delivery.objects.select_for_update(skip_locked=True, no_key=True)
            .filter(state=WorkState.LEASED, leased_until__lt=now)
            .values_list("pk", flat=True)[:1000]
        )
        if lost:
            DeliveryAttempt.objects.filter(delivery__in=lost, state=AttemptState.IN_FLIGHT).update(
                state=AttemptState.NO_ANSWER,
                finished_at=now,
                problem="The worker ended before the answer was kept. It is sent again under the same message id.",
            )
            Delivery.objects.filter(pk__in=lost).update(state=WorkState.READY, leased_by=None, leased_until=None)
    return len(lost)
