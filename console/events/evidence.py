"""One event as its page shows it: the payload as a tree, what was read from where, and what is in the way."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from console import values, wording
from console.tree import Marks
from integrations.boundary.mapping import Traced
from integrations.boundary.redaction import Redacted, redact
from integrations.canonical import KINDS
from integrations.models import Source
from integrations.providers.base import Adapter
from integrations.workflow.evidence import Read

#: Bytes of an unreadable payload that are shown.
MOST_BYTES = 4096
_QUOTED = re.compile(r"'[^']*'")
_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_HALVES = re.compile(rb"\\u[dD][89a-fA-F]")
#: Words in a source that are no paths.
_WORDS = {"or", "starts_with", "sum", "length", "join", "to_string", "to_number", "contains", "not_null"}
_TELLING = re.compile(r"[^\W_]")


@dataclass(frozen=True)
class Result:
    """One rule of the mapping and what it did."""

    source: str
    raw: str
    rule: str
    field: str
    name: str
    value: str
    problem: str
    kept: bool


@dataclass(frozen=True)
class Shown:
    """A payload ready to be shown. `text` stands for bytes that are no JSON; `hidden` counts what was taken out."""

    payload: Any
    marks: Marks
    text: str
    problem: str
    hidden: int
    revealed: bool
    part: str

    @property
    def act(self) -> str:
        """What revealing it is called, "" where nothing is hidden."""
        if self.text:
            return "Reveal the bytes…"
        return f"Reveal {wording.count(self.hidden, 'value')}…" if self.hidden else ""


def show(read: Read, body: bytes | None, adapter: Adapter, *, revealed: bool) -> Shown:
    """Return the payload of an event. Secrets stay out of it even when the rest is revealed."""
    if body is None:
        return Shown(None, Marks(), "", "The payload is no longer kept.", 0, revealed, "")
    document, problem = _parsed(body)
    if problem:
        return Shown(None, Marks(), as_text(body, revealed=revealed), problem, 0, revealed, "")
    prefix, part = read.event.path, ""
    if read.event.source != Source.WEBHOOK and prefix and read.obj is not None:
        document, prefix, part = read.obj, "", read.event.path
    clean = redact(document, frozenset() if revealed else sensitive(read, adapter))
    return Shown(clean, marks_of(read, prefix), "", "", sum(1 for _ in _taken_out(clean)), revealed, part)


def _parsed(body: bytes) -> tuple[Any, str]:
    try:
        document = json.loads(body.decode())
        return (whole(document) if _HALVES.search(body) else document), ""
    except UnicodeDecodeError as error:
        return None, f"These bytes are no UTF-8 text: byte {error.start + 1} of {len(body):,} does not fit."
    except RecursionError:
        return None, "This JSON is nested too deep to be read."
    except json.JSONDecodeError as error:
        said = error.msg[:1].lower() + error.msg[1:].removesuffix(" at")
        return None, f"This is no JSON: {said} at line {error.lineno}, column {error.colno}."
    except ValueError as error:
        return None, f"This JSON cannot be read: {error}."


def whole(document: Any) -> Any:
    """Return a JSON value without halves of surrogate pairs, which no page can be encoded with."""
    return json.loads(json.dumps(document, ensure_ascii=False).encode(errors="replace"))


def as_text(body: bytes, *, revealed: bool) -> str:
    """Return bytes that are no JSON as text, or as hex where they are no text.

    Unless revealed, letters and digits give way to x, which keeps the shape by which one sees what went wrong.
    """
    part = body[:MOST_BYTES]
    more = f"\n… {len(body) - MOST_BYTES:,} more bytes" if len(body) > MOST_BYTES else ""
    try:
        text = part.decode()
    except UnicodeDecodeError:
        text = part.decode(errors="replace") if more else ""
    if not text or "\ufffd" in text:
        return f"{len(body):,} bytes, hidden" if not revealed else _hex(part) + more
    return (text if revealed else _TELLING.sub("x", text)) + more


def _hex(part: bytes) -> str:
    return "\n".join(part[at : at + 16].hex(" ") for at in range(0, len(part), 16))


def sensitive(read: Read, adapter: Adapter) -> frozenset[str]:
    """Return the keys to be taken out: the adapter's, and the sources of what is personal in our own kinds."""
    ours = {
        path.rpartition(".")[2]
        for line in read.trace
        if line.field in _personal(read)
        for path in paths_in(line.source)
    }
    return adapter.sensitive_fields | ours


