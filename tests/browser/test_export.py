"""Finance exports the day's journal: complete, counted, hashed, and itself in the journal."""

import csv
import hashlib
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from integrations.models import Export, JournalEntry
from tests.browser.conftest import Space
from tests.browser.steps import begins


@pytest.mark.parametrize("words, suffix", [("CSV", "csv"), ("JSON Lines", "jsonl")])
def test_finance_exports_the_day(space: Space, finance: Callable[..., Page], words: str, suffix: str) -> None:
    customer = space.shop.customer('=HYPERLINK("http://bad.example")')
    space.record(customer)
    space.settle()
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    page = finance(f"/audit/?view=all&from={today}&to={today}")

    page.get_by_role("link", name=begins("Export these entries")).click()
    page.get_by_role("radio", name=begins(words)).check()
    page.get_by_label("Reason").fill("Month-end evidence")
    with page.expect_download() as downloading:
        page.get_by_role("button", name=begins("Export")).click()
    kept = downloading.value.path().read_bytes()

    export = Export.objects.get(tenant=space.tenant)
    assert (export.complete, export.asked_by, export.reason) == (True, "Finance", "Month-end evidence")
    assert hashlib.sha256(kept).hexdigest() == export.sha256
    assert downloading.value.suggested_filename.endswith(f"E{export.pk}.{suffix}")
    assert ids_in(kept, suffix) == ids_of_the_day(space, export)
    page.goto(f"{space.url}/audit/exports/")
    row = page.get_by_role("row", name=f"E-{export.pk}")
    expect(row).to_contain_text(f"{export.rows:,}")
    expect(row.locator(f"[data-copy='{export.sha256}']")).to_have_count(1)
    entry = JournalEntry.objects.get(tenant_id=space.tenant.pk, action="export.made")
    assert (entry.actor, entry.reason) == ("Finance", "Month-end evidence")


def ids_in(kept: bytes, suffix: str) -> set[int]:
    """Return the ids of the entries in a file."""
    if suffix == "jsonl":
        return {int(json.loads(line)["id"]) for line in kept.splitlines()}
    rows = csv.DictReader(io.StringIO(kept.decode("utf-8-sig")))
    return {int(row["id"]) for row in rows}


def ids_of_the_day(space: Space, export: Export) -> set[int]:
    """Return the ids of what the journal held when the export was made."""
    rows = JournalEntry.objects.filter(tenant_id=space.tenant.pk, environment="test").order_by("id")
    return set(rows.values_list("id", flat=True)[: export.rows])
