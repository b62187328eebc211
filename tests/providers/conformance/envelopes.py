"""Webhooks: each event is read, unknown ones are loud, and nothing that arrives makes an adapter stumble."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.failures.categories import Category, Fault
from integrations.providers.answers import MOST_EVENTS
from tests.providers.conformance.fakes import EVERY_ADAPTER, JSON, MALFORMED, NOW, at, attempt
from tests.providers.conformance.provider import Provider


def objects_in(value: Any) -> list[dict[str, Any]]:
    """Every object within a JSON value that has keys."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    found = [value] if isinstance(value, dict) and value else []
    return found + [inner for part in parts for inner in objects_in(part)]


class EnvelopeRules(Provider):
    """What `parse` makes of a body."""

    def test_it_reads_each_delivery(self) -> None:
        streams = {stream.resource for stream in self.adapter.streams}

        for event_type, body in self.deliveries().items():
            item = self.read(body)

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
        (item,) = self.adapter.parse(self.unknown_delivery(), NOW)

        assert item.fault is not None
        assert item.fault.category == Category.CONTRACT
        assert item.fault.code == f"unknown_event:{item.event_type}"
        assert item.event_id

    def test_an_ignored_event_says_why(self) -> None:
        item = self.read(self.ignored_delivery())

        assert item.ignored
        assert item.event_id
        assert item.event_type in self.adapter.ignored_events

    def test_a_webhook_of_too_many_events_is_a_contract_mismatch(self) -> None:
        enough, crowded = self.crowded(MOST_EVENTS), self.crowded(MOST_EVENTS + 1)
        if not enough or not crowded:
            assert len(self.adapter.parse(self.body(), NOW)) == 1
            return

        with pytest.raises(Fault) as caught:
            self.adapter.parse(crowded, NOW)

        assert (caught.value.category, caught.value.code) == (Category.CONTRACT, "too_many_events")
        assert len({item.event_id for item in self.adapter.parse(enough, NOW)}) == MOST_EVENTS

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

    @EVERY_ADAPTER
    @given(JSON)
    def test_it_never_stumbles_over_json(self, value: Any) -> None:
        self.parse_or_fault(json.dumps(value).encode())

    @EVERY_ADAPTER
    @given(st.data())
    def test_it_never_stumbles_over_a_spoiled_event(self, data: st.DataObject) -> None:
        webhook = json.loads(data.draw(st.sampled_from(list(self.deliveries().values()))))
        part = data.draw(st.sampled_from(objects_in(webhook)))
        part[data.draw(st.sampled_from(list(part)))] = data.draw(JSON)

        self.parse_or_fault(json.dumps(webhook).encode())

    def parse_or_fault(self, body: bytes) -> None:
        """Items or a named fault; anything else is an error of the adapter."""
        found = attempt(lambda: self.adapter.parse(body, NOW))
        for fault in [found] if isinstance(found, Fault) else [item.fault for item in found if item.fault]:
            assert fault.category in (Category.CONTRACT, Category.VALIDATION)
            assert fault.code
        assert isinstance(found, Fault) or all(item.event_id and item.event_type for item in found)
