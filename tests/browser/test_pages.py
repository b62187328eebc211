"""What holds for every page: narrow and wide, light and dark, with keyboard, without scripts."""

from collections.abc import Callable

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher, make_password
from playwright.sync_api import BrowserContext, Page, expect

from console.models import Role, User
from integrations.models import Drift, Event, JournalEntry, WorkState
from tests.browser.conftest import ACCOUNT, Open, Space
from tests.browser.crawl import crawl, shape
from tests.browser.steps import begins, panel
from tests.browser.test_stuck_record import stuck_invoice
from tests.processes import wait_until

PASSWORD = "right horse"
#: Fewer shapes of pages than this were reached before: a link has got lost.
LEAST = {Role.ENGINEER: 30, Role.AUDITOR: 15, Role.ADMINISTRATOR: 3}
TOO_WIDE = """() => {
    const width = document.documentElement.clientWidth
    const wide = document.documentElement.scrollWidth > width
    const inside = (each) => each.closest("pre, .scroll, [popover], dialog, .tree, textarea, svg")
    return wide ? [...document.querySelectorAll("main *, header *")]
        .filter((each) => each.getBoundingClientRect().right > width + 1 && !inside(each))
        .slice(0, 3).map((each) => each.outerHTML.slice(0, 120)).concat(["the page"]) : []
}"""


@pytest.fixture
def busy(space: Space) -> Space:
    """A space that shows something on every page: a stuck record, a difference, a check."""
    invoice = stuck_invoice(space)
    space.sandbox.alter(ACCOUNT, "customers", space.shop.customer("Someone"), name="Somebody else")
    space.settle()
    event = Event.objects.get(connection=space.connection, state=WorkState.PARKED)
    assert event.external_id == invoice
    return space


def starts(space: Space, role: str) -> list[str]:
    """Return where to begin, so that pages of one shape are seen at their fullest."""
    if role == Role.ADMINISTRATOR:
        return [f"{space.url}/people/"]
    event = Event.objects.get(connection=space.connection, state=WorkState.PARKED)
    return [f"{space.url}/", f"{space.url}/records/{event.record_id}/", f"{space.url}/events/{event.pk}/"]


def check_for_drift(space: Space, page: Page) -> None:
    """Let a check find the difference."""
    page.goto(f"{space.url}/drift/")
    page.get_by_role("link", name=begins("Check")).first.click()
    page.get_by_role("dialog").get_by_label("Reason").fill("To see one")
    page.get_by_role("dialog").get_by_role("button", name=begins("Check")).click()
    wait_until("a difference is found", lambda: Drift.objects.filter(connection=space.connection).exists(), 40)


@pytest.mark.parametrize("role", [Role.ENGINEER, Role.AUDITOR, Role.ADMINISTRATOR])
def test_every_page_fits_a_telephone_and_a_screen(busy: Space, open_as: Open, role: str) -> None:
    if role == Role.ENGINEER:
        check_for_drift(busy, open_as(role))
    page = open_as(role, "/people/" if role == Role.ADMINISTRATOR else "/")
    too_wide, headless, seen = [], [], []

    for url in crawl(page, *starts(busy, role)):
        seen.append(shape(url))
        for width in (1440, 900, 390):
            page.set_viewport_size({"width": width, "height": 900})
            too_wide += [f"{shape(url)} at {width}: {each}" for each in page.evaluate(TOO_WIDE)]
        if page.locator("h1").count() != 1 or not page.title():
            headless.append(shape(url))

    assert not too_wide, "\n".join(too_wide)
    assert not headless, headless
    assert len(seen) >= LEAST[Role(role)], seen


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_system_until_somebody_chooses(space: Space, open_as: Open, scheme: str) -> None:
    page = open_as(Role.SUPPORT, color_scheme=scheme)
    other = {"light": "dark", "dark": "light"}[scheme]
    background = "() => getComputedStyle(document.documentElement).backgroundColor"
    before = page.evaluate(background)

    with page.expect_response("**/theme/") as saving:
        page.get_by_role("button", name="Light or dark").click()
    assert saving.value.status < 400
    expect(page.locator("html")).to_have_attribute("data-theme", other)
    page.reload()

    expect(page.locator("html")).to_have_attribute("data-theme", other)
    assert page.evaluate(background) != before
    assert User.objects.get(pk=space.person(Role.SUPPORT).pk).theme == other


def test_signing_in_and_out(space: Space, new_context: Callable[..., BrowserContext]) -> None:
    user = space.person(Role.SUPPORT)
    User.objects.filter(pk=user.pk).update(password=make_password(PASSWORD, hasher=PBKDF2PasswordHasher()))
    page = new_context().new_page()

    page.goto(f"{space.url}/records/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.get_by_label("Email").fill(user.email)
    page.get_by_label("Password").fill("wrong horse")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Records")

    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{space.url}/records/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    done = JournalEntry.objects.filter(actor_id=user.pk, tenant_id=space.tenant.pk).order_by("id")
    assert list(done.values_list("action", flat=True)) == ["person.refused", "person.signed_in", "person.signed_out"]


def test_the_keyboard_is_enough(space: Space, support: Callable[..., Page]) -> None:
    customer = space.shop.customer("Halvorsen Marine AS")
    space.record(customer)
    page = support()

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("halvorsen")
    page.keyboard.press("Enter")
    link = page.locator("#results").get_by_role("link", name="Halvorsen Marine AS")
    link.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Halvorsen Marine AS")
    page.get_by_role("link", name="Add a note…").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_it_works_without_scripts(space: Space, open_as: Open) -> None:
    record = space.record(space.shop.customer("Halvorsen Marine AS"))
    page = open_as(Role.OPERATIONS, f"/records/{record.pk}/", java_script_enabled=False)

    page.get_by_role("link", name="Add a note…").click()
    page.locator("main textarea").fill("They moved to Bergen.")
    page.locator("main form button").last.click()
    expect(panel(page, "Timeline")).to_contain_text("They moved to Bergen.")

    page.get_by_role("button", name="Check now").click()
    wait_until("the check is over", lambda: "matches" in outcomes(record.pk), 40)
    page.reload()
    expect(panel(page, "Timeline")).to_contain_text("Operations")


def outcomes(record_pk: int) -> set[str]:
    rows = JournalEntry.objects.filter(record_id=record_pk, action="record.checked")
    return set(rows.values_list("outcome", flat=True))


def test_what_a_provider_sends_is_shown_and_never_run(space: Space, support: Callable[..., Page]) -> None:
    name = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"
    record = space.record(space.shop.customer(name))
    page = support(f"/records/?q={'%3Cscript%3Ealert(1)%3C/script%3E'}")

    for path in (f"/records/{record.pk}/", "/records/", "/events/", f"/events/{record.events.get().pk}/", "/"):
        page.goto(f"{space.url}{path}")
        expect(page).not_to_have_title("run")
        assert page.locator("main script, main img").count() == 0
