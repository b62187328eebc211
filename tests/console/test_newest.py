import pytest
from django.http import QueryDict

from console import newest
from integrations.models import Tenant


@pytest.fixture
def ids(db: None) -> list[int]:
    """Five tenants, the newest first."""
    return [Tenant.objects.create(slug=f"t{n}", name="T").pk for n in range(5)][::-1]


def page(query: str) -> newest.Newest[Tenant]:
    return newest.page(Tenant.objects.all(), QueryDict(query), 2)


def test_the_first_page_has_only_older_neighbours(ids: list[int]) -> None:
    found = page("")

    assert ([row.pk for row in found.rows], found.newer, found.older) == (ids[:2], 0, ids[1])


def test_forth_and_back_meets_every_row_once(ids: list[int]) -> None:
    second = page(f"after={ids[1]}")
    last = page(f"after={second.older}")
    back = page(f"before={last.newer}")

    assert [row.pk for row in [*second.rows, *last.rows]] == ids[2:]
    assert (last.older, [row.pk for row in back.rows]) == (0, ids[2:4])


@pytest.mark.parametrize("query", ["after=x", "after=-1", "before=", "after=%00", "after=99999999999999999999"])
def test_what_is_no_id_is_the_beginning(ids: list[int], query: str) -> None:
    assert [row.pk for row in page(query).rows] == ids[:2]
