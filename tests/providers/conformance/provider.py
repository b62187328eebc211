"""What an adapter's test class tells of its provider."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any, ClassVar

from integrations.boundary.mapping import MappingDocument, load_document
from integrations.providers.base import Access, Adapter, Intent, Item, Request, Response
from tests.providers.conformance.fakes import NOW, answer


class Provider(ABC):
    """What the rules need to know of a provider."""

    adapter: ClassVar[Adapter]
    access: ClassVar[Access]
    #: Two webhook secrets, both valid.
    secrets: ClassVar[list[str]] = []
    #: A resource that is listed, and one that can be fetched.
    listed: ClassVar[str]
    #: Whether a signature carries its time, and whether one header may hold several.
    signature_has_time: ClassVar[bool] = True
    several_signatures: ClassVar[bool] = True
    #: Names of bodies in `MALFORMED` that mean something as an answer to `check`.
    understood: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def sign(self, body: bytes, secrets: Sequence[str], moment: datetime) -> dict[str, str]:
        """Headers of a webhook signed at `moment` with each of `secrets`."""

    @abstractmethod
    def deliveries(self) -> dict[str, bytes]:
        """Complete webhooks of one event, by event type."""

    @abstractmethod
    def unknown_delivery(self) -> bytes:
        """A webhook of a type that the provider may introduce tomorrow."""

    @abstractmethod
    def ignored_delivery(self) -> bytes:
        """A webhook of a type that is known and not needed."""

    def crowded(self, count: int) -> bytes | None:
        """A webhook of some hundred events and more; None where each webhook tells of one."""
        return None

    @abstractmethod
    def list_server(self, ids: list[str]) -> Callable[[Request], Response]:
        """A server with objects of `listed`, in the provider's order."""

    @abstractmethod
    def empty_page_with_more(self) -> Response:
        """A page without entries of which the provider says that it is not the last."""

    @abstractmethod
    def error(self, status: int) -> Response:
        """The provider's own error answer; its message quotes `PERSONAL`."""

    @abstractmethod
    def missing(self) -> Response:
        """The provider's answer for an object that it does not have."""

    def alone(self, obj: dict[str, Any]) -> Response:
        """The provider's answer to the request for one object."""
        return answer(obj)

    def found_by_ids(self, held: Sequence[str], *, heeds_ids: bool = True) -> Callable[[Request], Response]:
        """A server that holds some objects of `listed` and is asked for several by their ids, where that can be.

        `heeds_ids`: it answers with those that were asked for; else with all that it holds.
        """
        raise AssertionError(f"{self.adapter.title} says that it can be asked for several, and no test says how")

    @abstractmethod
    def intents(self) -> dict[str, list[Intent]]:
        """Several intents of each action, by its name."""

    @abstractmethod
    def answered(self, intents: Sequence[Intent], refused: Sequence[int] = ()) -> Response:
        """The provider's answer to a request for some intents, of which it refused those at some places."""

    @abstractmethod
    def world(self, intents: Sequence[Intent], *, done: bool) -> Callable[[Request], Response]:
        """A provider at which the effects of some intents are there, or in which everything stands but those."""

    # What the rules are written with

    @property
    def together(self) -> int:
        """How many objects of `listed` it can be asked for by one request."""
        return next(stream.together for stream in self.adapter.streams if stream.resource == self.listed)

    def document(self) -> MappingDocument:
        """The mapping document beside the adapter."""
        package = type(self.adapter).__module__.rpartition(".")[0]
        return load_document(files(package).joinpath("mapping.toml").read_bytes())

    def body(self) -> bytes:
        """Some delivery."""
        return next(iter(self.deliveries().values()))

    def read(self, body: bytes) -> Item:
        """The only event of a webhook; raises what is wrong with it."""
        (item,) = self.adapter.parse(body, NOW)
        if item.fault:
            raise item.fault
        return item
