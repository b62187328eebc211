"""Sending commands: intent and attempt committed, one request, and what came of it committed.

No transaction is open while the request is under way. A worker that dies in between leaves attempts in flight:
their commands have an unknown outcome, and the very same request is repeated under the same key for as long as
the provider remembers it. After that nothing is sent before the effect was looked for.
"""

import logging
import uuid
from dataclasses import replace
from datetime import timedelta
from time import monotonic

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from integrations.boundary import client, payloads
from integrations.boundary.limits import Leave
from integrations.configuration.reach import access_of, note_use
from integrations.failures.categories import Category, Fault, NotYet
from integrations.failures.outline import outline
from integrations.models import Attempt, AttemptState, Outcome
from integrations.providers import get_adapter
from integrations.providers.base import Access, Effect, Request, Response
from integrations.workflow import answers
from integrations.workflow.outcomes import had_no_effect, move
from integrations.workflow.parcels import Parcel, claim, intent_of, key_of
from integrations.workflow.rows import update_rows
from integrations.workflow.turns import Pass, next_pass
from integrations.workflow.work import LostLease

log = logging.getLogger(__name__)

SENT_FIELDS = (
    "outcome", "outcome_reason", "sent_at", "key", "key_since", "request_id", "request_at", "tries", "leased_until",
)  # fmt: skip


def send_next() -> bool:
    """Claim and send the commands of one request, or look for their effects; say whether there were any.

    Connections have their turn; what a breaker or the limits hold is not claimed, and waits as it is.
    """
    idle: set[int] = set()
    while way := next_pass(without=idle):
        adapter = get_adapter(way.connection.provider)
        parcel = claim(way.connection, adapter, uuid.uuid4(), alone=way.probing)
        if parcel is not None:
            _perform(parcel, way)
            return True
        way.unused()
        idle.add(way.connection.pk)
    return False


def _perform(parcel: Parcel, way: Pass) -> None:
    try:
        access = access_of(parcel.connection)
        note_use(parcel.connection)
        if parcel.repeated and not parcel.remembered(timezone.now()):
            _look(parcel, access, way)
        else:
            _send(parcel, access, way)
    except LostLease:
        log.warning("The lease over %d commands ended early; another worker has them", len(parcel.claimed))
    except NotYet:
        answers.let_go(parcel)
    except Fault as fault:
        way.failed(fault)
        answers.refuse(parcel, fault)
    except Exception as error:
        log.error("%d commands failed: %s", len(parcel.claimed), outline(error))
        kind = type(error).__name__
        answers.refuse(parcel, Fault(Category.UNKNOWN, f"engine:{kind}", f"It could not be sent: {kind}"))
    finally:
        way.unused()


# -- one request


def _send(parcel: Parcel, access: Access, way: Pass) -> None:
    parcel.key = parcel.key or key_of(parcel.all)
    action = parcel.claimed[0].action
    try:
        if action not in parcel.adapter.actions:
            raise Fault(Category.MAPPING, f"no_action:{action}", f"{parcel.adapter.title} has no “{action}” any more")
        request = parcel.adapter.compose(access, parcel.intents, parcel.key)
    except Fault as fault:
        answers.refuse(parcel, fault, apart=len(parcel.all) > 1)
        return
    request = _begin(parcel, request)
    begun = monotonic()
    try:
        response = client.exchange(request, way.leave)
    except Fault as fault:
        answers.take(parcel, begun, fault=fault)
        way.failed(fault)
        return
    _, effects, wrong = _read(parcel, response)
    answers.take(parcel, begun, response, effects, wrong)
    way.answered(wrong)


def _read(parcel: Parcel, response: Response) -> tuple[Response, list[Effect], Fault | None]:
    """Return an answer, its effects, and what is wrong with it as a whole."""
    fault: Fault | None
    try:
        fault = parcel.adapter.classify(response)
        effects = [] if fault else parcel.adapter.effects(parcel.intents, response)
    except Fault as unread:
        return response, [], unread
    if not fault and len(effects) != len(parcel.all):
        message = f"The answer tells of {len(effects)} of {len(parcel.all)} commands"
        return response, [], Fault(Category.CONTRACT, "effects_missing", message)
    return response, effects, fault


@transaction.atomic
def _begin(parcel: Parcel, request: Request) -> Request:
    """Commit the request and its attempts before a byte leaves; returns what leaves.

    A repetition leaves as the first one did, byte by byte. The lease begins anew. Raises `LostLease`.
    """
    now = timezone.now()
    until = now + timedelta(seconds=settings.LEASE_SECONDS)
    first = parcel.claimed[0]
    if parcel.repeated and first.request_id and first.request_at:
        body = payloads.read(first.request_id, first.request_at)
        request = replace(request, body=body)
        kept = payloads.Kept(first.request_id, first.request_at)
    else:
        kept = payloads.keep(
            connection_id=parcel.connection.pk, source="command", body=request.body, headers=request.headers, at=now
        )
    for command in parcel.claimed:
        move(command, Outcome.SENT, "It is on its way")
        command.sent_at, command.leased_until = command.sent_at or now, until
        if not parcel.repeated:
            command.key_since = now
        command.key, command.tries = parcel.key, command.tries + 1
        command.request_id, command.request_at = kept.id, kept.at
    _update(parcel)
    places = dict(zip((command.pk for command in parcel.all), request.places, strict=False))
    rows = Attempt.objects.bulk_create(
        Attempt(
            connection=parcel.connection,
            command=command,
            method=request.method,
            url=client.shown(request),
            key=parcel.key,
            state=AttemptState.IN_FLIGHT,
            request_id=kept.id,
            request_at=kept.at,
            request_path=places.get(command.pk, ""),
            started_at=now,
        )
        for command in parcel.claimed
    )
    parcel.attempts = {row.command_id or 0: row for row in rows}
    return request


def _update(parcel: Parcel) -> None:
    ours = "AND t.state = 'leased' AND t.leased_by = %s AND t.leased_until > now()"
    met = update_rows(parcel.claimed, SENT_FIELDS, where=ours, params=[parcel.owner])
    if met != len(parcel.claimed):
        raise LostLease


# -- looking for an effect


def _look(parcel: Parcel, access: Access, way: Pass) -> None:
    """Search the provider for what each command of unknown outcome did: it is there, or it goes out again.

    That reading works says nothing about writing, so that it closes no breaker.
    """
    leave: Leave | None = way.leave
    for command in parcel.claimed:
        parcel.renew()
        exchanges, leave = client.Exchanges(parcel.connection, command=command, leave=leave), None
        try:
            response, effect = parcel.adapter.find_effect(access, exchanges, intent_of(command, parcel.adapter))
        except NotYet:
            answers.let_go(parcel)
            return
        except Fault as fault:
            way.failed(fault)
            answers.not_found_out(parcel, command, fault, exchanges.last)
            if had_no_effect(fault) or fault.category == Category.OUTAGE:
                answers.let_go(parcel)
                return
            continue
        answers.found(parcel, command, response, effect, exchanges.last)
