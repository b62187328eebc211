"""What came of a request: attempts closed, outcomes, failures and the journal, in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from integrations.boundary import client, payloads
from integrations.failures import grouping
from integrations.failures.categories import Category, Fault
from integrations.health import rates
from integrations.journal.write import Entry, append
from integrations.models import Attempt, AttemptState, Command, Connection, Lane, Outcome, WorkState
from integrations.providers.base import Effect, Response
from integrations.workflow import copies, known_there, stuck
from integrations.workflow.commands import entry_of
from integrations.workflow.outcomes import ABOUT_ONE, had_no_effect, move
from integrations.workflow.parcels import Parcel, intent_of, may_arrive_until, retire_key
from integrations.workflow.rows import update_rows
from integrations.workflow.wake import COMMANDS, after_commit
from integrations.workflow.work import Verdict, after_failure

#: Seconds after an acceptance in which the provider's own word of it is waited for, before it is asked.
CONFIRM_AFTER = 60.0
#: Where a repetition is answered so, the effect is looked for before anything is sent again.
ANSWERED_OTHERWISE = (
    Category.DUPLICATE, Category.VALIDATION, Category.BUSINESS, Category.CONTRACT, Category.STALE, Category.DEPENDENCY,
)  # fmt: skip
COMMAND_FIELDS = (
    "state", "due_at", "leased_by", "leased_until", "tries", "category", "finished_at", "outcome", "outcome_reason",
    "external_id", "waits_for", "accepted_at", "confirmed_at", "key", "key_since",
)  # fmt: skip
ATTEMPT_FIELDS = (
    "state", "status", "latency_ms", "provider_request_id", "category", "message", "payload_id", "payload_at", "path",
    "finished_at",
)  # fmt: skip


@dataclass
class Settlement:
    """What a parcel comes to, gathered in memory and written at the end."""

    parcel: Parcel
    now: datetime
    settled: list[Command] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    failed: list[grouping.Failed] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)

    def write(self) -> None:
        """Write it all; call inside the transaction."""
        parcel = self.parcel
        for command in self.settled:
            command.leased_by = command.leased_until = None
        update_rows(self.settled, COMMAND_FIELDS, where="AND t.leased_by = %s", params=[parcel.owner])
        known_there.note([c for c in self.settled if c.outcome in (Outcome.ACCEPTED, Outcome.CONFIRMED)], self.now)
        copies.note(self.settled, self.now)
        grouping.note(self.failed, gone=grouping.open_failures_of(commands=self.gone))
        append(self.entries)
        stuck.recompute({c.record_id for c in self.settled if c.record_id and (c.tries > 1 or c.category)})
        went_through = sum(c.outcome in (Outcome.ACCEPTED, Outcome.CONFIRMED) for c in self.settled)
        rates.count({parcel.connection.pk: rates.Count(done=went_through, failed=len(self.failed))}, self.now)
        after_commit(COMMANDS)


def take(
    parcel: Parcel,
    begun: float,
    response: Response | None = None,
    effects: Sequence[Effect] = (),
    fault: Fault | None = None,
) -> None:
    """Settle a request that left: by its answer, or by the fault that came instead of one.

    Commands that somebody else settled meanwhile, by evidence, keep what that said; their attempts are closed.
    """
    latency = round((monotonic() - begun) * 1000)
    with transaction.atomic():
        batch = Settlement(parcel, timezone.now())
        ours = _still_ours(parcel)
        _close_attempts(parcel, latency, response, effects, fault)
        by_id = dict(zip((command.pk for command in parcel.all), effects, strict=False))
        apart = fault is not None and len(parcel.all) > 1 and fault.category in ABOUT_ONE
        for command in (command for command in parcel.claimed if command.pk in ours):
            effect = by_id.get(command.pk)
            wrong = fault or (effect.fault if effect else None)
            if wrong is not None:
                _went_wrong(batch, command, wrong, apart=apart)
            elif effect is not None:
                _accept(batch, command, effect)
        batch.write()


def refuse(parcel: Parcel, fault: Fault, *, apart: bool = False) -> None:
    """Settle commands of which nothing left in this round, or of which we cannot know; `apart`: each goes alone."""
    began = bool(parcel.attempts)
    with transaction.atomic():
        batch = Settlement(parcel, timezone.now())
        ours = _still_ours(parcel)
        _close_attempts(parcel, None, None, (), fault)
        for command in (command for command in parcel.claimed if command.pk in ours):
            if not began:
                command.tries += 1
            if began or parcel.repeated:
                _went_wrong(batch, command, fault, apart=apart)
            elif apart:
                _set_apart(batch, command)
            else:
                _refused(batch, command, fault)
        batch.write()


def found(parcel: Parcel, command: Command, response: Response, effect: Effect | None, attempt: Attempt | None) -> None:
    """Settle one command of unknown outcome by what a look at the provider showed."""
    with transaction.atomic():
        batch = Settlement(parcel, timezone.now())
        _keep_answer(parcel, attempt, response)
        if command.pk not in _still_ours(parcel):
            return
        if effect is None:
            _not_there(batch, command)
        elif wrong := parcel.adapter.came_to_nothing(command.resource, effect.obj):
            _came_to_nothing(batch, command, effect, wrong)
        elif parcel.adapter.shows(intent_of(command, parcel.adapter), effect.obj, parcel.connection.settings):
            _found(batch, command, effect)
        else:
            parcel.attempts.update({command.pk: attempt} if attempt else {})
            _accept(batch, command, effect)
        batch.write()


def not_found_out(parcel: Parcel, command: Command, fault: Fault, attempt: Attempt | None) -> None:
    """Let a command wait on, or park, whose effect could not be looked for."""
    with transaction.atomic():
        batch = Settlement(parcel, timezone.now())
        if attempt:
            parcel.attempts[command.pk] = attempt
        if command.pk in _still_ours(parcel):
            command.tries += 1
            _doubt(batch, command, fault)
            batch.write()


def let_go(parcel: Parcel) -> None:
    """Give back what is still leased, to be tried a little later."""
    later = timezone.now() + timedelta(seconds=max(1.0, 5 * settings.RETRY_SCALE))
    Command.objects.filter(pk__in=[c.pk for c in parcel.claimed], leased_by=parcel.owner).update(
        state=WorkState.WAITING, due_at=later, leased_by=None, leased_until=None
    )


def confirm(command: Command, now: datetime, reason: str) -> None:
    """Set a command's effect as seen at the provider; the caller writes it."""
    move(command, Outcome.CONFIRMED, reason)
    command.confirmed_at = now
    command.state, command.finished_at, command.waits_for, command.category = WorkState.DONE, now, "", ""


