"""The main job: find a stuck record, see why, remove the cause, replay, and it is right."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from integrations.models import Event, JournalEntry, WorkState
from tests.browser.conftest import Space
from tests.browser.steps import begins, panel
from tests.processes import wait_until

Opener = Callable[..., Page]


def stuck_invoice(space: Space) -> str:
    """Finalize an invoice with a status that no mapping knows; return its id at the provider."""
    invoice = space.shop.draft(space.shop.sign_up("Halvorsen Marine AS"))
    space.record(invoice)
    space.settle()
    space.sandbox.set_faults({"channel": "webhook", "kind": "unknown_status", "on": "invoice.finalized"})
    space.shop.finalize(invoice)
    space.settle()
    space.sandbox.set_faults()
    return invoice


def test_support_finds_it_an_engineer_removes_the_cause_operations_replay(
    space: Space, support: Opener, engineer: Opener, operations: Opener
) -> None:
    invoice = stuck_invoice(space)

    support_sees_why_it_is_stuck(support(), invoice)
    an_engineer_teaches_the_mapping(engineer("/mappings/"))
    operations_replay_it(operations(f"/records/{space.record(invoice).pk}/"))

    record = space.record(invoice)
    assert (record.state, record.stuck_since, record.data["total"]) == ("open", None, 24_000)
    event = Event.objects.get(connection=space.connection, event_type="invoice.finalized")
    assert (event.state, event.replays, event.decision) == (WorkState.DONE, 1, "changed")
    replayed = JournalEntry.objects.get(action="event.replayed", record_id=record.pk)
    assert (replayed.actor, replayed.reason) == ("Operations", "The mapping knows the word by now")


def support_sees_why_it_is_stuck(page: Page, invoice: str) -> None:
    page.keyboard.press("/")
    page.keyboard.type(invoice)
    page.keyboard.press("Enter")
    page.locator("#results").get_by_role("link").first.click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("stuck for")
    failure = panel(page, "Open failure")
    expect(failure).to_contain_text("mapping failure")
    expect(failure).to_contain_text("state cannot be mapped from status")
    expect(failure).to_contain_text("Fix the mapping of the named field, then replay.")
    expect(failure).to_contain_text("engineer")
    expect(page.get_by_role("link", name=begins("Replay"))).to_have_count(0)


def an_engineer_teaches_the_mapping(page: Page) -> None:
    page.get_by_role("link", name="invoice → invoice").first.click()
    page.get_by_role("link", name="Edit as version 2").click()
    rules = page.get_by_label("Rules as TOML")
    rules.fill(f'{rules.input_value()}under_review = "open"\n')
    page.get_by_role("button", name=begins("Try on")).click()
    expect(panel(page, "Impact of v2")).to_contain_text("under_review")
    page.get_by_label("Reason").fill("The provider has a new word for what we call open")
    page.get_by_role("button", name="Publish v2 with 1 changed rule").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("version 2 in force")


def operations_replay_it(page: Page) -> None:
    page.get_by_role("link", name="Replay 1 event…").first.click()
    verdict = panel(page, "What would happen")
    expect(verdict).to_contain_text("would change")
    expect(verdict.locator("dl.diff")).to_contain_text("State")
    expect(verdict.locator("dl.diff ins").first).to_contain_text("open")
    page.get_by_label("Reason").fill("The mapping knows the word by now")
    page.get_by_role("button", name="Replay 1 event").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("done")
    page.get_by_role("navigation", name="Breadcrumb").get_by_role("link").nth(1).click()
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text("open")
    expect(heading).not_to_contain_text("stuck")
    expect(panel(page, "Timeline")).to_contain_text("The mapping knows the word by now")


def test_a_plan_that_reality_overtook_is_refused_and_shown_anew(space: Space, operations: Opener) -> None:
    invoice = stuck_invoice(space)
    page = operations(f"/records/{space.record(invoice).pk}/")
    page.get_by_role("link", name="Replay 1 event…").first.click()
    expect(panel(page, "What would happen")).to_contain_text("would fail again")

    space.shop.pay(invoice)
    wait_until("the invoice is paid", lambda: space.record(invoice).state == "paid")
    page.get_by_label("Reason").fill("To see whether it works")
    page.get_by_role("button", name="Replay 1 event").click()

    expect(page.get_by_text("Plan changed, nothing was done.")).to_be_visible()
    assert Event.objects.get(connection=space.connection, event_type="invoice.finalized").replays == 0
