"""The tries at a command: what we sent and what came back, side by side, with what is personal taken out."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.db.models import Count

from console import wording
from console.events.evidence import as_text
from integrations.boundary.redaction import Redacted, redact
from integrations.boundary.vault import Unreadable, unseal
from integrations.models import Attempt, AttemptState, Payload

#: Tries that are shown with their bytes.
MOST = 10
#: Characters of one body that are shown.
LONGEST = 20_000
#: Commands that travel together leave within this.
AROUND = timedelta(seconds=5)
#: What headers of an answer hold that is worth a line.
TELLING = ("request-id", "correlation-id", "retry-after", "rate-limit", "ratelimit", "idempoten", "content-type")


@dataclass(frozen=True)
class Half:
    """One side of an exchange as `_parts/http.html` shows it; a header without a value was taken out."""

    line: str
    headers: Sequence[tuple[str, str | None]]
    body: str
    at: datetime | None
    part: str = ""
    hidden: int = 0


@dataclass(frozen=True)
class Exchange:
    """One try. `answer` is None where none came, and `outcome` says what that means; `together` counts commands."""

    number: int
    attempt: Attempt
    sent: Half
    answer: Half | None
    outcome: str
    together: int

    @property
    def hidden(self) -> int:
        """How many values were taken out of it."""
        return self.sent.hidden + (self.answer.hidden if self.answer else 0)


@dataclass(frozen=True)
class Bytes:
    """A payload that was opened; `body` is None where no key opens it."""

    row: Payload
    body: bytes | None


@dataclass(frozen=True)
class Reader:
    """What may be shown of an exchange: `sensitive` keys are taken out unless it is revealed.

    Where `many` commands travelled, what is of no one of them alone holds what is personal of them all, and one
    command's reveal opens none of that.
    """

    sensitive: frozenset[str]
    revealed: bool
    many: int

    def hides(self, *, own: bool) -> frozenset[str]:
        """Return the keys to take out of what is the command's own, or of all that travelled."""
        return frozenset() if self.revealed and (own or self.many == 1) else self.sensitive

    def may_reveal(self, *, own: bool) -> bool:
        """Say whether a reveal of the command opens it."""
        return own or self.many == 1


def of_command(command_id: int, sensitive: frozenset[str], *, revealed: bool = False) -> tuple[list[Exchange], int]:
    """Return a command's newest tries, newest first, and how many there are."""
    attempts = list(Attempt.objects.filter(command_id=command_id).order_by("-id")[: MOST + 1])
    count = len(attempts) if len(attempts) <= MOST else Attempt.objects.filter(command_id=command_id).count()
    return read(attempts[:MOST], count, sensitive, revealed=revealed), count


def read(
    attempts: Sequence[Attempt], newest: int, sensitive: frozenset[str], *, revealed: bool = False
) -> list[Exchange]:
    """Return tries with their bytes; `newest` is the number of the first. Reads payloads in one query."""
    kept = payloads_of(attempts)
    travelled = together(attempts)
    found, shown = [], dict[int, int]()
    for place, attempt in enumerate(attempts):
        number = newest - place
        same = shown.setdefault(attempt.request_id, number) if attempt.request_id else number
        many = travelled.get(attempt.request_id, 1)
        reader = Reader(sensitive, revealed=revealed, many=many)
        sent = _sent(attempt, kept, reader, same if same != number else 0)
        found.append(Exchange(number, attempt, sent, _answer(attempt, kept, reader), _silence(attempt), many))
    return found


def payloads_of(attempts: Iterable[Attempt]) -> dict[int, Bytes]:
    """Return what is kept of some tries, opened, by id."""
    places = [
        (pk, at)
        for each in attempts
        for pk, at in ((each.request_id, each.request_at), (each.payload_id, each.payload_at))
        if pk and at
    ]
    if not places:
        return {}
    times = [at for _, at in places]
    rows = Payload.objects.filter(pk__in={pk for pk, _ in places}, at__range=(min(times), max(times)))
    return {row.pk: Bytes(row, _opened(row)) for row in rows}


def _opened(row: Payload) -> bytes | None:
    try:
        return unseal(row.body)
    except Unreadable:
        return None


def together(attempts: Sequence[Attempt]) -> dict[int | None, int]:
    """Return how many commands travelled in each request, by the request's payload."""
    wanted = {each.request_id for each in attempts if each.request_id}
    if not wanted:
        return {}
    times = [each.started_at for each in attempts]
    rows = Attempt.objects.filter(
        connection_id=attempts[0].connection_id,
        started_at__range=(min(times) - AROUND, max(times) + AROUND),
        request_id__in=wanted,
    )
    return dict(rows.order_by().values_list("request_id").annotate(Count("command", distinct=True)))


def _sent(attempt: Attempt, kept: Mapping[int, Bytes], reader: Reader, same_as: int) -> Half:
    line = f"{attempt.method} {_address(attempt.url, reader.hides(own=False))}"
    found = kept.get(attempt.request_id or 0)
    headers = list(_headers(found.row.headers)) if found else []
    if attempt.key and not any(name == "idempotency-key" for name, _ in headers):
        headers.insert(0, ("idempotency-key", attempt.key))
    if found is None:
        return Half(line, headers, "(not kept)" if attempt.request_id else "", attempt.started_at)
    if same_as:
        body = f"(the same bytes as attempt {same_as}, SHA-256 {wording.shorten(bytes(found.row.sha256).hex(), 14)})"
        return Half(line, headers, body, attempt.started_at)
    body, hidden = body_of(found, attempt.request_path, reader)
    return Half(line, headers, body, attempt.started_at, attempt.request_path, hidden)


