"""Tags of the console's templates: `{% load console %}`. They draw; they decide nothing.

`templates/README.md` lists them with examples.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from django import template
from django.http import HttpRequest, QueryDict
from django.template import Context
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from console import drawing, icons, look, tree, wording

register = template.Library()

#: A page of one thing answers, in another environment, with the list of such things.
LISTS: dict[str, str] = {
    "record": "records",
    "event": "events",
    "problem": "problems",
    "command": "commands",
    "connection": "connections",
    "replay": "problems",
}
#: Where a list stands. They mean nothing once its filter or order changes.
CURSORS = ("after", "before")


@register.simple_block_tag
def capture(content: str) -> SafeString:
    """Keep a block's output for later: `{% capture as x %}…{% endcapture %}`. Empty stays empty."""
    return mark_safe(content.strip())  # noqa: S308 - the block has been escaped by its template


@register.simple_tag
def icon(name: str, css: str = "") -> SafeString:
    """`{% icon "replay" %}`: a symbol of the sprite, hidden from ears."""
    return icons.icon(name, css)


@register.simple_tag
def state(word: Any, topic: str = "", loud: bool = False, text: str = "") -> SafeString:
    """`{% state record %}`, `{% state "open" "drift" %}`, `{% state "stuck" loud=True text="stuck for 34 min" %}`.

    An object with `state` and `kind` gives both. `text` replaces the word and keeps its look.
    """
    if not isinstance(word, str):
        word, topic = str(word.state), topic or str(getattr(word, "kind", ""))
    return _state(word, topic, loud, str(text))


@lru_cache(2048)
def _state(word: str, topic: str, loud: bool, text: str) -> SafeString:
    seen = look.of_state(word, topic)
    title = format_html(' title="{}"', seen.title) if seen.title else ""
    css = " ".join(filter(None, ("state", seen.tone, "loud" if loud else "")))
    return format_html('<span class="{}"{}>{}{}</span>', css, title, icons.icon(seen.shape), text or look.say(word))


@register.simple_tag
def mark(shape: str, text: str, tone: str = "", loud: bool = False) -> SafeString:
    """`{% mark "s-triangle" "34 min" "warn" %}`: a state whose words are not in the table."""
    css = " ".join(filter(None, ("state", tone, "loud" if loud else "")))
    return format_html('<span class="{}">{}{}</span>', css, icons.icon(shape), text)


@register.simple_tag
@lru_cache(256)
def category(word: str, text: str = "") -> SafeString:
    """`{% category failure.category %}`: the badge of a failure category."""
    seen = look.of_category(word)
    css = f"category {seen.tone}".rstrip()
    return format_html('<span class="{}">{}{}</span>', css, icons.icon(seen.shape), text or look.say(word))


@register.simple_tag
def owner(word: str) -> str:
    """`{% owner problem.owner %}`: the owner as headings say it, "Engineers"."""
    return look.OWNERS[word].title if word in look.OWNERS else word


@register.simple_tag
@lru_cache(64)
def lane(word: str) -> SafeString:
    """`{% lane "events" %}`: the dot in the timeline's gutter."""
    shape = look.LANES.get(word, look.UNNAMED).shape
    return format_html('<span class="dot">{}<span class="for-ears">{}</span></span>', icons.icon(shape), word)


@register.simple_tag
def environment(name: str) -> SafeString:
    """`{% environment connection.environment %}`: LIVE, or TEST striped."""
    return format_html('<span class="environment{}">{}</span>', " test" if name == "test" else "", name.upper())


@register.simple_tag(name="id")
def identifier(value: Any, length: int = 20) -> SafeString:
    """`{% id reference.external_id %}`: shortened in the middle, copied whole. `length=0` shows all."""
    whole = "" if value is None else str(value)
    if not whole:
        return format_html('<span class="faint">{}</span>', "none")
    short = wording.shorten(whole, length) if length else whole
    title = format_html(' title="{}"', whole) if short != whole else ""
    return format_html(
        '<span class="id"><code{0}>{1}</code>'
        '<button type="button" data-copy="{2}" aria-label="Copy {2}">{3}</button></span>',
        title,
        short,
        whole,
        icons.icon("copy"),
    )


def _now(context: Context) -> datetime:
    now = context.get("now")
    return now if isinstance(now, datetime) else timezone.now()


def _time(at: datetime | None, text: str) -> SafeString:
    if at is None:
        return format_html('<span class="faint">{}</span>', "none")
    shown = wording.exact(at)
    # Digits and our own words only, so that nothing needs escaping; a timeline has a thousand of these.
    return mark_safe(f'<time datetime="{shown[:10]}T{shown[11:19]}Z" title="{shown}">{text}</time>')  # noqa: S308


@register.simple_tag(takes_context=True)
def ago(context: Context, at: datetime | None) -> SafeString:
    """`{% ago event.received_at %}`: "1 h 47 min ago", the exact UTC time on hover; "none" for no time."""
    return _time(at, wording.ago(at, _now(context)) if at else "")


@register.simple_tag(takes_context=True)
def age(context: Context, at: datetime | None) -> SafeString:
    """`{% age record.changed_at %}`: as `ago` without the word, for columns headed "Age"."""
    return _time(at, wording.age((_now(context) - at).total_seconds()) if at else "")


@register.simple_tag(takes_context=True)
def until(context: Context, at: datetime | None) -> SafeString:
    """`{% until work.due_at %}`: "in 52 s", or "now"."""
    return _time(at, wording.until(at, _now(context)) if at else "")


