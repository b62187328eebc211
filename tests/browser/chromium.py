"""The system's Chromium."""

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
MISSING = "Chromium is missing: sudo apt-get install --yes chromium"


def executable() -> str | None:
    """Return where it is, None where it is not installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)
