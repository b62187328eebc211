"""Seals over the journal: signed checkpoints, so that removal, change and truncation show.

A checkpoint covers whole transactions. Those with a number below the oldest that still runs are over,
and nothing can be added to them, so each checkpoint takes up where the one before ended.

The newest checkpoint is also kept outside of the database, in DATA_DIR: without that, whoever removes
the newest checkpoints together with their entries leaves a shorter journal that looks whole.
"""

import json
import os
from base64 import b64encode
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from integrations.journal.keys import signing_key
from integrations.journal.lines import line, rows, stamp
from integrations.models import Checkpoint, JournalEntry

#: Of the advisory lock that one sealer holds: "seal" in ASCII.
LOCK = 0x7365616C
#: Entries that one checkpoint covers, give or take a transaction. Fewer tell more exactly what was changed.
MOST = 20_000


class JournalWentBack(Exception):
    """The database counts transactions from further back than the last seal.

    It was restored from a dump, and what it writes now falls into transactions that are sealed. Let it
    count on from there, with `pg_resetwal --next-transaction-id`.
    """


class JournalCut(Exception):
    """The newest seal that is known outside of the database is not in it any more, so nothing is sealed over the gap.

    Either somebody removed seals, or the database is another one, such as a restored backup. Who knows that
    it is removes journal-head.json from DATA_DIR; sealing then goes on from what is there.
    """


@dataclass(frozen=True)
class Head:
    """The newest checkpoint as it is known outside of the database."""

    number: int
    digest: str
    at: str


def seal() -> Checkpoint | None:
    """Seal all that has been written since the last checkpoint; return the newest one made.

    None where there is nothing to seal, or another process seals. Raises `JournalWentBack` and `JournalCut`.
    """
    newest, goal = None, _oldest_running()
    while made := _seal_next(goal):
        newest = made
    return newest


@transaction.atomic
def _seal_next(goal: int) -> Checkpoint | None:
    """Make the next checkpoint, of transactions below `goal`."""
    if not _alone():
        return None
    _refuse_a_cut()
    last = Checkpoint.objects.order_by("-number").first()
    start = last.to_xact if last else 0
    running = _oldest_running()
    if running < start:
        raise JournalWentBack(f"Sealed up to transaction {start}, running ones begin at {running}")
    end = _within_reach(start, goal)
    previous = last.digest if last else ""
    entries, digest = digest_of(start, end, previous)
    if not entries:
        return None
    checkpoint = Checkpoint(
        number=last.number + 1 if last else 1,
        from_xact=start,
        to_xact=end,
        entries=entries,
        digest=digest,
        previous=previous,
        at=timezone.now(),
    )
    checkpoint.signature = b64encode(signing_key().sign(signed_text(checkpoint))).decode()
    checkpoint.save()
    transaction.on_commit(partial(_remember, checkpoint))
    return checkpoint


def _refuse_a_cut() -> None:
    """Raise `JournalCut` rather than sign what somebody may have changed: the next seal would make it look whole."""
    head = read_head()
    if head and not Checkpoint.objects.filter(number=head.number, digest=head.digest).exists():
        raise JournalCut(f"The seal {head.number} of {head.at} is not in the database any more")


def _within_reach(start: int, end: int) -> int:
    """Return where a checkpoint ends that covers about `MOST` entries: whole transactions, at least one."""
    beyond = JournalEntry.objects.filter(xact__gte=start, xact__lt=end).order_by("xact").values_list("xact", flat=True)
    first = beyond.first()
    reached = beyond[MOST : MOST + 1].first()
    if first is None or reached is None:
        return end
    return reached if reached > first else reached + 1


def digest_of(start: int, end: int, previous: str) -> tuple[int, str]:
    """Count and digest the entries of the transactions in [start, end). Call inside a transaction."""
    total, count = sha256(previous.encode()), 0
    for row in rows(JournalEntry.objects.filter(xact__gte=start, xact__lt=end)):
        total.update(sha256(line(row)).digest())
        count += 1
    return count, total.hexdigest()


def signed_text(checkpoint: Checkpoint) -> bytes:
    """Return the bytes that a checkpoint's signature is made over."""
    return "\n".join(
        (
            "journal checkpoint 1",
            f"number {checkpoint.number}",
            f"transactions {checkpoint.from_xact} {checkpoint.to_xact}",
            f"entries {checkpoint.entries}",
            f"digest {checkpoint.digest}",
            f"previous {checkpoint.previous}",
            f"at {stamp(checkpoint.at)}",
        )
    ).encode()


def head_file() -> Path:
    """Return where the newest checkpoint is kept outside of the database."""
    return Path(settings.DATA_DIR) / "journal-head.json"


def read_head() -> Head | None:
    """Return the newest checkpoint known outside of the database, None where this machine knows none."""
    try:
        told = json.loads(head_file().read_text())
        return Head(int(told["number"]), str(told["digest"]), str(told["at"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(checkpoint: Checkpoint) -> None:
    path = head_file()
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    told = {"number": checkpoint.number, "digest": checkpoint.digest, "at": stamp(checkpoint.at)}
    draft.write_text(json.dumps(told))
    draft.replace(path)


def _alone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        return bool(cursor.fetchone()[0])


def _oldest_running() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        return int(cursor.fetchone()[0])