def _personal(read: Read) -> frozenset[str]:
    kind = KINDS.get(kind_of(read))
    return kind.sensitive if kind else frozenset()


def kind_of(read: Read) -> str:
    """Return the canonical kind that an event is about, "" where it is about none that is known."""
    if read.candidate:
        return read.candidate.kind.name
    if read.event.record:
        return read.event.record.kind
    return read.event.mapping.kind if read.event.mapping else ""


def marks_of(read: Read, prefix: str) -> Marks:
    """Return which paths the mapping reads, which of them are at fault, and which it misses."""
    used: dict[str, str] = {}
    hits, absent = [], []
    for line in read.trace:
        for path in paths_in(line.source):
            pointer = f"{prefix}/{path.replace('.', '/')}"
            there = _holds(read.obj, path)
            if there or line.problem:
                used[pointer] = f"{used[pointer]}, {_spoken(line)}" if pointer in used else _spoken(line)
            if line.problem:
                hits.append(pointer)
                if not there and _holds_parent(read.obj, path):
                    absent.append(pointer)
    return Marks(used=used, hits=tuple(hits), absent=tuple(absent))


def _spoken(line: Traced) -> str:
    return line.field.replace("_", " ")


def paths_in(source: str) -> list[str]:
    """Return the plain paths that a source names; of an expression, the names that it speaks of."""
    return list(dict.fromkeys(path for path in _PATH.findall(_QUOTED.sub("", source)) if path not in _WORDS))


def _holds(obj: Any, path: str) -> bool:
    for key in path.split("."):
        if not isinstance(obj, Mapping) or key not in obj:
            return False
        obj = obj[key]
    return True


def _holds_parent(obj: Any, path: str) -> bool:
    parent = path.rpartition(".")[0]
    return isinstance(obj, Mapping) if not parent else _holds(obj, parent)


def _taken_out(node: Any) -> Iterator[Redacted]:
    if isinstance(node, Redacted):
        yield node
    elif isinstance(node, Mapping):
        for child in node.values():
            yield from _taken_out(child)
    elif isinstance(node, list):
        for child in node:
            yield from _taken_out(child)


def results(trace: tuple[Traced, ...], kind: str, hidden: frozenset[str], *, personal: bool) -> list[Result]:
    """Return each rule with its source value and canonical value; what went wrong comes first."""
    currency = next((line.value for line in trace if line.field == "currency" and line.value), "")
    found = [_result(line, kind, currency, hidden, personal=personal) for line in trace]
    return sorted(found, key=lambda result: not result.problem)


def _result(line: Traced, kind: str, currency: str, hidden: frozenset[str], *, personal: bool) -> Result:
    last = paths_in(line.source)[-1:] or [""]
    value = (
        "keeps what is believed"
        if line.kept
        else values.shown(kind, line.field, line.value, currency=currency, personal=personal)
    )
    return Result(
        source=line.source,
        raw=_raw(line, last[0].rpartition(".")[2], hidden),
        rule=line.rule,
        field=line.field,
        name=values.name_of(line.field),
        value="" if line.problem else value,
        problem=line.problem,
        kept=line.kept,
    )


def _raw(line: Traced, key: str, hidden: frozenset[str]) -> str:
    if line.found != "value":
        return {"null": "null", "missing": "missing"}.get(line.found, "")
    clean = redact({key: line.raw}, hidden)[key]
    text = json.dumps(clean, ensure_ascii=False, default=lambda gone: f"({gone})").encode(errors="replace").decode()
    return text if len(text) <= 40 else f"{text[:39]}…"
