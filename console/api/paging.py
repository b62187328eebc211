"""Pages of what programs list: a cursor that is the id where the next page begins."""

import base64
import binascii
from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.pagination import Cursor, CursorPagination


class NewestFirst(CursorPagination):
    """The newest first; `next` and `previous` are whole addresses, null at the ends."""

    page_size = 50
    ordering = "-id"

    def decode_cursor(self, request: Any) -> Cursor | None:
        """Return where the page begins; raises 400 for a cursor that we did not make."""
        text = request.query_params.get(self.cursor_query_param)
        if text is None:
            return None
        try:
            base64.b64decode(text.encode("ascii"), validate=True)
            cursor: Cursor | None = super().decode_cursor(request)
        except (UnicodeEncodeError, binascii.Error) as error:
            raise _unknown() from error
        position = str(cursor.position) if cursor and cursor.position is not None else "0"
        if not (position.isascii() and position.isdigit() and len(position) < 19):
            raise _unknown()
        return cursor


def _unknown() -> ValidationError:
    return ValidationError({"cursor": ["This is no cursor of ours; take the address from `next`."]})