def fail(command: Command, fault: Fault, connection: Connection, now: datetime) -> grouping.Failed:
    """Set a command as failed whose effect was there and came to nothing; the caller writes it and its failure."""
    move(command, Outcome.FAILED, fault.message)
    command.accepted_at = command.accepted_at or now
    command.state, command.category, command.finished_at, command.waits_for = WorkState.PARKED, fault.category, None, ""
    return grouping.Failed(fault, connection, command=command, record=command.record, resource=command.resource)


# -- the parts


def _still_ours(parcel: Parcel) -> set[int]:
    """Lock the commands that are still leased by us, and return their ids.

    Records come first, as workers that settle evidence lock them.
    """
    ids = [command.pk for command in parcel.claimed]
    records = [command.record_id for command in parcel.claimed if command.record_id]
    stuck.lock(records)
    rows = Command.objects.filter(pk__in=ids, leased_by=parcel.owner, state=WorkState.LEASED).order_by("pk")
    return set(rows.select_for_update(no_key=True).values_list("pk", flat=True))


def _accept(batch: Settlement, command: Command, effect: Effect) -> None:
    reason = f"{batch.parcel.connection.name} accepted it; it is confirmed once it was seen there"
    _take_effect(batch, command, effect, reason)
    command.state = WorkState.WAITING
    command.due_at = batch.now + timedelta(seconds=CONFIRM_AFTER * settings.RETRY_SCALE)
    command.waits_for = f"{command.resource}:{command.external_id}"[:320]
    _tell(batch, command, "command.answered", "accepted")


