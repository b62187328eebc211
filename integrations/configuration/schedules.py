"""When a connection's streams run and scan, how far they look back, and when bulk runs may go on."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from integrations.configuration.settings import BadSettings
from integrations.journal import history
from integrations.journal.actor import Actor
from integrations.journal.write import write_act
from integrations.models import Connection, Run, Stream, WorkState
from integrations.models.run import OFF_PEAK
from integrations.workflow.errors import IN_HISTORY, Refusal, require_reason
from integrations.workflow.schedules import BadSchedule, length_said, next_after, read, read_length
from integrations.workflow.wake import RUNS, after_commit
from integrations.workflow.windows import BadWindow, parse_all, read_all

Change = tuple[str, Any, Any]

#: What may be changed of a stream, by the name under which it is kept.
TITLES: Final = {
    "schedule": "Runs",
    "overlap": "Overlap for clock skew",
    "scan": "Absence scan",
    "absent_share": "Most that may go at once, percent",
    "absent_least": "But never fewer than",
}
#: Seconds that a resync may look back at most.
LONGEST_OVERLAP: Final = 7 * 86_400
NEVER: Final = "never"
NOTHING_NEW: Final = "This is how it is already. Nothing was changed."


def said(every: int, cron: str) -> str:
    """Return a schedule as `read` takes it: "15 min", "30 2 * * mon-fri", "never"."""
    return cron or (length_said(every) if every else NEVER)


@transaction.atomic
def change_stream(stream: Stream, *, values: Mapping[str, Any], actor: Actor, reason: str) -> list[Change]:
    """Give a stream another schedule; return what changed as (title, old, new).

    `values` by the names of `TITLES`: `schedule` and `scan` in words ("15 min", five cron fields; "never" for no
    scan), `overlap` ("5 min"). What is not given stays. Raises `BadSettings`, and `Refusal` where there is no reason
    or nothing to change.
    """
    require_reason(reason, IN_HISTORY)
    held = Stream.objects.select_for_update(of=("self",), no_key=True).select_related("connection").get(pk=stream.pk)
    before = values_of(held)
    _fill(held, values)
    after = values_of(held)
    changes = [(TITLES[name], before[name], after[name]) for name in TITLES if before[name] != after[name]]
    if not changes:
        raise Refusal(NOTHING_NEW)
    _reschedule(held, before, after)
    history.save(held, actor=actor, reason=reason)
    words = f"{actor.name} changed {held.title}: {', '.join(title for title, _, _ in changes)}"
    write_act(held, "stream.changed", words, at=held.connection, data={"changes": changes}, actor=actor, reason=reason)
    return changes


def values_of(stream: Stream) -> dict[str, Any]:
    """Return what may be changed of a stream, by the names of `TITLES`."""
    return {
        "schedule": said(stream.every, stream.cron),
        "overlap": length_said(stream.overlap),
        "scan": said(stream.scan_every, stream.scan_cron),
        "absent_share": stream.absent_share,
        "absent_least": stream.absent_least,
    }


def _fill(stream: Stream, values: Mapping[str, Any]) -> None:
    """Set a stream's values; raises `BadSettings` with a sentence for each that does not fit."""
    faults: dict[str, str] = {}
    given = values_of(stream) | dict(values)
    for name, fill in _FILLED.items():
        try:
            fill(stream, given[name])
        except BadSchedule as bad:
            faults[name] = str(bad)
    if stream.change_log and (stream.scan_every or stream.scan_cron):
        faults["scan"] = "This stream holds events, and no objects that could be gone."
    if faults:
        raise BadSettings(faults)


def _fill_schedule(stream: Stream, text: str) -> None:
    stream.every, stream.cron = read(text)


def _fill_overlap(stream: Stream, text: str) -> None:
    stream.overlap = read_length(text, 0, LONGEST_OVERLAP)


def _fill_scan(stream: Stream, text: str) -> None:
    stream.scan_every, stream.scan_cron = (0, "") if text.strip().lower() in ("", NEVER) else read(text)


def _fill_share(stream: Stream, share: int) -> None:
    stream.absent_share = _within(share, 1, 100)


def _fill_least(stream: Stream, least: int) -> None:
    stream.absent_least = _within(least, 1, 1_000_000)


def _within(number: int, least: int, most: int) -> int:
    if not least <= number <= most:
        raise BadSchedule(f"Give a whole number from {least:,} to {most:,}.")
    return number


_FILLED: Final[dict[str, Callable[[Stream, Any], None]]] = {
    "schedule": _fill_schedule,
    "overlap": _fill_overlap,
    "scan": _fill_scan,
    "absent_share": _fill_share,
    "absent_least": _fill_least,
}


def _reschedule(stream: Stream, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    now = timezone.now()
    if before["schedule"] != after["schedule"]:
        stream.next_run_at = next_after(now, every=stream.every, cron=stream.cron)
    if before["scan"] != after["scan"]:
        stream.next_scan_at = next_after(now, every=stream.scan_every, cron=stream.scan_cron)


@transaction.atomic
def change_windows(connection: Connection, *, lines: str, actor: Actor, reason: str) -> list[Change]:
    """Give a connection other off-peak windows, one a line; return what changed. None: bulk runs go on always.

    Bulk runs that wait look at once whether they may go on. Raises `BadSettings` and `Refusal`.
    """
    require_reason(reason, IN_HISTORY)
    try:
        windows = [window.kept() for window in parse_all(lines)]
    except BadWindow as bad:
        raise BadSettings({"windows": str(bad)}) from bad
    held = Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
    change = ("Off-peak windows", windows_said(held.windows), windows_said(windows))
    if held.windows == windows:
        raise Refusal(NOTHING_NEW)
    held.windows = windows
    history.save(held, actor=actor, reason=reason, fields=["windows"])
    waiting = Run.objects.filter(connection=held, state=WorkState.WAITING, waits_for=OFF_PEAK)
    waiting.update(due_at=timezone.now())
    after_commit(RUNS)
    words = f"{actor.name} changed the off-peak windows of {held.name}"
    write_act(held, "settings.changed", words, data={"changes": [change]}, actor=actor, reason=reason)
    return [change]


def windows_said(kept: list[dict[str, Any]]) -> str:
    """Return windows in words, "none" where bulk runs go on always."""
    return "; ".join(str(window) for window in read_all(kept)) or "none"
