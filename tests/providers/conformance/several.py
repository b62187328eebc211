"""Several objects by one request, where the provider can: each as if it had been fetched by itself."""

import json

import pytest

from tests.providers.conformance.fakes import NOW, FakeTransport, always, at
from tests.providers.conformance.provider import Provider


class SeveralRules(Provider):
    """What `fetch_several` finds, for a provider of which a stream says `together`."""

    @pytest.fixture
    def asked(self) -> list[str]:
        """Ids that may be asked for at once, in no order of the provider's."""
        if self.together < 2:
            pytest.skip("It is asked for one object at a time")
        return ["x_3", "x_1", "x_2"]

    def test_several_come_by_one_request_each_as_if_it_came_alone(self, asked: list[str]) -> None:
        transport = FakeTransport(self.found_by_ids(asked))

        response, told = self.adapter.fetch_several(self.access, transport, self.listed, asked)

        assert len(transport.sent) == 1
        assert sorted(told) == sorted(asked)
        for external_id, found in told.items():
            item = found.item
            assert item is not None
            assert item.external_id == external_id
            assert item.exact
            assert item.obj
            assert at(item.path, json.loads(response.body)) == item.obj
            alone = self.adapter.fetch(self.access, always(self.alone(dict(item.obj))), self.listed, external_id)[1]
            assert alone.item is not None
            assert (alone.item.obj, alone.item.occurred_at) == (item.obj, item.occurred_at)
            assert item.occurred_at == found.as_of == NOW

    def test_of_what_is_not_shown_nothing_is_told(self, asked: list[str]) -> None:
        there = FakeTransport(self.found_by_ids(["x_1"]))
        nobody = FakeTransport(self.found_by_ids([]))

        assert self.adapter.fetch_several(self.access, there, self.listed, asked)[1].keys() == {"x_1"}
        assert self.adapter.fetch_several(self.access, nobody, self.listed, asked)[1] == {}

    def test_what_was_not_asked_for_is_nothing_that_is_told(self, asked: list[str]) -> None:
        everything = FakeTransport(self.found_by_ids([*asked, "x_9"], heeds_ids=False))

        told = self.adapter.fetch_several(self.access, everything, self.listed, asked)[1]

        assert told.keys() == set(asked)

    def test_as_many_as_it_says_fit_into_an_address(self, asked: list[str]) -> None:
        many = [f"c2cc9b6e-9458-4c7d-93cc-{number:012}" for number in range(self.together)]
        transport = FakeTransport(self.found_by_ids([]))

        self.adapter.fetch_several(self.access, transport, self.listed, many)

        (request,) = transport.sent
        # Each comma of a list may take three characters.
        told = sum(len(name) + len(value) + 2 * value.count(",") + 2 for name, value in request.query)
        assert len(request.url) + told < 2048
