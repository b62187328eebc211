"""Claiming commands: those that travel in one request, of one connection, with a lease and under one key.

A request under a known key is repeated as a whole. So whoever lets one command go from it (it is looked for, decided
by a person, or sent anew) retires the key: from then on the others are only looked for.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b

from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.db.models import Count, Max, Q
from django.utils import timezone

from integrations.failures.categories import Category
from integrations.models import Attempt, AttemptState, Command, Connection, Outcome, WorkState
from integrations.providers.base import Adapter, Intent
from integrations.workflow.outcomes import REFUSALS
from integrations.workflow.work import LostLease

#: What may have had its effect already.
DOUBTFUL = (Outcome.SENT, Outcome.UNKNOWN)
#: What fails whatever is sent: commands that met it still travel together.
NOBODYS_FAULT = [
    Category.RATE_LIMIT, Category.OUTAGE, Category.TIMEOUT, Category.AUTHENTICATION, Category.AUTHORIZATION,
]  # fmt: skip

# The oldest that is due and does not come after an open one about the same record or object.
# `+ 0` keeps the planner, as long as it has no statistics, from reading all older commands of the connection.
DUE = """
SELECT m.id FROM integrations_command m
WHERE m.connection_id = %(connection)s AND m.state IN ('ready', 'waiting') AND m.due_at <= now() AND {which}
  AND NOT EXISTS (
      SELECT 1 FROM integrations_command o WHERE o.record_id = m.record_id AND o.connection_id + 0 = m.connection_id
        AND o.id + 0 < m.id AND o.state NOT IN ('done', 'dismissed') AND o.outcome <> 'accepted')
  AND NOT EXISTS (
      SELECT 1 FROM integrations_command o WHERE o.external_id = m.external_id AND o.resource = m.resource
        AND o.connection_id + 0 = m.connection_id AND m.external_id <> '' AND o.external_id <> ''
        AND o.id + 0 < m.id AND o.state NOT IN ('done', 'dismissed') AND o.outcome <> 'accepted')