@register.simple_tag(takes_context=True)
def moment(context: Context, at: datetime | None) -> SafeString:
    """`{% moment event.occurred_at %}`: the UTC time as a sentence says it, "18 Nov, 16:41"."""
    return _time(at, wording.moment(at, _now(context)) if at else "")


@register.simple_tag
def clock(at: datetime | None, seconds: bool = True) -> SafeString:
    """`{% clock entry.at %}`: "14:04:12" UTC, under a heading that names the day."""
    return _time(at, wording.exact(at)[11 : 19 if seconds else 16] if at else "")


@register.simple_tag
def money(minor: int | None, currency: str) -> str:
    """`{% money invoice.total invoice.currency %}`: "€4,812.50" from 481250 minor units."""
    return wording.money(minor, currency)


@register.simple_tag
def count(number: int, one: str, many: str = "") -> str:
    """`{% count n "event" %}`: "1,134 events"."""
    return wording.count(number, one, many)


@register.simple_tag
def number(value: int | None) -> str:
    """`{% number n %}`: "1,134"; "none" for None."""
    return "none" if value is None else f"{value:,}"


@register.simple_tag(name="bytes")
def size(number: int) -> str:
    """`{% bytes payload.size %}`: "6.1 kB"."""
    return wording.size(number)


@register.simple_tag
def duration(seconds: float | None) -> str:
    """`{% duration attempt.seconds %}`: "84 ms", "1.2 s", "4 min 12 s"."""
    return "none" if seconds is None else wording.duration(seconds)


@register.simple_tag
def spark(
    series: Iterable[drawing.Point | tuple[int, int]], step: str = "hour", label: str = "", css: str = ""
) -> SafeString:
    """`{% spark series %}`: (done, failed) for each step; `css="small"` for tight rows."""
    return drawing.spark(series, step=step, label=label, css=css)


@register.simple_tag
def segments(parts: Iterable[drawing.Part | tuple[str, int, str]], css: str = "") -> SafeString:
    """`{% segments parts %}`: (label, number, tone) for each share; `css="thin"`."""
    return drawing.segments(parts, css=css)


@register.simple_tag(name="tree")
def payload_tree(node: Any, marks: tree.Marks | None = None) -> SafeString:
    """`{% tree payload marks %}`: the lists alone; `_parts/tree.html` frames them."""
    return tree.draw(node, marks)


@register.simple_tag
def redacted(why: str = "personal") -> SafeString:
    """`{% redacted "secret" %}`: the mark where a value was taken out."""
    return tree.redacted(why)


@register.simple_tag(takes_context=True)
def space_url(context: Context, name: str, *args: Any, **query: Any) -> str:
    """`{% space_url "record" record.pk %}`, `{% space_url "records" state="open" %}`: a page of this space.

    Empty where the page knows no space, so that a part never breaks an error page.
    """
    space = context.get("space")
    if not space:
        return ""
    url = reverse(name, args=[space.tenant.slug, space.environment, *args])
    return url + _query(query)


@register.simple_tag(takes_context=True)
def environment_url(context: Context, name: str) -> str:
    """`{% environment_url "test" %}`: the same list in the other environment of this tenant."""
    space, request = context.get("space"), context.get("request")
    if not space:
        return ""
    match = request.resolver_match if isinstance(request, HttpRequest) else None
    page = match.url_name if match and match.url_name else "overview"
    for candidate in (LISTS.get(page, page), "overview"):
        try:
            return reverse(candidate, args=[space.tenant.slug, name])
        except NoReverseMatch:
            continue
    return ""


@register.simple_tag(takes_context=True)
def query_with(context: Context, **changes: Any) -> str:
    """`{% query_with state="open" %}`: this page's query, changed; None or "" takes a parameter out.

    The list starts anew unless the change is itself a step (`after`, `before`).
    """
    query = _present(context)
    if not changes.keys() & set(CURSORS):
        changes |= dict.fromkeys(CURSORS)
    for key, value in changes.items():
        if value in (None, ""):
            query.pop(key, None)
        else:
            query.setlist(key, [str(each) for each in value] if isinstance(value, list | tuple) else [str(value)])
    return f"?{query.urlencode()}"


@register.simple_tag(takes_context=True)
def query_without(context: Context, key: str, value: str = "") -> str:
    """`{% query_without "state" "open" %}`: this page's query less one value, or less a parameter."""
    query = _present(context)
    query.setlist(key, [each for each in query.getlist(key) if value and each != value])
    for cursor in CURSORS:
        query.pop(cursor, None)
    return f"?{query.urlencode()}"


def _present(context: Context) -> QueryDict:
    request = context.get("request")
    return request.GET.copy() if isinstance(request, HttpRequest) else QueryDict(mutable=True)


def _query(parameters: Mapping[str, Any]) -> str:
    kept = {key: value for key, value in parameters.items() if value not in (None, "")}
    return f"?{urlencode(kept, doseq=True)}" if kept else ""


@register.simple_tag(takes_context=True)
def other_tenants(context: Context) -> list[Any]:
    """Return one space of each other tenant the person may see, in this environment where there is one."""
    here = context.get("space")
    found: dict[str, Any] = {}
    for space in context.get("spaces") or ():
        slug = space.tenant.slug
        if here and slug == here.tenant.slug:
            continue
        if slug not in found or (here and space.environment == here.environment):
            found[slug] = space
    return list(found.values())
