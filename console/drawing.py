"""Charts, drawn on the server as SVG: geometry in attributes, colour in the style sheet, the finding in words."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from console.look import Tone
from console.wording import plural

#: Texture beside colour. The patterns are defined once, in `templates/base.html`.
TEXTURES: dict[str, str] = {"warn": "hatch", "danger": "dots"}

WIDTH, BAR, GAP, BASE, DEPTH = 144, 4.5, 1.5, 20, 7


class Point(NamedTuple):
    """One step of a series: how much was done, and how much failed."""

    done: int
    failed: int = 0


class Part(NamedTuple):
    """One share of a whole. Tones beside those of states: "accent", "neutral" and "rest"."""

    label: str
    number: int
    tone: Tone | str = "neutral"


def spark(
    series: Iterable[Point | tuple[int, int]], *, step: str = "hour", label: str = "", css: str = ""
) -> SafeString:
    """Return bars of volume above a line and of failures below it, each on its own scale.

    The text alternative says the totals, unless `label` says something better.
    """
    points = [Point(*point) for point in series]
    stride = WIDTH / len(points) if points else WIDTH
    width = stride - min(GAP, stride / 4)
    above = _bars([point.done for point in points], stride, width, height=BASE - 1, up=True)
    below = _bars([point.failed for point in points], stride, width, height=DEPTH, up=False)
    return format_html(
        '<svg class="chart spark{}" viewBox="0 0 {} 28" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<path class="v" d="{}"/><path class="f" d="{}"/></svg>',
        f" {css}" if css else "",
        WIDTH,
        label or _finding(points, step),
        above,
        below,
    )


def _bars(values: Sequence[int], stride: float, width: float, *, height: int, up: bool) -> str:
    highest = max(values, default=0)
    bars = []
    for place, value in enumerate(values):
        if value > 0:
            tall = max(1.0, height * value / highest)
            start, rise = (BASE, -tall) if up else (BASE + 1, tall)
            bars.append(f"M{place * stride:.1f} {start}h{width:.1f}v{rise:.1f}h-{width:.1f}z")
    return "".join(bars)


def _finding(points: Sequence[Point], step: str) -> str:
    done, failed = sum(point.done for point in points), sum(point.failed for point in points)
    span = f"the last {len(points)} {plural(step)}" if len(points) != 1 else f"the last {step}"
    return f"{done:,} done and {failed:,} failed in {span}"


def segments(parts: Iterable[Part | tuple[str, int, str]], *, css: str = "") -> SafeString:
    """Return one bar of shares whose text alternative names each with its number."""
    shares = [Part(*part) for part in parts]
    total = sum(share.number for share in shares)
    drawn, x = [], 0.0
    for share in shares:
        wide = 100 * share.number / total if total else 0.0
        if wide:
            drawn.append(_segment(share.tone, x, wide))
        x += wide
    words = ", ".join(f"{share.number:,} {share.label}" for share in shares)
    return format_html(
        '<svg class="segments{}" role="img" aria-label="{}">{}</svg>',
        f" {css}" if css else "",
        words,
        mark_safe("".join(drawn)),  # noqa: S308 - joined from format_html
    )


def _segment(tone: str, x: float, wide: float) -> SafeString:
    place = format_html('x="{}%" y="0" width="{}%" height="100%"', f"{x:.2f}", f"{wide:.2f}")
    plain = format_html('<rect class="{}" {}/>', {"busy": "accent", "": "neutral"}.get(tone, tone), place)
    texture = TEXTURES.get(tone)
    return plain + format_html('<rect {} fill="url(#{})"/>', place, texture) if texture else plain
