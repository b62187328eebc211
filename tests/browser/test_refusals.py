"""Support sees everything and is refused what others decide: no button, and 403 behind it."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from integrations.models import Event, JournalEntry, Lane, WorkState
from tests.browser.conftest import Space
from tests.browser.steps import begins
from tests.browser.test_stuck_record import stuck_invoice

BUTTONS = ("Replay", "Check", "Dismiss", "Rotate", "Pause", "Resume", "Disable", "Run", "Export", "Accept")


@pytest.fixture
def parked(space: Space) -> Event:
    stuck_invoice(space)
    return Event.objects.get(connection=space.connection, state=WorkState.PARKED)


def test_support_has_no_button_for_it_and_403_behind_it(
    space: Space, parked: Event, support: Callable[..., Page]
) -> None:
    connection = space.connection.pk
    page = support()

    for path in (f"/records/{parked.record_id}/", f"/events/{parked.pk}/", f"/connections/{connection}/", "/audit/"):
        page.goto(f"{space.url}{path}")
        for label in BUTTONS:
            expect(page.locator("main").get_by_role("link", name=begins(label))).to_have_count(0)
            expect(page.locator("main").get_by_role("button", name=begins(label))).to_have_count(0)
    for path in (
        f"/events/{parked.pk}/replay/", f"/events/{parked.pk}/dismiss/", "/drift/", f"/drift/check/{connection}/",
        f"/connections/{connection}/pause/", f"/connections/{connection}/secrets/webhook_secret/rotate/",
        "/audit/exports/",
    ):  # fmt: skip
        answer = page.goto(f"{space.url}{path}")
        assert (answer and answer.status) == 403, path
        expect(page.locator("main")).to_contain_text("operations" if "exports" not in path else "finance")


def test_a_forged_form_of_support_does_nothing(space: Space, parked: Event, support: Callable[..., Page]) -> None:
    page = support(f"/records/{parked.record_id}/note/")
    token = page.locator("main input[name=csrfmiddlewaretoken]").input_value()

    for path in (
        f"/records/{parked.record_id}/check/",
        f"/events/{parked.pk}/replay/",
        f"/connections/{space.connection.pk}/pause/",
        "/audit/exports/",
    ):
        answer = page.request.post(
            f"{space.url}{path}",
            form={"csrfmiddlewaretoken": token, "reason": "Because I can", "format": "csv"},
            headers={"Referer": page.url},
        )
        assert answer.status == 403, path

    done = JournalEntry.objects.filter(tenant_id=space.tenant.pk, lane=Lane.PEOPLE, actor="Support")
    assert not done.exclude(action="person.signed_in").exists()
