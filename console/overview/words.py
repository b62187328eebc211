"""What the overview says in sentences. Pure functions of its rows."""

from collections.abc import Sequence
from datetime import datetime
from textwrap import shorten

from console import look
from console.overview.rows import Row
from console.wording import age, count, moment
from integrations.models import WorkState

NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")


def title(rows: Sequence[Row]) -> str:
    """Return the answer to the page's question: does a connection need somebody?"""
    needy = sum(row.needs_someone for row in rows)
    if not rows:
        return "Nothing is connected yet"
    if not needy:
        return "Everything is paused" if all(_rests(row) for row in rows) else "Everything moves"
    return f"{spelled(needy)} {'connection needs' if needy == 1 else 'connections need'} someone"


def lead(rows: Sequence[Row], now: datetime) -> str:
    """Return one or two sentences of why, and what is safe."""
    needy = [row for row in rows if row.needs_someone]
    if not rows:
        return "An engineer connects a provider; its data, its problems and its pace show here."
    if not needy:
        return f"{_moving(rows)} Nothing waits for a person."
    told = [f"{row.connection.name}{_resting(row)}: {'; '.join(_reasons(row, now))}." for row in needy[:2]]
    if len(needy) > 2:
        told.append(f"{spelled(len(needy) - 2)} more below.")
    return " ".join([*told, "Nothing is lost."])


def _resting(row: Row) -> str:
    """Say first that nothing moves here, where somebody chose that."""
    if row.connection.disabled_at:
        return " is disabled"
    return f" is paused by {row.connection.paused_by}" if row.connection.paused_at else ""


def _reasons(row: Row, now: datetime) -> list[str]:
    reasons = []
    parked = row.backlog.of(WorkState.PARKED)
    waits = f"{count(parked, 'event')}{' or more' if row.backlog.capped else ''} parked" if parked else ""
    if row.lacking:
        reasons.append(f"no {listed(row.lacking)} is accepted, so nothing is read")
    if row.breaker:
        reasons.append(f"its breaker is {row.breaker_word} for commands{_behind(row)}")
    if row.asked:
        problems = sum(number for _, number in row.asked)
        verb = "waits" if problems == 1 else "wait"
        who = listed([asked(owner) for owner, _ in row.asked])
        reasons.append(f"{count(problems, 'problem')} {verb} for {who}{f', {waits}' if waits else ''}")
    if row.late:
        oldest = min((each.as_of for each in row.late if each.as_of), default=now)
        names = listed([each.stream.title.lower() for each in row.late])
        reasons.append(f"data is late ({names}: {age((now - oldest).total_seconds())} old)")
    never = [each.stream.title.lower() for each in row.streams if each.word == "never"]
    if never:
        reasons.append(f"nothing came yet of {listed(never)}")
    return reasons


def held(row: Row) -> str:
    """Return who or what holds the commands of a connection, "" where its breaker is closed."""
    if row.breaker is None:
        return ""
    who = f" by {row.breaker.changed_by}" if row.breaker.changed_by else ""
    return f"Commands held{who}: {_brief(row.breaker.reason)}"


def _behind(row: Row) -> str:
    number = row.unsent.number
    more = " or more" if row.unsent.capped else ""
    return f", {count(number, 'command')}{more} {'waits' if number == 1 else 'wait'}" if number else ""


def note(row: Row, now: datetime) -> str:
    """Return what is special about a connection, "" where nothing is."""
    connection, told = row.connection, []
    if connection.disabled_at:
        told.append(f"Disabled, refuses webhooks: {_brief(connection.disable_reason)}")
    elif connection.paused_at:
        told.append(_paused("Paused", connection, now))
    told += [_paused(f"{each.stream.title} paused", each.stream, now) for each in row.streams if each.stream.paused_at]
    for run in row.first_syncs:
        what = run.stream.title.lower() if run.stream else "data"
        told.append(f"First sync, {what}: {count(run.items, 'object')} so far")
    return "; ".join(told)


def _paused(what: str, target: object, now: datetime) -> str:
    until = getattr(target, "paused_until", None)
    ends = f" until {moment(until, now)}" if until else ""
    return f"{what} by {getattr(target, 'paused_by', '')}{ends}: {_brief(getattr(target, 'pause_reason', ''))}"


def _brief(reason: str) -> str:
    return f"“{shorten(reason, 80, placeholder='…')}”"


def allowance(row: Row) -> str:
    """Return what stands below a connection's age of data."""
    fresh = row.freshness
    if fresh is None:
        return "no streams"
    if row.lacking:
        return f"waits for the {listed(row.lacking)}"
    title = fresh.stream.title if len(row.streams) > 1 else ""
    if fresh.late:
        return ", ".join(filter(None, (title, f"should be under {age(fresh.stream.fresh_within)}")))
    if fresh.word == "held":
        return "held while disabled" if row.connection.disabled_at else "held while paused"
    if fresh.word == "never":
        return ", ".join(filter(None, (title, "nothing came yet")))
    if fresh.word == "first sync":
        return f"{title.lower() or 'data'} under way"
    return ", ".join(filter(None, (title, f"by {fresh.by}" if fresh.by else "")))


def every_stream(row: Row, now: datetime) -> str:
    """Return the age of each stream's data in one line, for those who look closer."""
    parts = []
    for each in row.streams:
        old = f"{age((now - each.as_of).total_seconds())} old by {each.by}" if each.as_of else each.word
        parts.append(f"{each.stream.title}: {old}, should be under {age(each.stream.fresh_within)}")
    return "; ".join(parts)


def _moving(rows: Sequence[Row]) -> str:
    resting = sum(_rests(row) for row in rows)
    done = sum(row.last_hour.done for row in rows)
    told = f"{count(done, 'event')} went through in the last hour"
    if resting:
        told += f"; {count(resting, 'connection')} {'rests' if resting == 1 else 'rest'} by choice"
    return f"{told}."


def _rests(row: Row) -> bool:
    return bool(row.connection.paused_at or row.connection.disabled_at)


def asked(owner: str) -> str:
    """Return a role as sentences say it: "engineers", "operations"."""
    return look.OWNERS[owner].title.lower() if owner in look.OWNERS else owner


def spelled(number: int) -> str:
    """Return a small number as a word, for the beginning of a sentence."""
    return NUMBERS[number] if number < len(NUMBERS) else f"{number:,}"


def listed(words: Sequence[str]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
