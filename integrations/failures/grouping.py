"""Failures of one connection that share a category and a fingerprint are one problem for people."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from django.db import connection as database
from django.utils import timezone

from integrations.failures.categories import POLICIES, Category, Fault, next_step
from integrations.models import Command, Connection, Copy, Delivery, Event, Failure, Problem, Record, Run

#: What can fail, as `Failed` and `Failure` name it; several of it, as `open_failures_of` does.
SUBJECTS = {"event": "events", "run": "runs", "command": "commands", "delivery": "deliveries", "copy": "copies"}


@dataclass
class Failed:
    """One thing that failed: a fault on an event, a run, a command, a delivery or an export."""

    fault: Fault
    connection: Connection
    event: Event | None = None
    run: Run | None = None
    command: Command | None = None
    delivery: Delivery | None = None
    copy: Copy | None = None
    record: Record | None = None
    resource: str = ""
    difference: list[Any] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.fault.category, self.fault.code, self.resource)


def fingerprint(category: str, code: str, resource: str) -> str:
    """Return what makes two failures of one connection the same problem; 16 hex digits of SHA-256."""
    return sha256(f"{category}\n{code}\n{resource}".encode()).hexdigest()[:16]


def note(failures: Iterable[Failed], *, gone: Iterable[Failure] = ()) -> None:
    """Write failures and count them in their problems; call in the transaction of the work that failed.

    Work that fails again before it was resolved counts as a repeat of its open failure, not as a new one.
    `gone` are the failures of work that went through in the same transaction.
    """
    found = list(failures)
    counts = _close(gone, "It went through")
    problems = _problems(found) if found else {}
    open_failures = _open_failures(found) if found else {}
    now = timezone.now()
    fresh, again, other = [], [], []
    for failed in found:
        problem = problems[failed.connection.pk, failed.fingerprint]
        before = open_failures.get(_subject(failed))
        if before is not None and before.problem_id == problem.pk:
            before.repeats, before.at, before.message = before.repeats + 1, now, failed.fault.message
            before.record = before.record or failed.record
            again.append(before)
        else:
            if before is not None:
                other.append(before)
            fresh.append(_row(failed, problem))
    counts.add(_close(other, "It failed otherwise since"))
    Failure.objects.bulk_create(fresh)
    Failure.objects.bulk_update(again, ["repeats", "at", "message", "record"])
    for failure in fresh:
        counts.count(failure.problem_id, total=1, still_open=1)
    for failure in again:
        counts.count(failure.problem_id, total=1)
    counts.write()


def resolve(failures: Iterable[Failure], how: str) -> None:
    """Close failures, since their work went through or was dismissed, and count their problems down."""
    _close(failures, how).write()


@dataclass
class _Counts:
    """What a transaction adds to the counts of some problems: (all, open), by id."""

    by_problem: dict[int, tuple[int, int]] = field(default_factory=dict)

    def count(self, problem_id: int, *, total: int = 0, still_open: int = 0) -> None:
        before = self.by_problem.get(problem_id, (0, 0))
        self.by_problem[problem_id] = (before[0] + total, before[1] + still_open)

    def add(self, other: "_Counts") -> None:
        for problem_id, (total, still_open) in other.by_problem.items():
            self.count(problem_id, total=total, still_open=still_open)

    def write(self) -> None:
        """Add to the problems, locked in order of id, so that two workers never wait for each other in a ring."""
        ids = sorted(self.by_problem)
        if not ids:
            return
        list(Problem.objects.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True).values_list("pk"))
        with database.cursor() as cursor:
            cursor.execute(
                """
                UPDATE integrations_problem p SET count = p.count + d.total, open_count = p.open_count + d.still_open,
                    last_seen_at = CASE WHEN d.total > 0 THEN now() ELSE p.last_seen_at END
                FROM unnest(%s::bigint[], %s::int[], %s::int[]) AS d(id, total, still_open) WHERE p.id = d.id
                """,
                [ids, [self.by_problem[pk][0] for pk in ids], [self.by_problem[pk][1] for pk in ids]],
            )


def _close(failures: Iterable[Failure], how: str) -> _Counts:
    """Mark failures as resolved; those that somebody else resolved meanwhile count once."""
    counts = _Counts()
    ids = sorted(failure.pk for failure in failures)
    if ids:
        with database.cursor() as cursor:
            cursor.execute(
                """
                UPDATE integrations_failure SET resolved_at = now(), resolution = %s
                WHERE id = ANY(%s) AND resolved_at IS NULL RETURNING problem_id
                """,
                [how[:200], ids],
            )
            for (problem_id,) in cursor.fetchall():
                counts.count(problem_id, still_open=-1)
    return counts


def open_failures_of(
    events: Iterable[int] = (),
    runs: Iterable[int] = (),
    commands: Iterable[int] = (),
    deliveries: Iterable[int] = (),
    copies: Iterable[int] = (),
) -> list[Failure]:
    """Return the failures of some work that are not resolved."""
    found = Failure.objects.filter(resolved_at__isnull=True)
    of = zip(SUBJECTS, (events, runs, commands, deliveries, copies), strict=True)
    return [row for subject, ids in of if (wanted := list(ids)) for row in found.filter(**{f"{subject}__in": wanted})]


def name_unknown(problem: Problem, category: Category) -> None:
    """Give a problem another category, as an engineer decided; later failures with its code follow it."""
    policy = POLICIES[category]
    step = next_step(category, work_of(problem))
    Problem.objects.filter(pk=problem.pk).update(category=category, owner=policy.owner, next_step=step)
    Failure.objects.filter(problem=problem).update(category=category)


def work_of(problem: Problem) -> str:
    """Return what failed most recently in a problem, as `SUBJECTS` names it."""
    newest = Failure.objects.filter(problem=problem).order_by("-id").first()
    return _subject_of(newest)[0] if newest else "event"


def _subject(failed: Failed) -> tuple[str, int]:
    return next((name, work.pk) for name in SUBJECTS if (work := getattr(failed, name)) is not None)


def _open_failures(found: list[Failed]) -> dict[tuple[str, int], Failure]:
    ids: dict[str, list[int]] = {several: [] for several in SUBJECTS.values()}
    for name, pk in map(_subject, found):
        ids[SUBJECTS[name]].append(pk)
    return {_subject_of(row): row for row in open_failures_of(**ids)}


def _subject_of(failure: Failure) -> tuple[str, int]:
    return next((name, pk) for name in SUBJECTS if (pk := getattr(failure, f"{name}_id")) is not None)


def _problems(found: list[Failed]) -> dict[tuple[int, str], Problem]:
    now = timezone.now()
    wanted = {(f.connection.pk, f.fingerprint): f for f in sorted(found, key=lambda f: f.fingerprint)}
    Problem.objects.bulk_create(
        [
            Problem(
                tenant_id=f.connection.tenant_id,
                environment=f.connection.environment,
                connection=f.connection,
                category=f.fault.category,
                fingerprint=key[1],
                code=f.fault.code[:160],
                title=_title(f),
                next_step=f.fault.next_step or next_step(f.fault.category, _subject(f)[0]),
                owner=f.fault.owner or POLICIES[f.fault.category].owner,
                first_seen_at=now,
                last_seen_at=now,
            )
            for key, f in wanted.items()
        ],
        ignore_conflicts=True,
    )
    rows = Problem.objects.filter(connection_id__in={c for c, _ in wanted}, fingerprint__in={p for _, p in wanted})
    return {(p.connection_id, p.fingerprint): p for p in rows}


def _title(failed: Failed) -> str:
    message = failed.fault.message
    if failed.run is not None and failed.run.stream is not None:
        return f"{failed.run.stream.title}: {message}"[:300]
    named = not failed.resource or failed.resource.replace("_", " ") in message.lower() or failed.resource in message
    return (message if named else f"{failed.resource}: {message}")[:300]


def _row(failed: Failed, problem: Problem) -> Failure:
    fault = failed.fault
    return Failure(
        tenant_id=failed.connection.tenant_id,
        environment=failed.connection.environment,
        connection=failed.connection,
        problem=problem,
        event=failed.event,
        run=failed.run,
        command=failed.command,
        delivery=failed.delivery,
        copy=failed.copy,
        record=failed.record,
        category=problem.category,
        code=fault.code[:160],
        message=fault.message,
        field=fault.field[:160],
        value=fault.value[:500],
        difference=failed.difference,
        at=timezone.now(),
    )
