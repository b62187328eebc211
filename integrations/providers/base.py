"""What every adapter answers, in the same order, and the plain data that crosses the border.

An adapter is a provider as code: pure translation. It holds no ORM, queue, sleep, retry loop,
permission or template. HTTP goes through the `Transport` it is handed, so that the engine records
each exchange; provider words stay inside the adapter's folder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Literal, Protocol

from pydantic import BaseModel

from integrations.failures.categories import Fault
from integrations.providers.exporting import Exporter

#: Marks, as `json_schema_extra`, the setting that says to which address secrets are sent.
RECEIVES_SECRETS: Final = "receives_secrets"
#: Marks the setting that says whose account at the provider it is: it stays once anything came of the connection.
NAMES_ACCOUNT: Final = "names_account"


@dataclass(frozen=True)
class Request:
    """One HTTP request to a provider. `url` is absolute. `query` and `headers` hold plain text.

    `places` says of a request that asks for several things where each lies in the body, as JSON pointers.
    """

    method: str
    url: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = b""
    places: tuple[str, ...] = ()


@dataclass(frozen=True)
class Response:
    """One HTTP answer. Header names are lower case. `received_at` is our clock, UTC."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


class Transport(Protocol):
    """Sends one request and returns the answer, or raises `Fault` (timeout, provider outage)."""

    def __call__(self, request: Request) -> Response: ...


@dataclass(frozen=True)
class StreamSpec:
    """A resource that can be synced.

    `resource` is the provider's name of it, `kind` our canonical kind ("" for a change log, which
    carries events about many resources). `every` is the default interval in seconds, `fresh_within`
    the age in seconds after which data counts as late. `overlap` is for how many seconds before the start
    of the last run the next one looks again, in the provider's clock: what shows up late is not missed.

    `together` is how many objects `Adapter.fetch_several` brings in one request at most; 1 where each is fetched alone.

    `deletions` says whether its list shows what was deleted or voided ("shown"), leaves it out ("hidden": an
    absence scan looks for it daily), or whether nothing of it ever goes ("never").
    """

    resource: str
    kind: str
    title: str
    every: int
    fresh_within: int
    change_log: bool = False
    overlap: int = 300
    together: int = 1
    deletions: Literal["hidden", "shown", "never"] = "hidden"


@dataclass(frozen=True)
class SecretSpec:
    """A secret of a connection, by the name under which credentials keep it.

    `verified_by`: "call" means that `Adapter.check` proves it by a request to the provider,
    "delivery" that only a webhook signed with it can. `several`: more than one may be valid at once.
    """

    name: str
    title: str
    hint: str
    verified_by: Literal["call", "delivery"]
    pattern: str = ""
    single_use: bool = False


@dataclass(frozen=True)
class Access:
    """What an adapter needs to talk for one connection: validated settings and decrypted secrets."""

    settings: BaseModel
    secrets: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Account:
    """Whose account secrets open. `id` is the provider's own, "" where they may not read it; `name` is for people."""

    id: str
    name: str


@dataclass(frozen=True)
class Renewed:
    """Fresh secrets by name, in place of those that were spent for them; they are good until `expires_at`."""

    secrets: Mapping[str, str] = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True)
class Item:
    """One piece of evidence found in a webhook, a page, a change log or an answer.

    `event_id` is the provider's own id of the event, "" where the evidence is an object and not an
    event. `occurred_at` is the provider's clock (UTC, at some in whole seconds). `exact` says that the
    evidence shows the object as it stands at that time, on request, and so outranks an event of the
    same instant. `path` is where the object lies in its payload, as a JSON pointer (RFC 6901); "" is
    the whole of it, or for an event that says only that `external_id` changed, nowhere. `obj` is the
    object itself, empty where it has to be fetched. `ignored` explains why the adapter needs nothing
    done about it. `fault` is what is wrong with this piece alone, so that one bad entry does not stop
    its page.
    """

    event_id: str
    event_type: str
    resource: str
    external_id: str
    occurred_at: datetime
    path: str
    obj: Mapping[str, Any]
    exact: bool = False
    deleted: bool = False
    ignored: str = ""
    fault: Fault | None = None


