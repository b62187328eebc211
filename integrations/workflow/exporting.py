"""What becomes of an export next. Pure: no database, no clock."""

import re
from dataclasses import dataclass

from integrations.models.copy import CopyState
from integrations.providers.exporting import Ask, Await, Impossible, Nothing, Part, Plan

#: The code of what was changed at the target.
DIFFERS = "export:differs"


@dataclass(frozen=True)
class Standing:
    """How an export stands beside its plan.

    `blocked` says why its newest command cannot go on without a person, `flying` that it is under way. `differs`
    counts the open differences between what was sent and what the target shows, `overtaken` says that the record has
    changed since they were found; `fresh` that the target was looked at just now, and nothing has told of a change
    since. `ended` says why nothing more of it is exported: its route was ended, or a person left it out. `outdated`:
    what was refused is not what the record says by now.
    """

    flying: bool = False
    blocked: str = ""
    differs: int = 0
    overtaken: bool = False
    fresh: bool = False
    ended: str = ""
    outdated: bool = False


@dataclass(frozen=True)
class Step:
    """The next state of a copy with its reason in words, and what is to be done for it.

    `look`: the target is asked how the object stands. `waits_on`: the id of the record that has to be there first.
    `code` groups what needs a person by its cause, where no command of its own says so. `drop`: its refused command
    is cancelled, because another one takes its place.
    """

    state: str
    reason: str = ""
    ask: Ask | None = None
    look: bool = False
    waits_on: int | None = None
    code: str = ""
    drop: bool = False


def next_step(part: Part, plan: Plan, standing: Standing, *, target: str, creates: bool, awaited: str = "") -> Step:
    """Return the next step of an export to `target`.

    `creates` says that what is planned makes a new object; `awaited` is the state of the copy that it waits for. What
    is there is written over only if it was looked at just now and stands as we left it: nobody's work is undone there.
    """
    if standing.blocked and standing.outdated and not standing.ended:
        return Step(
            CopyState.WAITING,
            f"{target} refused it as it was. Something else is wanted since, and goes out.",
            drop=True,
        )
    if standing.blocked and (standing.flying or not standing.ended):
        return Step(CopyState.STOPPED, standing.blocked)
    if standing.flying:
        return Step(CopyState.WAITING, f"{target} was asked, and has not accepted it yet.")
    if standing.ended:
        return Step(CopyState.EXPORTED if part.made else CopyState.NOT_NEEDED, standing.ended)
    if standing.overtaken:
        return Step(
            CopyState.WAITING,
            f"{target} is asked how it stands there: it stood otherwise, and changed here.",
            look=True,
        )
    if isinstance(plan, Await) and plan.reason:
        return Step(CopyState.WAITING, plan.reason, waits_on=plan.part.record_id)
    if isinstance(plan, Await):
        return _wait_gone(plan.part, target, awaited) if plan.gone else _wait(plan.part, target, awaited)
    if isinstance(plan, Impossible):
        return Step(CopyState.STOPPED, plan.reason, code=f"export:{_alike(plan.reason)}")
    if isinstance(plan, Nothing):
        return Step(CopyState.EXPORTED if part.made else CopyState.NOT_NEEDED, plan.reason)
    if not creates and standing.differs:
        fields = "1 field" if standing.differs == 1 else f"{standing.differs} fields"
        reason = f"It was changed at {target} in {fields}: nothing is written over it. Decide."
        return Step(CopyState.STOPPED, reason, code=DIFFERS)
    if not creates and not standing.fresh:
        return Step(CopyState.WAITING, f"{target} is asked how it stands there, before anything is written.", look=True)
    return Step(CopyState.WAITING, f"{target} was asked, and has not accepted it yet.", ask=plan)


def _alike(reason: str) -> str:
    """Return what reasons that differ in their figures only have in common."""
    return re.sub(r"[\d.,]*\d", "#", reason)[:120]


def _wait(other: Part, target: str, awaited: str) -> Step:
    name = f"{other.kind} {other.label}"
    if awaited == CopyState.NOT_NEEDED:
        return Step(CopyState.NOT_NEEDED, f"Its {name} is not exported.", waits_on=other.record_id)
    if awaited == CopyState.STOPPED:
        return Step(CopyState.WAITING, f"Waits for {name}, whose export needs a person.", waits_on=other.record_id)
    return Step(CopyState.WAITING, f"Waits for {name} to be at {target}.", waits_on=other.record_id)


def _wait_gone(other: Part, target: str, awaited: str) -> Step:
    name = f"{other.kind} {other.label}"
    person = ", whose export needs a person" if awaited == CopyState.STOPPED else ""
    return Step(CopyState.WAITING, f"Waits until {name} is out of {target}{person}.", waits_on=other.record_id)


def operation_id(route_id: int, record_id: int, version: int, round_: int, action: str) -> str:
    """Return the operation id of one action for one version of a record: the same intent has the same one."""
    return f"x{route_id}-{record_id}-v{version}{f'.{round_}' if round_ else ''}-{action}"
