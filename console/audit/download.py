"""Sending a file in pieces, under ASGI without blocking, and closing it however the answer ends."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import IO, Any

from django.core.handlers.asgi import ASGIRequest
from django.http import StreamingHttpResponse

from integrations.reconciliation.report import Report

PIECE = 64 * 1024


class Pieces:
    """Pieces of a file, for a server that waits for each."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.file.read(PIECE):
            yield piece

    def close(self) -> None:
        """Close the file; Django calls it when the answer is over, even one that was never begun."""
        self.file.close()


class AsyncPieces:
    """Pieces of a file, read outside of the event loop."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await asyncio.to_thread(self.file.read, PIECE):
            yield piece

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def download(request: Any, file: IO[bytes], *, name: str, content_type: str, size: int) -> StreamingHttpResponse:
    """Return an answer that sends `file` as an attachment. Its length is told, so a torn one shows."""
    pieces = AsyncPieces(file) if isinstance(request, ASGIRequest) else Pieces(file)
    response = StreamingHttpResponse(pieces, content_type=content_type)
    response["Content-Length"] = str(size)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


def answer_report(request: Any, made: Report, name: str) -> StreamingHttpResponse:
    """Answer with a finished report; its rows and its hash stand in headers, as in the journal."""
    answer = download(request, made.file, name=name, content_type="text/csv; charset=utf-8", size=made.size)
    answer["X-Export-Rows"], answer["X-Export-SHA256"] = str(made.rows), made.sha256
    return answer
