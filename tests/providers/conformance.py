"""What every adapter must do, whoever the provider is. An adapter's test class inherits `Conformance`.

The subclass says how its provider signs, lists and answers; the rules are here. HTTP is faked at the
transport, never the adapter.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib.resources import files
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.boundary.mapping import MappingDocument, apply, load_document
from integrations.canonical import KINDS
from integrations.failures.categories import Category, Fault
from integrations.providers.base import Access, Adapter, BadSignature, Item, Page, Request, Response, UnusableEvent

Found = TypeVar("Found")
NOW = datetime(2026, 11, 19, 14, 32, tzinfo=UTC)
PERSONAL = "ingrid@halvorsen-marine.example"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)

MALFORMED = {
    "nothing": b"",
    "half an object": b'{"id": "x", "data": {',
    "a list": b"[]",
    "null": b"null",
    "a text": b'"hello"',
    "a number": b"12",
    "an empty object": b"{}",
    "a page for people": b"<html><body>Bad gateway</body></html>",
    "not UTF-8": b'{"id": "\xff\xfe"}',
    "UTF-16": '{"id": "x"}'.encode("utf-16"),
    "a number that is none": b'{"id": NaN}',
    "a number without end": b'{"id": ' + b"9" * 5000 + b"}",
    "a hole without bottom": b'{"a":' * 100_000,
}

STATUSES = {
    401: Category.AUTHENTICATION,
    403: Category.AUTHORIZATION,
    422: Category.VALIDATION,
    429: Category.RATE_LIMIT,
    500: Category.OUTAGE,
    502: Category.OUTAGE,
    503: Category.OUTAGE,
}


def answer(body: bytes | Any = b"", status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer at `NOW`; a body that is not bytes is sent as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {"date": format_datetime(NOW, usegmt=True), **(headers or {})}, raw, NOW)


@dataclass
class FakeTransport:
    """Answers each request by `reply`, and remembers it."""

    reply: Callable[[Request], Response]
    sent: list[Request] = field(default_factory=list)

    def __call__(self, request: Request) -> Response:
        self.sent.append(request)
        return self.reply(request)


def always(response: Response) -> FakeTransport:
    """A transport with one answer for everything."""
    return FakeTransport(lambda _: response)


def silent() -> FakeTransport:
    """A transport that gets no answer in time."""

    def reply(_: Request) -> Response:
        raise Fault(Category.TIMEOUT, "timeout", "No answer within 20 s.")

    return FakeTransport(reply)


def attempt(call: Callable[[], Found]) -> Found | Fault:
    """What `call` returns, or the fault that it raises."""
    try:
        return call()
    except Fault as fault:
        return fault


def at(pointer: str, document: Any) -> Any:
    """What lies at a JSON pointer (RFC 6901)."""
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


class Conformance(ABC):
    """The rules. Class attributes and hooks describe the provider."""

    adapter: ClassVar[Adapter]
    access: ClassVar[Access]
    #: Two webhook secrets, both valid.
    secrets: ClassVar[list[str]] = []
    #: A resource that is listed, and one that can be fetched.
    listed: ClassVar[str]

    @abstractmethod
    def sign(self, body: bytes, secrets: Sequence[str], moment: datetime) -> dict[str, str]:
        """Headers of a webhook signed at `moment` with each of `secrets`."""

    @abstractmethod
    def deliveries(self) -> dict[str, bytes]:
        """Complete webhooks by event type."""

    @abstractmethod
    def unknown_delivery(self) -> bytes:
        """A webhook of a type that the provider may introduce tomorrow."""

    @abstractmethod
    def ignored_delivery(self) -> bytes:
        """A webhook of a type that is known and not needed."""

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

    # Identity

    def test_it_says_who_it_is(self) -> None:
        adapter = self.adapter
        assert adapter.slug.isidentifier()
        assert type(adapter).__module__.startswith(f"integrations.providers.{adapter.slug}.")
        assert adapter.title
        assert adapter.api_version
        assert adapter.sensitive_fields

    def test_its_settings_stand_by_their_defaults(self) -> None:
        self.adapter.settings_schema()

        assert "properties" in self.adapter.settings_schema.model_json_schema()

    def test_its_secrets_say_how_they_are_proved(self) -> None:
        assert {spec.verified_by for spec in self.adapter.secrets} <= {"call", "delivery"}
        assert all(spec.title and spec.hint for spec in self.adapter.secrets)
        assert len({spec.name for spec in self.adapter.secrets}) == len(self.adapter.secrets)

    def test_its_streams_lead_to_kinds(self) -> None:
        for stream in self.adapter.streams:
            assert stream.change_log == (stream.kind == "")
            assert stream.change_log or stream.kind in KINDS
            assert 0 < stream.every <= stream.fresh_within

    def test_its_status_tables_lead_to_states(self) -> None:
        kinds = {stream.resource: stream.kind for stream in self.adapter.streams}

        for resource, table in self.adapter.statuses.items():
            assert set(table.values()) <= set(KINDS[kinds[resource]].states)

    # Mapping

    def document(self) -> MappingDocument:
        """The mapping document beside the adapter."""
        package = type(self.adapter).__module__.rpartition(".")[0]
        return load_document(files(package).joinpath("mapping.toml").read_bytes())

    def test_its_mapping_covers_its_streams(self) -> None:
        document = self.document()

        for stream in self.adapter.streams:
            if not stream.change_log:
                assert document.kind_of(stream.resource) == stream.kind

    def test_every_delivery_maps(self) -> None:
        document = self.document()

        for body in self.deliveries().values():
            item = self.adapter.parse(body, NOW)
            if not (item.ignored or item.thin):
                assert apply(document, item.resource, item.obj, deleted=item.deleted).state

    # Signatures

    def body(self) -> bytes:
        """Some delivery."""
        return next(iter(self.deliveries().values()))

    @pytest.mark.parametrize("index", [0, 1])
    def test_it_tells_which_secret_fits(self, index: int) -> None:
        headers = self.sign(self.body(), [self.secrets[index]], NOW)

        assert self.adapter.verify(self.body(), headers, self.secrets, NOW) == index

    def test_it_accepts_several_signatures_of_one_webhook(self) -> None:
        headers = self.sign(self.body(), ["not ours at all", self.secrets[1]], NOW)

        assert self.adapter.verify(self.body(), headers, self.secrets, NOW) == 1

    @pytest.mark.parametrize("off", [-300, -299, 0, 299, 300])
    def test_it_accepts_a_signature_within_300_s(self, off: int) -> None:
        headers = self.sign(self.body(), self.secrets[:1], NOW + timedelta(seconds=off))

        assert self.adapter.verify(self.body(), headers, self.secrets, NOW) == 0

    @pytest.mark.parametrize("off", [-86400, -301, 301, 86400])
    def test_it_refuses_an_old_signature_and_one_from_the_future(self, off: int) -> None:
        headers = self.sign(self.body(), self.secrets[:1], NOW + timedelta(seconds=off))

        with pytest.raises(BadSignature):
            self.adapter.verify(self.body(), headers, self.secrets, NOW)

    def test_it_refuses_another_secret_without_telling_any(self) -> None:
        headers = self.sign(self.body(), ["whsec_somebody_elses"], NOW)

        with pytest.raises(BadSignature) as refused:
            self.adapter.verify(self.body(), headers, self.secrets, NOW)

        assert not any(secret in str(refused.value) for secret in self.secrets)

    def test_it_refuses_a_changed_body(self) -> None:
        headers = self.sign(self.body(), self.secrets[:1], NOW)

        with pytest.raises(BadSignature):
            self.adapter.verify(self.body() + b" ", headers, self.secrets, NOW)

    def test_it_refuses_everything_without_secrets(self) -> None:
        headers = self.sign(self.body(), self.secrets[:1], NOW)

        for none in ([], [""], [" "]):
            with pytest.raises(BadSignature):
                self.adapter.verify(self.body(), headers, none, NOW)

    def test_it_refuses_headers_that_are_no_signature(self) -> None:
        name = next(iter(self.sign(self.body(), self.secrets[:1], NOW)))

        for headers in ({}, {name: ""}, {name: "v1="}, {name: "t=,v1=ä"}, {name: "t=1e9,v1=x"}, {name: "," * 5000}):
            with pytest.raises(BadSignature):
                self.adapter.verify(self.body(), headers, self.secrets, NOW)

    def test_bytes_in_no_encoding_keep_their_signature(self) -> None:
        body = b'{"id": "\xff\xfe"}'
        headers = self.sign(body, self.secrets[1:], NOW)

        assert self.adapter.verify(body, headers, self.secrets, NOW) == 1
        with pytest.raises(BadSignature):
            self.adapter.verify(body + b" ", headers, self.secrets, NOW)

    # Envelopes

    def test_it_reads_each_delivery(self) -> None:
        streams = {stream.resource for stream in self.adapter.streams}

        for event_type, body in self.deliveries().items():
            item = self.adapter.parse(body, NOW)

            assert item.event_id
            assert item.event_type == event_type
            assert item.occurred_at.utcoffset() == timedelta(0)
            assert not item.exact
            assert item.ignored or (item.resource in streams and item.external_id)
            if item.obj:
                assert at(item.path, json.loads(body)) == item.obj

    def test_a_duplicate_reads_the_same(self) -> None:
        for body in self.deliveries().values():
            assert self.adapter.parse(body, NOW) == self.adapter.parse(body, NOW + timedelta(hours=1))

    def test_an_unknown_event_is_loud_and_keeps_its_identity(self) -> None:
        with pytest.raises(UnusableEvent) as loud:
            self.adapter.parse(self.unknown_delivery(), NOW)

        assert loud.value.category == Category.CONTRACT
        assert loud.value.code.startswith("unknown_event:")
        assert loud.value.item.event_id
        assert loud.value.code.endswith(loud.value.item.event_type)

    def test_an_ignored_event_says_why(self) -> None:
        item = self.adapter.parse(self.ignored_delivery(), NOW)

        assert item.ignored
        assert item.event_id
        assert item.event_type in self.adapter.ignored_events

    @pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
    def test_a_malformed_webhook_is_a_contract_mismatch(self, body: bytes) -> None:
        with pytest.raises(Fault) as caught:
            self.adapter.parse(body, NOW)

        assert caught.value.category in (Category.CONTRACT, Category.VALIDATION)

    def test_a_webhook_cut_off_anywhere_is_a_contract_mismatch(self) -> None:
        body = self.body().rstrip()

        for end in range(0, len(body), max(1, len(body) // 200)):
            with pytest.raises(Fault):
                self.adapter.parse(body[:end], NOW)

    @given(JSON)
    def test_it_never_stumbles_over_json(self, value: Any) -> None:
        self.parse_or_fault(json.dumps(value).encode())

    @given(st.data())
    def test_it_never_stumbles_over_a_spoiled_event(self, data: st.DataObject) -> None:
        event = json.loads(data.draw(st.sampled_from(list(self.deliveries().values()))))
        event[data.draw(st.sampled_from(list(event)))] = data.draw(JSON)

        self.parse_or_fault(json.dumps(event).encode())

    def parse_or_fault(self, body: bytes) -> Item | Fault:
        """An item or a named fault; anything else is an error of the adapter."""
        found = attempt(lambda: self.adapter.parse(body, NOW))
        if isinstance(found, Fault):
            assert found.category in (Category.CONTRACT, Category.VALIDATION)
            assert found.code
        return found

    # Answers

    def calls(self) -> list[Callable[[FakeTransport], object]]:
        """Each way of asking the provider something."""
        adapter, access, resource = self.adapter, self.access, self.listed
        return [
            lambda transport: adapter.check(access, transport),
            lambda transport: adapter.list_page(access, transport, resource, None, None),
            lambda transport: adapter.fetch(access, transport, resource, "x_1"),
        ]

    @pytest.mark.parametrize("status", STATUSES)
    def test_it_names_an_error_answer(self, status: int) -> None:
        fault = self.adapter.classify(self.error(status))

        assert fault is not None
        assert fault.category == STATUSES[status]
        assert fault.code
        assert fault.message

    def test_a_conflict_is_tried_again(self) -> None:
        fault = self.adapter.classify(self.error(409))

        assert fault is not None
        assert fault.category in (Category.TIMEOUT, Category.RATE_LIMIT)

    def test_a_success_is_no_fault(self) -> None:
        assert self.adapter.classify(answer({})) is None

    @pytest.mark.parametrize("status", [401, 403, 409, 422, 429, 500])
    def test_it_never_repeats_secrets_or_what_the_provider_quotes(self, status: int) -> None:
        fault = self.adapter.classify(self.error(status))

        assert fault is not None
        told = repr(fault)
        assert PERSONAL not in told
        assert not any(secret in told for secret in self.access.secrets.values())

    @pytest.mark.parametrize("status", [401, 429, 500])
    def test_every_call_raises_what_the_answer_means(self, status: int) -> None:
        for call in self.calls():
            with pytest.raises(Fault) as caught:
                call(always(self.error(status)))

            assert caught.value.category == STATUSES[status]

    def test_every_call_lets_a_timeout_through(self) -> None:
        for call in self.calls():
            with pytest.raises(Fault) as caught:
                call(silent())

            assert caught.value.category == Category.TIMEOUT

    @pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
    def test_a_malformed_answer_is_a_contract_mismatch(self, body: bytes) -> None:
        for call in self.calls():
            with pytest.raises(Fault) as caught:
                call(always(answer(body)))

            assert caught.value.category == Category.CONTRACT

    @pytest.mark.parametrize(
        ("asked", "seconds"),
        [
            ("0", 0),
            ("7", 7),
            ("2.5", 2.5),
            ("-3", 0),
            (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
            (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0),
            ("soon", None),
            ("nan", None),
            ("", None),
        ],
    )
    def test_it_waits_as_long_as_the_provider_asks(self, asked: str, seconds: float | None) -> None:
        limited = self.error(429)

        fault = self.adapter.classify(
            Response(429, {**limited.headers, "retry-after": asked}, limited.body, limited.received_at)
        )

        assert fault is not None
        assert fault.retry_after == seconds

    @given(
        st.integers(100, 999),
        st.dictionaries(st.sampled_from(["retry-after", "date", "x"]), st.text()),
        st.binary() | JSON.map(lambda value: json.dumps({"error": value}).encode()),
    )
    def test_it_names_any_answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        fault = self.adapter.classify(Response(status, headers, body, NOW))

        assert (fault is None) == (200 <= status < 300)

    def test_secrets_travel_in_headers_only(self) -> None:
        for call in self.calls():
            transport = always(self.error(500))
            with pytest.raises(Fault):
                call(transport)
            for request in transport.sent:
                told = f"{request.url} {request.query} {request.body!r}"
                assert not any(secret in told for secret in self.access.secrets.values())

    # Objects

    def test_a_fetched_object_is_exact_and_the_whole_answer(self) -> None:
        _, page = self.adapter.list_page(self.access, FakeTransport(self.list_server(["x_1"])), self.listed, None, None)
        alone = answer(dict(page.items[0].obj))

        _, found = self.adapter.fetch(self.access, always(alone), self.listed, "x_1")

        assert found.item is not None
        assert found.item.exact
        assert not found.item.thin
        assert at(found.item.path, json.loads(alone.body)) == found.item.obj
        assert found.item.occurred_at == found.as_of == NOW

    def test_an_object_that_is_not_there_is_found_to_be_none(self) -> None:
        _, found = self.adapter.fetch(self.access, always(self.missing()), self.listed, "x_1")

        assert found.item is None
        assert found.as_of == NOW

    def test_a_404_from_elsewhere_says_nothing_about_the_object(self) -> None:
        with pytest.raises(Fault):
            self.adapter.fetch(self.access, always(answer(b"404: Not Found", 404)), self.listed, "x_1")

    def test_it_links_to_the_providers_own_page_or_to_none(self) -> None:
        for body in self.deliveries().values():
            item = self.adapter.parse(body, NOW)
            link = self.adapter.refers_to(item.resource, item.obj)
            assert link == "" or link.startswith("https://")
        assert self.adapter.refers_to("no such resource", {}) == ""

    # Pages

    def page(self, response: Response, cursor: dict[str, Any] | None = None) -> Page:
        """The page that `response` holds, asked for at `cursor`."""
        return self.adapter.list_page(self.access, always(response), self.listed, cursor, None)[1]

    def walk(self, reply: Callable[[Request], Response]) -> tuple[list[Item], int]:
        """All items of a list, and the number of pages; the cursor goes through JSON each time."""
        transport, items, cursor = FakeTransport(reply), list[Item](), None
        for pages in range(1, 100):
            _, page = self.adapter.list_page(self.access, transport, self.listed, cursor, None)
            items += page.items
            if page.next_cursor is None:
                return items, pages
            assert page.next_cursor != cursor
            cursor = json.loads(json.dumps(page.next_cursor))
        raise AssertionError("the list has no end")

    @pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
    def test_it_walks_the_whole_list_once(self, count: int) -> None:
        ids = [f"x_{number}" for number in range(count)]

        items, _ = self.walk(self.list_server(ids))

        assert [item.external_id for item in items] == ids
        assert all(item.exact and item.occurred_at == NOW for item in items)

    def test_items_of_a_page_tell_where_they_lie(self) -> None:
        response, page = self.adapter.list_page(
            self.access, FakeTransport(self.list_server(["x_1", "x_2"])), self.listed, None, None
        )

        for item in page.items:
            assert at(item.path, json.loads(response.body)) == item.obj

    def test_an_empty_page_in_the_middle_is_never_the_end(self) -> None:
        found = attempt(lambda: self.page(self.empty_page_with_more()))

        if isinstance(found, Fault):
            assert found.category == Category.CONTRACT
        else:
            assert found.next_cursor is not None

    def test_a_page_that_repeats_stops_or_shows_the_same_cursor(self) -> None:
        server = FakeTransport(self.list_server([f"x_{number}" for number in range(7)]))
        response, page = self.adapter.list_page(self.access, server, self.listed, None, None)

        again = attempt(lambda: self.page(response, page.next_cursor))

        if isinstance(again, Fault):
            assert again.category == Category.CONTRACT
        else:
            assert again.next_cursor == page.next_cursor
