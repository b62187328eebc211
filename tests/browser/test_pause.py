"""Pause holds: webhooks are kept and wait; resume lets them go."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from integrations.models import Event, Reference, WorkState
from tests.browser.conftest import Space
from tests.browser.steps import confirm
from tests.processes import wait_until


def test_what_comes_while_paused_waits_and_goes_on_after(space: Space, operations: Callable[..., Page]) -> None:
    held = Event.objects.filter(connection=space.connection, state=WorkState.HELD)
    page = operations(f"/connections/{space.connection.pk}/")

    confirm(page, "Pause this connection", "Pause Stripe", reason="The ledger is being closed")
    expect(page.get_by_text("The ledger is being closed").first).to_be_visible()
    customers = [space.shop.customer(f"Held {number}") for number in range(5)]
    space.sandbox.settle()
    wait_until("five events are held", lambda: held.count() == 5)
    assert not Reference.objects.filter(connection=space.connection).exists()

    page.reload()
    page.get_by_role("link", name="Resume this connection…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Resume Stripe, drain 5").click()
    expect(page.get_by_text("5 events go on, oldest first.")).to_be_visible()

    for customer in customers:
        assert space.record(customer).version == 1
    assert not held.exists()


def test_one_stream_pauses_alone(space: Space, operations: Callable[..., Page]) -> None:
    page = operations(f"/connections/{space.connection.pk}/")
    row = page.get_by_role("row", name="Invoices")

    row.get_by_role("link", name="Pause…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("Invoices are renumbered")
    dialog.get_by_role("button", name="Pause Invoices").click()
    customer = space.shop.sign_up()
    invoice = space.shop.draft(customer)
    space.sandbox.settle()

    events = Event.objects.filter(connection=space.connection, external_id=invoice)
    wait_until("the invoice waits", lambda: {event.state for event in events} == {WorkState.HELD})
    assert space.record(customer).state == "active"
    confirm(page, "Resume…", "Resume Invoices")
    assert space.record(invoice).state == "draft"