@dataclass(frozen=True)
class Page:
    """One page of a stream. `next_cursor` is None when the provider says that this was the last.

    An empty page with a next cursor is not the end. `cursor` is plain JSON and resumes the run.
    """

    items: tuple[Item, ...]
    next_cursor: dict[str, Any] | None
    as_of: datetime


@dataclass(frozen=True)
class Found:
    """The provider's present object, or None when the provider says that there is none."""

    item: Item | None
    as_of: datetime


@dataclass(frozen=True)
class ActionSpec:
    """Something that a provider can be asked to do.

    `resource` is what it acts on, `title` says it in words ("Create invoice"). `batch` is how many travel in one
    request at most. `creates`: it makes an object, so that its effect has to be looked for before it is repeated
    without a key that the provider remembers. `content` is the shape of what it is asked with; None takes any.
    """

    name: str
    resource: str
    title: str
    batch: int = 1
    creates: bool = False
    content: type[BaseModel] | None = None


@dataclass(frozen=True)
class Intent:
    """One command as an adapter sees it.

    `operation_id` (at most 50 characters) is written into the object where the provider has a field for it, so
    that its effect can be found and recognised. `external_id` is what the action is done to, "" where the object
    is to be made. `content` is canonical: minor units with an ISO 4217 currency, RFC 3339 times, links as external
    ids at this connection.
    """

    operation_id: str
    action: str
    external_id: str
    content: Mapping[str, Any]


@dataclass(frozen=True)
class Effect:
    """What an answer says of one intent: the object that came of it, or what was wrong with this one alone.

    `path` is where its part lies in the answer, as a JSON pointer.
    """

    external_id: str
    path: str
    obj: Mapping[str, Any] = field(default_factory=dict)
    fault: Fault | None = None


@dataclass(frozen=True)
class Limits:
    """How much a provider allows one connection: requests a minute and a day, and at once; None: no such limit."""

    per_minute: int | None = None
    per_day: int | None = None
    at_once: int | None = None


@dataclass(frozen=True)
class Remaining:
    """What a provider says is left of the limits of a connection at the time of an answer; None: not told."""

    this_minute: int | None = None
    today: int | None = None