def _address(url: str, sensitive: frozenset[str]) -> str:
    """Return the path of a request with its query, which may look for somebody by an e-mail address."""
    parts = urlsplit(url)
    query = redact({"query": unquote(parts.query)}, sensitive)["query"]
    if not parts.query:
        return parts.path
    return f"{parts.path}?({query})" if isinstance(query, Redacted) else f"{parts.path}?{parts.query}"


def _answer(attempt: Attempt, kept: Mapping[int, Bytes], reader: Reader) -> Half | None:
    if attempt.state != AttemptState.ANSWERED or attempt.status is None:
        return None
    line = f"{attempt.status} {phrase(attempt.status)}".rstrip()
    if attempt.latency_ms is not None:
        line += f", after {wording.duration(attempt.latency_ms / 1000)}"
    found = kept.get(attempt.payload_id or 0)
    if found is None:
        return Half(line, [], "(its body was not kept)", attempt.finished_at)
    headers = [(name, value) for name, value in _headers(found.row.headers) if any(part in name for part in TELLING)]
    body, hidden = body_of(found, attempt.path, reader)
    return Half(line, headers, body, attempt.finished_at, attempt.path, hidden)


def phrase(status: int) -> str:
    """Return the words that belong to a status, "" for one that no standard names."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _silence(attempt: Attempt) -> str:
    """Say what it means that no answer is there; "" where one is."""
    if attempt.state == AttemptState.IN_FLIGHT:
        return "On its way: no answer yet."
    if attempt.state == AttemptState.NO_ANSWER:
        said = attempt.message.rstrip(".") or "No answer came"
        return f"{said}. The request may have had its effect."
    return ""


def _headers(headers: Any) -> Iterable[tuple[str, str | None]]:
    for name, value in (headers or {}).items():
        yield name, None if value == "(removed)" else value


def body_of(found: Bytes, pointer: str, reader: Reader) -> tuple[str, int]:
    """Return a body as text, or its part that an RFC 6901 pointer names, and how many values a reveal would show."""
    if found.body is None:
        return "(no key opens these bytes)", 0
    if not found.body:
        return "", 0
    document = _parsed(found)
    if document is None:
        return as_text(found.body, revealed=not reader.hides(own=False)), 0
    own, part = bool(pointer), document
    try:
        part = pointed(document, pointer)
    except LookupError:
        own = False
    clean = redact(part, reader.hides(own=own))
    hidden = taken_out(clean) if reader.may_reveal(own=own) else 0
    return cut("".join(drawn(clean)).encode(errors="replace").decode()), hidden


class Number(str):
    """A number as it was written: 4812.50 is not 4812.5 to who compares what was sent."""

    __slots__ = ()


def drawn(node: Any, indent: str = "") -> Iterator[str]:
    """Yield a tree as JSON over several lines, with a word in brackets where a value was taken out."""
    if isinstance(node, Redacted):
        yield f"({node})"
    elif isinstance(node, Number):
        yield node
    elif isinstance(node, Mapping | list) and node:
        pairs = isinstance(node, Mapping)
        yield "{" if pairs else "["
        below, between = f"{indent}  ", "\n"
        for each in node:
            yield f"{between}{below}{f'{json.dumps(each, ensure_ascii=False)}: ' if pairs else ''}"
            yield from drawn(node[each] if isinstance(node, Mapping) else each, below)
            between = ",\n"
        yield f"\n{indent}{'}' if pairs else ']'}"
    else:
        yield json.dumps(node, ensure_ascii=False)


def _parsed(found: Bytes) -> Any:
    """Return what a body holds: JSON, or the fields of a form; None where it is neither."""
    assert found.body is not None
    try:
        if "form" in found.row.content_type:
            return _nested(parse_qsl(found.body.decode(), keep_blank_values=True))
        return json.loads(found.body, parse_float=Number, parse_int=Number)
    except (ValueError, RecursionError):
        return None


def _nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return a form's fields as a tree: `metadata[order]` is "order" under "metadata"."""
    tree: dict[str, Any] = {}
    for name, value in pairs:
        *parents, last = name.replace("]", "").split("[")
        branch = tree
        for parent in parents:
            below = branch.setdefault(parent, {})
            branch = below if isinstance(below, dict) else branch
        branch[last] = value
    return tree


def pointed(document: Any, pointer: str) -> Any:
    """Return what a JSON pointer names; raises `LookupError` where it leads nowhere."""
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        try:
            document = document[int(name)] if isinstance(document, list) else document[name]
        except (LookupError, ValueError, TypeError) as error:
            raise LookupError(pointer) from error
    return document


def cut(text: str) -> str:
    """Return a text that is short enough to be shown, and says what is missing."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}\n… {len(text) - LONGEST:,} more characters"


def taken_out(node: Any) -> int:
    """Count what was taken out of a tree and may be revealed: secrets may not."""
    if isinstance(node, Redacted):
        return int(node.why != "secret")
    children = node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ()
    return sum(taken_out(child) for child in children)
