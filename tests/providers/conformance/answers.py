"""What is wrong with an answer, by status, body and headers."""

import json
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.failures.categories import Category, Fault
from integrations.providers.base import Response
from tests.providers.conformance.fakes import (
    EVERY_ADAPTER,
    JSON,
    MALFORMED,
    NOW,
    PERSONAL,
    STATUSES,
    FakeTransport,
    always,
    answer,
    silent,
)
from tests.providers.conformance.provider import Provider


class AnswerRules(Provider):
    """What `classify` says, and that every request raises it."""

    def calls(self) -> list[Callable[[FakeTransport], object]]:
        """Each way of asking the provider something, `check` first."""
        adapter, access, resource = self.adapter, self.access, self.listed
        found: list[Callable[[FakeTransport], object]] = [
            lambda transport: adapter.check(access, transport),
            lambda transport: adapter.list_page(access, transport, resource, None, None),
            lambda transport: adapter.fetch(access, transport, resource, "x_1"),
        ]
        if self.together > 1:
            found.append(lambda transport: adapter.fetch_several(access, transport, resource, ["x_1", "x_2"]))
        return found

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

    @pytest.mark.parametrize("name", MALFORMED)
    def test_a_malformed_answer_is_a_contract_mismatch(self, name: str) -> None:
        for call in self.calls()[name in self.understood :]:
            with pytest.raises(Fault) as caught:
                call(always(answer(MALFORMED[name])))

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

    @EVERY_ADAPTER
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

    @EVERY_ADAPTER
    @given(st.dictionaries(st.sampled_from(["x-minlimit-remaining", "x-daylimit-remaining", "retry-after"]), st.text()))
    def test_what_is_left_of_the_limits_is_a_number_or_not_told(self, headers: dict[str, str]) -> None:
        left = self.adapter.remaining(Response(200, headers, b"", NOW))

        assert left is None or all(count is None or count >= 0 for count in (left.this_minute, left.today))
