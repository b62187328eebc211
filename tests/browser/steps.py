"""Steps that many tests take on pages."""

import re

from playwright.sync_api import Locator, Page, expect


def confirm(page: Page, opener: str, act: str, *, reason: str = "", **fields: str) -> None:
    """Open a question, fill it and do what it asks; `opener` and `act` begin the labels of the two buttons."""
    page.get_by_role("link", name=begins(opener)).first.click()
    dialog = page.get_by_role("dialog")
    for label, value in fields.items():
        dialog.get_by_label(label.replace("_", " ")).fill(value)
    if reason:
        dialog.get_by_label("Reason").fill(reason)
    dialog.get_by_role("button", name=begins(act)).click()
    expect(dialog).to_have_count(0)


def begins(label: str) -> re.Pattern[str]:
    """Return a pattern for names that begin with a label."""
    return re.compile(rf"^\s*{re.escape(label)}")


def panel(page: Page, title: str) -> Locator:
    """Return the panel under a heading."""
    return page.get_by_role("region", name=title)
