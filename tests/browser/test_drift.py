"""An object changed at the provider without a webhook: a check shows the drift, operations accept theirs."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from integrations.models import Drift, JournalEntry, Record
from tests.browser.conftest import ACCOUNT, Space
from tests.browser.steps import begins, panel
from tests.processes import wait_until

Opener = Callable[..., Page]


def silently_changed(space: Space) -> tuple[str, Record]:
    """Change an open invoice at the provider in silence; return its id and its record."""
    invoice = space.shop.draft(space.shop.sign_up())
    space.shop.finalize(invoice)
    wait_until("the invoice is open", lambda: space.record(invoice).state == "open")
    space.settle()
    space.sandbox.alter(ACCOUNT, "invoices", invoice, number="CHANGED-0001")
    return invoice, space.record(invoice)


def test_operations_force_a_check_see_the_drift_and_accept_theirs(space: Space, operations: Opener) -> None:
    _, record = silently_changed(space)
    page = operations(f"/records/{record.pk}/")
    sides = panel(page, "Ours and theirs")

    sides.get_by_role("button", name="Check now").click()
    expect(sides.get_by_role("row", name=begins("Number"))).to_contain_text("CHANGED-0001")
    sides.get_by_role("link", name="Settle 1 difference").click()
    page.get_by_role("link", name=begins("Accept theirs for")).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("CHANGED-0001")
    dialog.get_by_label("Reason").fill("The number was corrected at the provider")
    dialog.get_by_role("button", name="Accept theirs for 1 difference").click()
    expect(page.get_by_text("Theirs accepted for 1 difference.")).to_be_visible()

    record.refresh_from_db()
    assert (record.data["number"], record.open_drift) == ("CHANGED-0001", 0)
    drift = Drift.objects.get(record=record)
    assert (drift.status, drift.settled_by) == ("accepted", "Operations")
    change = JournalEntry.objects.filter(record_id=record.pk, action="record.changed").latest("id")
    assert (change.actor, change.reason) == ("Operations", "The number was corrected at the provider")


def test_a_check_of_a_whole_connection_finds_what_differs(space: Space, operations: Opener) -> None:
    _, record = silently_changed(space)
    page = operations("/drift/")

    page.get_by_role("link", name=begins("Check")).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("The end of the month")
    dialog.get_by_role("button", name=begins("Check")).click()
    wait_until("the difference is found", lambda: Drift.objects.filter(record=record).exists(), 40)

    page.goto(f"{space.url}/drift/")
    expect(page.locator("#rows")).to_contain_text("CHANGED-0001")
