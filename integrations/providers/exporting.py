"""What an adapter says of exporting our records to its provider: plain data in, plain data out.

Which canonical kind in which state asks for which action is the provider's business and stands in its folder;
when that is asked, what it waits for and what a person decides is the engine's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Made:
    """What an accepted action made or did: the object's id at the provider, and the content that was sent."""

    external_id: str
    content: Mapping[str, Any]


@dataclass(frozen=True)
class Hold:
    """Something that hangs on an object at the provider, which cannot be undone before that is gone.

    `operation_id` is the one that it carries, "" where none does. `part` is the record of ours that put it there, None
    where that was somebody else.
    """

    resource: str
    external_id: str
    operation_id: str = ""
    part: "Part | None" = None


@dataclass(frozen=True)
class Part:
    """A record as an adapter sees it for an export, with the records that it refers to.

    `data` is canonical. `source_id` is its id at its own provider, `external_id` that of its object here, "" where
    there is none. `made` is what was accepted of it here, by action. `shown_state` is the product state in which it
    was last seen here, and `holds` what hung on it then. `namesake`: one that came here before has the same label.
    `under_way`: something is to be done for it here yet, or being done. `settled`: all that is paid on it is here.
    `kept` holds what stands otherwise here, as a person left it: it is not to be written over, whatever else is.
    `peers` are the records of its kind that belong to the same one (`Exporter.peers`), without itself; what they were
    asked with and nobody has answered yet counts as made. `settings` are those of where it goes, as they are kept.
    `entered_at`: when it came into its state, where an event of its provider told so, and no look later on; else "".
    """

    record_id: int
    kind: str
    state: str
    data: Mapping[str, Any]
    label: str
    source_id: str = ""
    external_id: str = ""
    made: Mapping[str, Made] = field(default_factory=dict)
    links: Mapping[str, "Part"] = field(default_factory=dict)
    shown_state: str = ""
    holds: tuple[Hold, ...] = ()
    namesake: bool = False
    under_way: bool = False
    settled: bool = False
    kept: Mapping[str, Any] = field(default_factory=dict)
    peers: "tuple[Part, ...]" = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    entered_at: str = ""


@dataclass(frozen=True)
class Ask:
    """An action is needed now. `external_id` is what it is done to, "" for one that creates.

    `reason` says why, where the record does not tell by itself.
    """

    action: str
    content: Mapping[str, Any]
    external_id: str = ""
    reason: str = ""

    @property
    def written(self) -> dict[str, Any]:
        """The content that is written: of an update that says what has `changed`, only that."""
        names = self.content.get("changed")
        return dict(self.content) if names is None else {name: self.content.get(name) for name in names}


@dataclass(frozen=True)
class Await:
    """The record that `part` is has to be there first; `gone`: it has to be gone from there.

    `reason` says why, where something else of it is waited for.
    """

    part: Part
    gone: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Nothing:
    """Nothing is to be done; `reason` says why where the record is not there, or not as it is here."""

    reason: str = ""


@dataclass(frozen=True)
class Impossible:
    """It cannot be exported as it is; `reason` says why, and what a person may do."""

    reason: str


Plan = Ask | Await | Nothing | Impossible


@dataclass(frozen=True)
class Expected:
    """How the provider is to show the object: one of some product states, and these fields, as they were sent.

    `now` holds what is to be in those fields by what the record says now, as far as that can be told.
    """

    states: frozenset[str]
    fields: Mapping[str, Any]
    now: Mapping[str, Any] = field(default_factory=dict)


class Exporter(Protocol):
    """The rules of one provider. Pure: the same part gives the same plan."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The canonical kinds that the provider takes, in the order in which they need each other."""
        ...

    @property
    def peers(self) -> Mapping[str, tuple[str, ...]]:
        """The kinds of which one has to know the others: the links that lead to what they have in common."""
        ...

    def plan(self, part: Part) -> Plan:
        """Say what is to be done next for a record to be there as it is here."""
        ...

    def holds(self, obj: Mapping[str, Any]) -> tuple[Hold, ...]:
        """Return what hangs on an object as the provider shows it."""
        ...

    def expected(self, part: Part) -> Expected | None:
        """Say how its object is to look by what was made; None where nothing was."""
        ...
