"""Bodies that programs send."""

import json
from typing import Any, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from console.api.problems import TooLarge

#: Bytes. No command needs more.
LARGEST = 256 * 1024


class StrictJSON(JSONParser):
    """JSON as RFC 8259 has it, of a size and depth that a command may have."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """Return the document; raises 400, and 413 above the limit."""
        raw = stream.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise TooLarge(f"A body has at most {LARGEST:,} bytes.")
        try:
            return json.loads(raw.decode(), parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise ParseError("The body is no JSON that can be read.") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