def _found(batch: Settlement, command: Command, effect: Effect) -> None:
    """Its effect was looked for and is there as it was asked for."""
    reason = f"Looked for at {batch.parcel.connection.name}, and it is there"
    _take_effect(batch, command, effect, reason)
    confirm(command, batch.now, reason)
    batch.entries.append(entry_of(command, Lane.COMMANDS, "command.confirmed", reason))


def _came_to_nothing(batch: Settlement, command: Command, effect: Effect, fault: Fault) -> None:
    command.external_id = effect.external_id or command.external_id
    failed = fail(command, fault, batch.parcel.connection, batch.now)
    batch.failed.append(failed)
    _tell(batch, command, "command.parked", f"{fault.message.rstrip('.')}; {_then(command, parked=True)}")
    batch.settled.append(command)


def _take_effect(batch: Settlement, command: Command, effect: Effect, reason: str) -> None:
    move(command, Outcome.ACCEPTED, reason)
    command.accepted_at = command.accepted_at or batch.now
    command.external_id = effect.external_id or command.external_id
    if command.tries > 1 or command.category:
        batch.gone.append(command.pk)
    command.tries, command.category = 0, ""
    batch.settled.append(command)


def _went_wrong(batch: Settlement, command: Command, fault: Fault, *, apart: bool) -> None:
    if batch.parcel.repeated or not had_no_effect(fault):
        _doubt(batch, command, fault)
    elif apart:
        _set_apart(batch, command)
    else:
        _refused(batch, command, fault)


def _refused(batch: Settlement, command: Command, fault: Fault) -> None:
    """It had no effect: it waits and goes out again, or it failed and a person decides."""
    verdict = after_failure(fault, command.tries, batch.now)
    move(command, Outcome.FAILED if verdict.state == WorkState.PARKED else Outcome.SUBMITTED, fault.message)
    _set_back(batch, command, fault, verdict)


def _doubt(batch: Settlement, command: Command, fault: Fault) -> None:
    """Nobody knows whether it had an effect: asked again under the same key, or looked for, and then parked."""
    move(command, Outcome.UNKNOWN, fault.message)
    if fault.category in ANSWERED_OTHERWISE:
        # What refuses a repetition may be the effect of the first one.
        command.key_since = None
        policy = Fault(Category.TIMEOUT, fault.code, fault.message)
    else:
        policy = fault
    _set_back(batch, command, fault, after_failure(policy, command.tries, batch.now))


def _set_back(batch: Settlement, command: Command, fault: Fault, verdict: Verdict) -> None:
    command.category, command.state, command.due_at = fault.category, verdict.state, verdict.due_at
    parked = verdict.state == WorkState.PARKED
    batch.failed.append(
        grouping.Failed(
            fault, batch.parcel.connection, command=command, record=command.record, resource=command.resource
        )
    )
    action = "command.parked" if parked else "command.waits"
    _tell(batch, command, action, f"{fault.message.rstrip('.')}; {_then(command, parked=parked)}")
    batch.settled.append(command)


def _then(command: Command, *, parked: bool) -> str:
    if parked:
        return "parked, a person is needed"
    if command.outcome == Outcome.UNKNOWN:
        return "its outcome is unknown, and it goes out again only under the same operation id"
    return "it had no effect and is sent again"


def _set_apart(batch: Settlement, command: Command) -> None:
    """One of those that travelled together was refused: each goes alone, so that the others are not held up."""
    move(command, Outcome.SUBMITTED, "Refused together with others: it goes alone now")
    command.category, command.state, command.due_at = "", WorkState.READY, batch.now
    batch.settled.append(command)


