"""A scan finds what was deleted without a word, asked for from the page."""

from collections.abc import Callable

from django.utils import timezone
from playwright.sync_api import Page, expect

from integrations.models import Record, Reference, Stream
from tests.browser.conftest import Space
from tests.processes import wait_until


def test_what_the_provider_no_longer_has_is_found_by_a_scan(space: Space, operations: Callable[..., Page]) -> None:
    customer = space.shop.customer("Still there")
    space.sandbox.settle()
    wait_until("it has arrived", lambda: Reference.objects.filter(external_id=customer).exists())
    gone = closed(space)
    page = operations(f"/connections/{space.connection.pk}/")

    page.get_by_role("button", name="More of Customers").click()
    page.get_by_role("link", name="Scan for deletions now…").click()
    page.get_by_role("dialog").get_by_role("button", name="Scan Customers now").click()

    expect(page.get_by_text("1 gone, 0 still there of 1 not listed")).to_be_visible()
    wait_until("it is deleted", lambda: Record.objects.get(pk=gone.pk).state == "deleted")
    assert space.record(customer).state == "active"


def closed(space: Space) -> Record:
    """Hold a customer that the provider has deleted since, and told nobody."""
    now = timezone.now()
    record = Record.objects.create(
        tenant=space.connection.tenant, environment="test", connection=space.connection, kind="customer",
        state="active", data={"name": "Closed Ltd"}, label="Closed Ltd", occurred_at=now, created_at=now,
        updated_at=now,
    )  # fmt: skip
    Reference.objects.create(
        record=record, connection=space.connection, resource="customer", external_id="cus_closed", seen_at=now,
        checked_at=now,
    )  # fmt: skip
    Stream.objects.filter(connection=space.connection, resource="customer").update(first_sync_done_at=now)
    return record
