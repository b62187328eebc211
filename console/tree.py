"""A payload as a tree of nested lists, safe to show: every key and value is escaped here.

Written in Python and not as a recursive template, because a payload has up to a million characters.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from console.icons import icon
from integrations.boundary.redaction import Redacted

__all__ = ["Marks", "Redacted", "draw"]

#: Branches deeper than this start folded, so that a page opens on what matters.
OPEN_DEPTH = 3
#: Longer text is cut, with its length said; the download has it whole.
LONGEST = 500
#: Members of one branch that are drawn, and of the whole tree: no browser shows a million of them.
WIDEST, MOST = 1000, 10_000


@dataclass(frozen=True)
class Marks:
    """What to point out. Paths are JSON pointers (RFC 6901) from the root of the payload.

    `used` maps a path to the canonical field that reads it, `hits` are paths at fault, `sources`
    paths to highlight, `absent` paths that a rule reads and the payload lacks. `reveal` is the
    address that asks for a redacted value; "" where the reader may not.
    """

    used: Mapping[str, str] = field(default_factory=dict)
    hits: Collection[str] = ()
    sources: Collection[str] = ()
    absent: Collection[str] = ()
    reveal: str = ""


def draw(node: Any, marks: Marks | None = None) -> SafeString:
    """Return the list of a payload's members. Anything JSON, and `Redacted`, may stand in it."""
    return mark_safe("".join(_items(node, "", 0, marks or Marks(), count(1))))  # noqa: S308 - escaped piece by piece


def _items(node: Any, path: str, depth: int, marks: Marks, drawn: Iterator[int]) -> Iterator[str]:
    """Yield one list; `drawn` counts the members of all lists."""
    yield "<ul>"
    for place, (key, value) in enumerate(_members(node)):
        if place == WIDEST or next(drawn) > MOST:
            yield f'<li><span class="z">… and {len(node) - place:,} more that are not shown</span></li>'
            break
        yield from _item(key, value, f"{path}/{_token(key)}", depth, marks, drawn)
    for missing in marks.absent:
        parent, _, key = missing.rpartition("/")
        if parent == path:
            yield f'<li{_classes(missing, marks)}>{_key(key)}<span class="z">not in this payload</span></li>'
    yield "</ul>"


def _members(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        yield from ((str(key), value) for key, value in node.items())
    elif isinstance(node, list | tuple):
        yield from ((str(place), value) for place, value in enumerate(node))
    else:
        yield "", node


def _item(key: str, value: Any, path: str, depth: int, marks: Marks, drawn: Iterator[int]) -> Iterator[str]:
    branch = isinstance(value, Mapping | list | tuple) and bool(value)
    yield f"<li{_classes(path, marks, branch=branch)}>"
    if branch:
        shown = depth < OPEN_DEPTH or _holds_marks(path, marks)
        size = f"{{{len(value)}}}" if isinstance(value, Mapping) else f"[{len(value)}]"
        yield f"<details{' open' if shown else ''}><summary{_use(path, marks)}>{_key(key)}<i>{size}</i></summary>"
        yield from _items(value, path, depth + 1, marks, drawn)
        yield "</details>"
    else:
        yield _key(key) + _leaf(value, path, marks)
    yield "</li>"


def _use(path: str, marks: Marks) -> str:
    """Return what marks a branch as read: its own line says so, not the end of the branch."""
    used = marks.used.get(path, "")
    return f' class="used" data-to="{escape(used)}"' if used else ""


def _classes(path: str, marks: Marks, *, branch: bool = False) -> str:
    names = [name for name, paths in (("hit", marks.hits), ("source", marks.sources)) if path in paths]
    used = "" if branch else marks.used.get(path, "")
    if used:
        names.insert(0, "used")
    found = f' class="{" ".join(names)}"' if names else ""
    return f'{found} data-to="{escape(used)}"' if used else found


def _holds_marks(path: str, marks: Marks) -> bool:
    below = f"{path}/"
    return any(at.startswith(below) for at in (*marks.hits, *marks.sources, *marks.absent))


def _key(key: str) -> str:
    return f'<span class="k">{escape(key)}</span>' if key else ""


def _leaf(value: Any, path: str, marks: Marks) -> str:
    if isinstance(value, Redacted):
        return _redacted(value, path, marks)
    if value is None:
        return '<span class="z">null</span>'
    if isinstance(value, bool):
        return f'<span class="n">{"true" if value else "false"}</span>'
    if isinstance(value, int | float):
        return f'<span class="n">{escape(repr(value))}</span>'
    if isinstance(value, Mapping | list | tuple):
        return f'<span class="z">{"{}" if isinstance(value, Mapping) else "[]"}</span>'
    return _text(str(value))


def _text(value: str) -> str:
    if len(value) <= LONGEST:
        return f'<span class="s">"{escape(value)}"</span>'
    return f'<span class="s">"{escape(value[:LONGEST])}…"</span> <i>{len(value):,} characters</i>'


def _redacted(value: Redacted, path: str, marks: Marks) -> str:
    shown = redacted(value.why)
    if not marks.reveal:
        return shown
    name = path.rpartition("/")[2]
    return shown + format_html(
        ' <a class="text-button" href="{}?path={}" aria-label="Reveal {}">Reveal…</a>', marks.reveal, path, name
    )


def redacted(why: str) -> SafeString:
    """Return the mark that stands where a value was taken out."""
    return format_html('<span class="redacted">{}{}</span>', icon("lock"), why)


def _token(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