def _not_there(batch: Settlement, command: Command) -> None:
    """Its effect was looked for in vain: nothing is repeated under its key any more, and it goes out by itself.

    Not before its request, if that went under another key, can have arrived; and not over what somebody may have
    changed since.
    """
    retire_key(command.connection_id, command.key)
    for each in batch.parcel.claimed:
        each.key_since = None
    spec = batch.parcel.adapter.actions.get(command.action)
    until = may_arrive_until(command, batch.parcel.adapter)
    if until and until > batch.now:
        _look_again(batch, command, until)
    elif spec and not spec.creates and command.content:
        _leave_to_people(batch, command)
    else:
        _send_anew(batch, command)


def _look_again(batch: Settlement, command: Command, at: datetime) -> None:
    move(command, Outcome.UNKNOWN, "Looked for and not there yet: what was sent may still arrive")
    command.state, command.due_at = WorkState.WAITING, at
    _tell(batch, command, "command.looked_for", f"not there yet; looked for again at {at:%H:%M:%S} UTC")
    batch.settled.append(command)


def _leave_to_people(batch: Settlement, command: Command) -> None:
    fault = Fault(
        Category.BUSINESS,
        "changed_since",
        "It is not there as it was sent, and somebody may have changed the object since. Compare both before it goes "
        "out again",
    )
    move(command, Outcome.FAILED, fault.message)
    _set_back(batch, command, fault, Verdict(WorkState.PARKED, batch.now))


def _send_anew(batch: Settlement, command: Command) -> None:
    move(command, Outcome.SUBMITTED, "Looked for and not there: it goes out again under the same operation id")
    command.state, command.due_at = WorkState.READY, batch.now
    _tell(batch, command, "command.looked_for", "not there; it goes out again under the same operation id")
    batch.settled.append(command)


def _tell(batch: Settlement, command: Command, action: str, what: str) -> None:
    attempt = batch.parcel.attempts.get(command.pk)
    head = f"{command.summary}: {what}"
    if attempt and attempt.state == AttemptState.ANSWERED:
        took = f"{(attempt.latency_ms or 0) / 1000:.1f} s"
        head = f"{command.summary}, answered {attempt.status} in {took}: {what}"
    data = {"attempt": attempt.pk if attempt else None, "external_id": command.external_id}
    batch.entries.append(entry_of(command, Lane.COMMANDS, action, head, data=data))


def _close_attempts(
    parcel: Parcel, latency: int | None, response: Response | None, effects: Sequence[Effect], fault: Fault | None
) -> None:
    if not parcel.attempts:
        return
    kept = _keep(parcel, response)
    told = dict(zip((command.pk for command in parcel.all), effects, strict=False))
    for pk, attempt in parcel.attempts.items():
        effect = told.get(pk)
        wrong = fault or (effect.fault if effect else None)
        attempt.state = AttemptState.ANSWERED if response else AttemptState.NO_ANSWER
        attempt.finished_at, attempt.latency_ms = datetime.now(UTC), latency
        if response and kept:
            attempt.status, attempt.provider_request_id = response.status, client.request_id_of(response)
            attempt.payload_id, attempt.payload_at = kept.id, kept.at
            attempt.path = effect.path[:60] if effect else ""
        if wrong:
            attempt.category, attempt.message = wrong.category, wrong.message
    update_rows(list(parcel.attempts.values()), ATTEMPT_FIELDS)


def _keep(parcel: Parcel, response: Response | None) -> payloads.Kept | None:
    if response is None:
        return None
    return payloads.keep(
        connection_id=parcel.connection.pk,
        source="answer",
        body=response.body,
        headers=response.headers,
        at=response.received_at,
    )


def _keep_answer(parcel: Parcel, attempt: Attempt | None, response: Response) -> None:
    kept = _keep(parcel, response)
    if attempt and kept:
        Attempt.objects.filter(pk=attempt.pk).update(payload_id=kept.id, payload_at=kept.at)
