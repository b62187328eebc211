"""Celery's entry points: thin, each calls one function. A lost or doubled message does no harm."""

import inspect
import logging
from time import monotonic

from celery import shared_task
from django.db import connection

from integrations.configuration import credentials, subscriptions
from integrations.journal.partitions import ensure_partitions
from integrations.workflow import (
    confirming,
    copies,
    export,
    outbox,
    parcels,
    pause,
    process,
    runs,
    sending,
    sync,
    waits,
    wake,
    work,
)

log = logging.getLogger(__name__)

#: Seconds that one task works before it hands over, so that other tasks get their turn.
TURN = 15.0


@shared_task(name=wake.EVENTS)
def process_events() -> None:
    """Settle events until none is due, or hand over after a turn."""
    end = monotonic() + TURN
    process.process_due(seconds=TURN)
    if monotonic() >= end:
        wake.send(wake.EVENTS)


@shared_task(name=wake.RUNS)
def perform_runs() -> None:
    """Perform one due run, and wake the next."""
    if sync.perform_next():
        wake.send(wake.RUNS)


@shared_task(name=wake.COMMANDS)
def send_commands() -> None:
    """Send what is due, for one turn at most, and wake the next."""
    end = monotonic() + TURN
    while monotonic() < end:
        if not sending.send_next():
            return
    wake.send(wake.COMMANDS)


@shared_task(name=wake.DELIVERIES)
def send_deliveries() -> None:
    """Send deliveries until none is due, or hand over after a turn."""
    outbox.send_due(seconds=TURN)


@shared_task(name=wake.EXPORTS)
def plan_exports() -> None:
    """Plan what is to be exported until nothing is due, or hand over after a turn."""
    export.plan_due(seconds=TURN)
    if export.is_due():
        wake.send(wake.EXPORTS)


@shared_task(name="integrations.sweep")
def sweep() -> None:
    """Bring back what died, plan what is due, end what is over, and wake workers for what waits."""
    work.sweep()
    outbox.free_lost()
    waits.wake_overlooked()
    parcels.recover()
    confirming.ask_for_the_accepted()
    confirming.park_the_unseen()
    pause.end_due()
    subscriptions.end_due()
    credentials.retire_due()
    subscriptions.retire_due()
    credentials.prove_due()
    runs.schedule()
    copies.ask_again()
    wake.send(wake.EVENTS)
    wake.send(wake.RUNS)
    wake.send(wake.COMMANDS)
    if outbox.is_due():
        wake.send(wake.DELIVERIES)
    if export.is_due():
        wake.send(wake.EXPORTS)


@shared_task(name="integrations.verify_credential")
def verify_credential(credential_id: int) -> None:
    """Prove a new secret by a call to its provider."""
    credentials.verify(credential_id)


@shared_task(name="integrations.daily")
def daily() -> None:
    """Make the partitions of the months to come."""
    ensure_partitions(connection)


@shared_task(name="integrations.seal_journal")
def seal_journal() -> None:
    """Seal the journal's finished transactions."""
    from integrations.journal.seal import JournalCut, JournalWentBack, seal

    try:
        seal()
    except (JournalCut, JournalWentBack) as error:
        log.error("The journal is not sealed: %s. %s", error, inspect.getdoc(error))