ORDER BY m.due_at, m.id
LIMIT %(most)s
FOR UPDATE OF m SKIP LOCKED
"""
FIRST = DUE.format(which="m.outcome IN ('submitted', 'sent', 'unknown')")
FELLOWS = DUE.format(
    which="m.outcome = 'submitted' AND (m.tries = 0 OR m.category = ANY(%(together)s)) AND m.action = %(action)s "
    "AND m.id <> %(first)s"
)


#: Of a key and a connection: who claims or lets go what travelled under it does so alone.
KEY_LOCK = "hashtextextended(%s, %s)"


@dataclass
class Parcel:
    """Commands that travel in one request. `all` are those that it was composed of; `claimed` are ours to decide."""

    connection: Connection
    adapter: Adapter
    owner: uuid.UUID
    claimed: list[Command]
    all: list[Command]
    key: str = ""
    attempts: dict[int, Attempt] = field(default_factory=dict)
    #: An earlier try may have had the effect: then a refusal of this one proves nothing.
    repeated: bool = False

    @property
    def intents(self) -> list[Intent]:
        """What the adapter is asked for, in the order of the request."""
        return [intent_of(command, self.adapter) for command in self.all]

    def remembered(self, now: datetime) -> bool:
        """Say whether the provider surely still knows the key of that earlier try, and nobody was let go from it."""
        safe = now + timedelta(seconds=settings.PROVIDER_TIMEOUT) - self.adapter.key_lifetime
        return bool(self.key) and all(each.key_since and each.key_since > safe for each in self.claimed)

    def renew(self) -> None:
        """Have the lease for as long again. Raises `LostLease` where it has ended."""
        until = timezone.now() + timedelta(seconds=settings.LEASE_SECONDS)
        ours = Command.objects.filter(leased_by=self.owner, state=WorkState.LEASED, leased_until__gt=timezone.now())
        if not ours.filter(pk__in=[command.pk for command in self.claimed]).update(leased_until=until):
            raise LostLease


def intent_of(command: Command, adapter: Adapter) -> Intent:
    """Return a command as adapters see it: what it made is not what it acts on."""
    spec = adapter.actions.get(command.action)
    acts_on = "" if spec and spec.creates else command.external_id
    return Intent(command.operation_id, command.action, acts_on, command.content)


@transaction.atomic
def claim(connection: Connection, adapter: Adapter, owner: uuid.UUID, *, alone: bool = False) -> Parcel | None:
    """Lease the next commands of a connection that can travel together; None when others have them all.

    One whose outcome is unknown goes with exactly those with which it travelled before. `alone`: otherwise only one,
    which finds out whether the provider works.
    """
    first = _first(connection)
    if first is None:
        return None
    together = [first]
    if first.outcome in DOUBTFUL and first.key:
        if not _alone_with(first):
            return None
        everyone = list(Command.objects.filter(connection=connection, key=first.key).order_by("pk"))
        together = list(_locked([c.pk for c in everyone if c.outcome in DOUBTFUL], still=DOUBTFUL))
        claimed = {command.pk: command for command in together}
        everyone = [claimed.get(command.pk, command) for command in everyone]
        parcel = Parcel(connection, adapter, owner, together, everyone, first.key)
    else:
        if first.outcome == Outcome.SUBMITTED and (first.tries == 0 or first.category in NOBODYS_FAULT):
            spec = adapter.actions.get(first.action)
            most = 1 if alone or spec is None else spec.batch
            together = sorted([first, *_fellows(first, most - 1)], key=lambda c: c.pk)
        parcel = Parcel(connection, adapter, owner, together, together)
    parcel.repeated = first.outcome in DOUBTFUL
    _lease(parcel)
    return parcel


def _alone_with(command: Command) -> bool:
    """Say whether nobody else is claiming those that travelled with a command, and keep it so until the commit."""
    with database.cursor() as cursor:
        cursor.execute(f"SELECT pg_try_advisory_xact_lock({KEY_LOCK})", [command.key, command.connection_id])
        return bool(cursor.fetchone()[0])


def hold_key(connection_id: int, key: str) -> None:
    """Wait until nobody claims what travelled under a key, and keep it so until the commit."""
    with database.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_xact_lock({KEY_LOCK})", [key, connection_id])


def retire_key(connection_id: int, key: str) -> None:
    """Let nothing be repeated under a key: one that travelled under it is let go. Call before that is committed."""
    if key:
        rows = (
            Command.objects.filter(connection_id=connection_id, key=key).order_by("pk").select_for_update(no_key=True)
        )
        Command.objects.filter(pk__in=list(rows.values_list("pk", flat=True))).update(key_since=None)


def key_of(commands: Sequence[Command]) -> str:
    """Return the key of a new request: the operation id, as long as it stands for one request alone.

    After a refusal, which had no effect, the request is a new one: providers answer a known key as they did before.
    So it is once they have done so, and the effect was looked for in vain.
    """
    sent = [command.pk for command in commands if command.sent_at]
    over = Attempt.objects.filter(command__in=sent, category__in=[*REFUSALS, Category.DUPLICATE]).exclude(key="")
    rounds = dict(over.values_list("command").annotate(n=Count("pk"))) if sent else {}
    names = [f"{c.operation_id}~{rounds[c.pk] + 1}" if c.pk in rounds else c.operation_id for c in commands]
    if len(names) == 1:
        return names[0]
    together = "\n".join(names).encode()
    return f"of-{len(names)}-{blake2b(together, digest_size=16).hexdigest()}"


def may_arrive_until(command: Command, adapter: Adapter) -> datetime | None:
    """Return until when a request that the command left with may still reach the provider and have its effect.

    None where that does no harm: the command goes out next under that very key, or the provider has answered to the
    key and answers so again. What it turned away at the door (too many requests, the token, a conflict with the one
    that is still under way) is no such answer. Requests are held to arrive within the life of a key, or twice the
    time that a provider gets to answer.
    """
    if not command.key or command.key == key_of([command]):
        return None
    tried = Attempt.objects.filter(command__connection=command.connection_id, command__key=command.key, key=command.key)
    said = Q(state=AttemptState.ANSWERED, status__lt=500) & ~Q(category__in=NOBODYS_FAULT)
    if tried.filter(said | Q(category=Category.DUPLICATE)).exists():
        return None
    newest = tried.aggregate(at=Max("started_at"))["at"]
    longest = max(adapter.key_lifetime, timedelta(seconds=2 * settings.PROVIDER_TIMEOUT))
    return newest + longest if newest else None


def _first(connection: Connection) -> Command | None:
    with database.cursor() as cursor:
        # By statistics from before they became due, the planner would sort them all for each claim.
        cursor.execute("SET LOCAL enable_sort = off")
        cursor.execute(FIRST, {"connection": connection.pk, "most": 1})
        row = cursor.fetchone()
    return Command.objects.get(pk=row[0]) if row else None


def _fellows(first: Command, most: int) -> list[Command]:
    if most < 1:
        return []
    with database.cursor() as cursor:
        cursor.execute(
            FELLOWS,
            {
                "connection": first.connection_id,
                "action": first.action,
                "first": first.pk,
                "most": most,
                "together": NOBODYS_FAULT,
            },
        )
        ids = [pk for (pk,) in cursor.fetchall()]
    return list(Command.objects.filter(pk__in=ids))


def _locked(ids: list[int], *, still: tuple[str, ...]) -> "list[Command]":
    """Lock commands that nobody works on, in order of id."""
    rows = Command.objects.filter(pk__in=ids, outcome__in=still, state__in=(WorkState.READY, WorkState.WAITING))
    return list(rows.order_by("pk").select_for_update(no_key=True))


def _lease(parcel: Parcel) -> None:
    until = timezone.now() + timedelta(seconds=settings.LEASE_SECONDS)
    for command in parcel.claimed:
        command.state, command.leased_by, command.leased_until = WorkState.LEASED, parcel.owner, until
    ids = [command.pk for command in parcel.claimed]
    Command.objects.filter(pk__in=ids).update(state=WorkState.LEASED, leased_by=parcel.owner, leased_until=until)


def recover() -> int:
    """Give back commands whose worker died: what was under way has an unknown outcome. Returns how many.

    The sweep calls it. Its attempts are closed: no answer to them was kept, whether one came or not.
    """
    now = timezone.now()
    with transaction.atomic():
        lost = list(
            Command.objects.filter(state=WorkState.LEASED, leased_until__lt=now)
            .order_by("pk")
            .select_for_update(skip_locked=True, no_key=True)
            .values_list("pk", "outcome")
        )
        ids = [pk for pk, _ in lost]
        if not ids:
            return 0
        free = {"state": WorkState.READY, "due_at": now, "leased_by": None, "leased_until": None}
        Command.objects.filter(pk__in=ids).update(**free)
        sent = [pk for pk, outcome in lost if outcome == Outcome.SENT]
        Command.objects.filter(pk__in=sent).update(
            outcome=Outcome.UNKNOWN, outcome_reason="The worker ended before an answer was kept"
        )
        Attempt.objects.filter(command__in=ids, state=AttemptState.IN_FLIGHT).update(
            state=AttemptState.NO_ANSWER, finished_at=now, category="timeout", message="The worker ended under way",
        )  # fmt: skip
    return len(ids)