class Adapter(Protocol):
    """A provider as code. See `integrations/providers/README.md` for how to add one."""

    slug: ClassVar[str]
    title: ClassVar[str]
    api_version: ClassVar[str]
    settings_schema: ClassVar[type[BaseModel]]
    secrets: ClassVar[tuple[SecretSpec, ...]]
    streams: ClassVar[tuple[StreamSpec, ...]]
    #: JSON keys whose values are personal or secret, wherever they stand in a payload ("email"),
    #: or, with dots, only under that parent ("billing_details.name").
    sensitive_fields: ClassVar[frozenset[str]]
    ignored_events: ClassVar[frozenset[str]]
    #: Whether a webhook must be answered without a word, by its status alone.
    silent_answers: ClassVar[bool]
    #: resource -> table of the provider's status words -> our product states
    statuses: ClassVar[Mapping[str, Mapping[str, str]]]

    #: What it can be asked to do, by name; empty for a provider that is only read.
    actions: ClassVar[Mapping[str, ActionSpec]]
    #: For how long the provider surely remembers an idempotency key; zero where it knows none.
    key_lifetime: ClassVar[timedelta]
    limits: ClassVar[Limits]
    #: How our records become its objects; None for a provider to which nothing is exported.
    exporter: ClassVar[Exporter | None]

    def compose(self, access: Access, intents: Sequence[Intent], key: str) -> Request:
        """Return the request that asks for some intents of one action, under an idempotency key.

        Pure: the same intents give the same bytes. Raises `Fault` (validation, mapping failure) for content that
        cannot be expressed. Its body holds no secret; its headers may, and are not kept.
        """
        ...

    def effects(self, intents: Sequence[Intent], response: Response) -> list[Effect]:
        """Read an answer: one effect for each intent, in order. Raises `Fault` where the whole was refused."""
        ...

    def find_effect(self, access: Access, transport: Transport, intent: Intent) -> tuple[Response, Effect | None]:
        """Look at the provider for what an intent made or did; None when it is not there. Raises `Fault`."""
        ...

    def operation_of(self, resource: str, obj: Mapping[str, Any]) -> str:
        """Return the operation id that an object carries because we made it, "" where it carries none."""
        ...

    def shows(self, intent: Intent, obj: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
        """Say whether an object, as the provider shows it, has the effect of an intent; `settings` as they are kept."""
        ...

    def came_to_nothing(self, resource: str, obj: Mapping[str, Any]) -> Fault | None:
        """Return why an object that was made has no effect all the same, as a refund that a bank sends back.

        None where it stands, and where a person undid it at the provider. The commands that made it have failed.
        """
        ...

    def refresh(self, access: Access, transport: Transport) -> Renewed:
        """Spend the secret of single use for fresh ones. Raises `Fault`; its `field` names the secret that is wrong.

        Only called where a secret is of single use, and by one worker at a time.
        """
        ...

    def check(self, access: Access, transport: Transport) -> Account:
        """Prove the secrets by one harmless request; return whose account it is. Raises `Fault`."""
        ...

    def list_page(
        self, access: Access, transport: Transport, resource: str, cursor: dict[str, Any] | None, since: datetime | None
    ) -> tuple[Response, Page]:
        """Fetch one page of `resource`; `since` limits to what changed after it where that is possible.

        Raises `Fault`; `CursorGone` where what the cursor names was deleted meanwhile.
        `since` is the provider's clock and goes back far enough by itself: the engine has taken off the overlap.
        """
        ...

    def fetch(self, access: Access, transport: Transport, resource: str, external_id: str) -> tuple[Response, Found]:
        """Fetch one object as it is now."""
        ...

    def fetch_several(
        self, access: Access, transport: Transport, resource: str, external_ids: Sequence[str]
    ) -> tuple[Response, dict[str, Found]]:
        """Fetch some objects as they are now by one request; return what the answer shows, by the id asked for.

        Only called where the stream's `together` allows so many. What is not shown is not taken for gone: it is fetched
        by itself.
        """
        ...

    def verify(self, body: bytes, headers: Mapping[str, str], secrets: list[str], now: datetime) -> int:
        """Check a webhook's signature; return the index of the secret that fits. Raises `BadSignature`."""
        ...

    def parse(self, body: bytes, received_at: datetime) -> tuple[Item, ...]:
        """Read a webhook: one item for each event in it, each with an id of its own; none where nothing happened.

        What is known by its id and cannot be used says so in its `fault`. Raises `Fault` (contract mismatch,
        validation) where the envelope cannot be read, and where it tells of more than `answers.MOST_EVENTS`: it is
        read before the provider is answered, so the work may grow with the body and no faster.
        """
        ...

    def classify(self, response: Response) -> Fault | None:
        """Name what is wrong with an answer; None when it is a success."""
        ...

    def remaining(self, response: Response) -> Remaining | None:
        """Return what an answer's headers say is left of the limits; None where it says nothing.

        Called for every answer, so read headers only. The engine counts by itself and takes the lower number: who else
        uses the same account is seen only here. What cannot be read is not told; raises nothing. (A 429 is told by
        `classify`: rate limit, with `retry_after`.)
        """
        ...


class CursorGone(Fault):
    """The place in a list to go on from is there no more; the list has to be read again from its start."""


class BadSignature(Exception):
    """The webhook's signature does not fit any valid secret. The text says why, without secrets."""
