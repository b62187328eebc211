"""The first page: which connection needs whom, now."""

from datetime import UTC
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET
from django.views.decorators.vary import vary_on_headers

from console import look
from console.access import in_space
from console.context import may_here, where
from console.overview import waiting, words
from console.overview.rows import NOBODY, Row, by_owner, read_rows


@require_GET
@vary_on_headers("HX-Request")
@in_space()
def overview(request: Any) -> HttpResponse:
    """Show how every connection of the space does. htmx asks again every 15 seconds for the changing part."""
    space, user, now = request.space, request.user, timezone.now()
    rows = read_rows(space.connections, now)
    owners = waiting.owners_of(request.actor.role)
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    context = {
        "now": now,
        "title": words.title(rows),
        "lead": words.lead(rows, now),
        "rows": [_shown(row, now) for row in rows],
        "stats": _stats(rows, owners),
        "stuck": waiting.stuck_records(space),
        "drift": waiting.open_drift(space, where(user, space, "see_drift"))
        if may_here(user, space, "see_drift")
        else None,
        "owners": words.listed([words.asked(owner) for owner in owners]),
        "owner": owners[0] if len(owners) == 1 else "",
        "colleagues": words.listed(["you", *waiting.colleagues(space, user, owners)]) if owners else "",
        "waits": waiting.problems_for(space, user, owners),
        "open_problems": sum(number for row in rows for _, number in row.asked),
        "changes": [
            (entry, _connection(space, entry.connection_id)) for entry in waiting.changes_since(space, user, midnight)
        ],
    }
    return render(request, "overview/_now.html" if request.htmx else "overview/overview.html", context)


def _shown(row: Row, now: Any) -> dict[str, Any]:
    return {
        "row": row,
        "note": "; ".join(filter(None, (words.held(row), words.note(row, now)))),
        "allowance": words.allowance(row),
        "streams": words.every_stream(row, now),
    }


def _stats(rows: list[Row], owners: list[str]) -> list[dict[str, Any]]:
    """Return (owner, open problems) for each owner, mine first in name only."""
    found = by_owner(rows)
    return [
        {"owner": owner, "mine": owner in owners, "nobody": owner == NOBODY, "owned": found.get(owner)}
        for owner in look.OWNERS
    ]


def _connection(space: Any, pk: int | None) -> Any:
    return next((each for each in space.connections if each.pk == pk), None)
