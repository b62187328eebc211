"""`python -m tests.screenshots`: every page of the demo, narrow and wide, light and dark, in build/screenshots/.

It looks at the console that runs at PUBLIC_URL or PORT (8000); where none does, it starts one with data of its own
in build/demo, and ends it again.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import django
from playwright.sync_api import Browser, Page, sync_playwright

from console.embedded import StartError, end, free_port, leashed, load_secrets
from tests.browser.chromium import ARGUMENTS, MISSING, executable
from tests.browser.crawl import LINKS, crawl, shape

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "screenshots"
SPACE = "/northwind/test/"
START_SECONDS = 180.0
#: How long a console that was just started gets to have something to show.
WARM_UP_SECONDS = 120.0
STOP_SECONDS = 20.0
TALLEST = 8000
MANY_PROBLEMS = 6
VARIANTS = [(width, scheme) for width in (1440, 390) for scheme in ("light", "dark")]
#: Whose pages are taken, and where to begin; the first comes to see most, the others what only they may.
PEOPLE = {
    "engineer": (f"{SPACE}records/?stuck=1", SPACE, f"{SPACE}records/"),
    "finance": (f"{SPACE}audit/exports/",),
    "admin": (f"{SPACE}people/",),
}
DOORS = ("/accounts/login/", "/accounts/password/reset/", "/nowhere/")


def main() -> int:
    """Take them all; return 0, or 1 after one line that says why not."""
    found = executable()
    try:
        if found is None:
            raise StartError(MISSING)
        with contextlib.ExitStack() as stack:
            url, folder = running() or stack.enter_context(started())
            driver = stack.enter_context(sync_playwright())
            browser = driver.chromium.launch(executable_path=found, args=list(ARGUMENTS))
            shutil.rmtree(OUT, ignore_errors=True)
            taken = take_all(browser, url, password_of(folder))
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{taken} screenshots in {OUT.relative_to(ROOT)}/")
    return 0


def running() -> tuple[str, Path] | None:
    """Return the address and the data of the console that runs already, None for none."""
    url = os.environ.get("PUBLIC_URL") or f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health/", timeout=5):
        return url, Path(os.environ.get("DATA_DIR", ROOT / ".data"))
    return None


@contextlib.contextmanager
def started() -> Iterator[tuple[str, Path]]:
    """Run the product with its demo until the block ends; raises StartError when it does not come up."""
    folder, log = ROOT / "build" / "demo", ROOT / "build" / "demo.log"
    folder.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{(port := free_port())}"
    ours = {"PORT": str(port), "PUBLIC_URL": url, "SANDBOX_PORT": str(free_port()),
            "BOOKS_PORT": str(free_port()), "RECEIVER_PORT": str(free_port()), "DATA_DIR": str(folder)}  # fmt: skip
    command = [sys.executable, "-m", "console.launch"]
    process = leashed(command, stop_signal=signal.SIGTERM, log=log, env=os.environ | ours, cwd=ROOT)
    try:
        deadline = time.monotonic() + START_SECONDS
        while "The console runs at" not in log.read_text(errors="replace"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise StartError(f"The console did not start, see {log}")
            time.sleep(0.2)
        yield url, folder
    finally:
        end(process, signal.SIGTERM, STOP_SECONDS)


def password_of(folder: Path) -> str:
    """Return the password of the demo's people, which follows from the installation's secret."""
    made = load_secrets(folder) if (folder / "secrets.json").exists() else {}
    os.environ |= {name: os.environ.get(name) or value for name, value in made.items()}
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    django.setup()
    from console.management.commands.demo import demo_password

    return demo_password()


def take_all(browser: Browser, url: str, password: str) -> int:
    """Take the pages of each person, and those before the sign-in; return how many pictures."""
    page = browser.new_context(base_url=url).new_page()
    taken = sum(take(page, path, "nobody") for path in DOORS if page.goto(path))
    done: set[str] = set()
    for name, starts in PEOPLE.items():
        page = signed_in(browser, url, f"{name}@northwind.example", password)
        if not done:
            wait_for_something(page)
        for place in crawl(page, *starts):
            if name_of(place) not in done:
                done.add(name_of(place))
                taken += take(page, place, name)
    return taken


def signed_in(browser: Browser, url: str, email: str, password: str) -> Page:
    """Return a page of somebody who signed in by the form."""
    page = browser.new_context(base_url=url).new_page()
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(lambda found: "/login/" not in found)
    return page


def wait_for_something(page: Page) -> None:
    """Wait until the demo has records in trouble to show, or has had its time."""
    deadline = time.monotonic() + WARM_UP_SECONDS
    while time.monotonic() < deadline:
        page.goto(f"{SPACE}problems/")
        shown = {link.rstrip("/") for link in page.locator("main a").evaluate_all(LINKS) if shape(link).endswith("/N/")}
        if len({link for link in shown if "/problems/" in link}) >= MANY_PROBLEMS:
            return
        page.wait_for_timeout(1000)


def name_of(place: str) -> str:
    """Return what pictures of a page are called."""
    query = urlsplit(place).query.replace("=", "-")
    return "-".join([shape(place).removeprefix(SPACE).strip("/").replace("/", "-") or "overview", *query.split()])


def take(page: Page, place: str, who: str) -> int:
    """Take the page that is open at every width and in both colour schemes; return how many pictures."""
    for width, scheme in VARIANTS:
        page.set_viewport_size({"width": width, "height": 900})
        # As high as the page itself, so that what sticks to the window stands at its end.
        height = page.evaluate("() => document.documentElement.scrollHeight")
        page.set_viewport_size({"width": width, "height": max(900, min(height, TALLEST))})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.screenshot(path=OUT / f"{name_of(place)}.{who}.{width}.{scheme}.png", animations="disabled")
    return len(VARIANTS)


if __name__ == "__main__":
    sys.exit(main())
