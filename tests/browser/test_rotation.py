"""The webhook secret is rotated while events flow: none is refused, all arrive."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, expect

from integrations.models import Credential, Event
from tests.browser.conftest import ACCOUNT, Space
from tests.browser.steps import begins, confirm, panel
from tests.conftest import WEBHOOK_SECRET
from tests.processes import wait_until

NEW_SECRET = "whsec_the_next_one_0002"
#: Webhooks that must have come under each regime of secrets.
ENOUGH = 6


@contextmanager
def business(space: Space) -> Iterator[list[str]]:
    """Let customers sign up one after the other until the block ends; the list of their ids grows."""
    made: list[str] = []
    over = threading.Event()

    def run() -> None:
        while not over.wait(0.05):
            made.append(space.shop.customer(f"Customer {len(made)}"))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield made
    finally:
        over.set()
        thread.join()


def states(space: Space) -> dict[int, str]:
    """Return the states of the webhook secrets by version."""
    rows = Credential.objects.filter(connection=space.connection, purpose="webhook_secret")
    return dict(rows.values_list("version", "state"))


def more_arrive(space: Space) -> None:
    """Wait until a few more webhooks have come."""
    events = Event.objects.filter(connection=space.connection, source="webhook")
    before = events.count()
    wait_until("more webhooks arrive", lambda: events.count() >= before + ENOUGH)


def test_no_webhook_is_refused_while_its_secret_rotates(space: Space, operations: Callable[..., Page]) -> None:
    page = operations(f"/connections/{space.connection.pk}/")

    with business(space) as customers:
        more_arrive(space)
        secrets = panel(page, "Secrets").locator("tbody", has_text="Webhook signing secret")
        secrets.get_by_role("link", name="Rotate…").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Webhook signing secret").fill(NEW_SECRET)
        dialog.get_by_label("Reason").fill("Every quarter")
        dialog.get_by_role("button", name=begins("")).last.click()
        expect(panel(page, "Secrets")).to_contain_text("waits for the first delivery signed with it")
        more_arrive(space)
        assert states(space) == {1: "active", 2: "pending"}

        space.sandbox.sign_with(ACCOUNT, WEBHOOK_SECRET, NEW_SECRET)
        wait_until("the new secret is active", lambda: states(space) == {1: "retiring", 2: "active"})
        space.sandbox.sign_with(ACCOUNT, WEBHOOK_SECRET)
        more_arrive(space)
        space.sandbox.sign_with(ACCOUNT, NEW_SECRET)
        more_arrive(space)

    space.settle()
    arrived = Event.objects.filter(connection=space.connection, event_type="customer.created", source="webhook")
    assert set(arrived.values_list("external_id", flat=True)) == set(customers)
    space.connection.refresh_from_db()
    assert space.connection.refused_signatures == 0
    page.reload()
    expect(panel(page, "Health")).to_contain_text("Refused signatures0")
    expect(panel(page, "Secrets")).not_to_contain_text(NEW_SECRET)


def test_the_old_secret_opens_nothing_once_its_overlap_is_ended(space: Space, operations: Callable[..., Page]) -> None:
    page = operations(f"/connections/{space.connection.pk}/")
    secrets = panel(page, "Secrets").locator("tbody", has_text="Webhook signing secret")
    secrets.get_by_role("link", name="Rotate…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Webhook signing secret").fill(NEW_SECRET)
    dialog.get_by_label("Reason").fill("It leaked")
    dialog.get_by_role("button").last.click()
    expect(panel(page, "Secrets")).to_contain_text("waits for the first delivery signed with it")
    space.sandbox.sign_with(ACCOUNT, NEW_SECRET)
    space.shop.customer("The first one")
    wait_until("the new secret is active", lambda: states(space) == {1: "retiring", 2: "active"})

    page.reload()
    confirm(page, "End the overlap now", "End webhook signing secret v1 now", reason="It leaked")
    assert states(space) == {1: "revoked", 2: "active"}
    space.sandbox.sign_with(ACCOUNT, WEBHOOK_SECRET)
    space.shop.customer("Signed with the old one")

    def refused() -> int:
        space.connection.refresh_from_db()
        return space.connection.refused_signatures

    wait_until("the old signature is refused", refused)
    space.sandbox.sign_with(ACCOUNT, NEW_SECRET)
