"""Objects and lists: each is read once, wholly, and a list that does not end well stops."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from integrations.failures.categories import Category, Fault
from integrations.providers.base import Item, Page, Request, Response
from tests.providers.conformance.fakes import NOW, FakeTransport, always, answer, at, attempt
from tests.providers.conformance.provider import Provider


class PageRules(Provider):
    """What `fetch` and `list_page` find."""

    def test_a_fetched_object_is_exact_and_the_whole_answer(self) -> None:
        _, page = self.adapter.list_page(self.access, FakeTransport(self.list_server(["x_1"])), self.listed, None, None)
        alone = self.alone(dict(page.items[0].obj))

        _, found = self.adapter.fetch(self.access, always(alone), self.listed, "x_1")

        assert found.item is not None
        assert found.item.exact
        assert found.item.obj
        assert at(found.item.path, json.loads(alone.body)) == found.item.obj
        assert found.item.occurred_at == found.as_of == NOW

    def test_an_object_that_is_not_there_is_found_to_be_none(self) -> None:
        _, found = self.adapter.fetch(self.access, always(self.missing()), self.listed, "x_1")

        assert found.item is None
        assert found.as_of == NOW

    def test_a_404_from_elsewhere_says_nothing_about_the_object(self) -> None:
        with pytest.raises(Fault):
            self.adapter.fetch(self.access, always(answer(b"404: Not Found", 404)), self.listed, "x_1")

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
