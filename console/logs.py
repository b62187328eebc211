"""How log lines are written."""

import logging
from typing import Any

from integrations.failures.outline import outline


class Line(logging.Formatter):
    """One line an entry. Of an exception it tells the kind and the place; its text may quote what people sent."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name is the base class's
        return outline(ei[1]) if ei[1] else ""
