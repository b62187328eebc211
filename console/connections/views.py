"""Connections: the list, and the page of one. What is done to them stands in `actions` and `secrets`."""

from datetime import datetime
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_GET

from console.access import in_space, require
from console.connections import exports, history, page
from console.overview.rows import Row, read_rows
from console.overview.words import lead, note, title
from integrations.configuration.schedules import windows_said
from integrations.health.backlog import unsent_of
from integrations.models import (
    Breaker,
    BreakerState,
    Connection,
    Credential,
    CredentialState,
    Mapping,
    MappingState,
    Run,
)
from integrations.providers import get_adapter
from integrations.providers.base import ActionSpec


def connection_of(request: Any, pk: int, action: str = "") -> Connection:
    """Return a connection of the space: Http404 where it is hidden, `Forbidden` without `action` at it."""
    connection: Connection = request.space.connection(pk)
    if action:
        require(request.user, action, tenant_id=connection.tenant_id, connection_id=connection.pk)
    return connection


def may(request: Any, connection: Connection, *actions: str) -> dict[str, bool]:
    """Return which of some actions the person may do at a connection."""
    ids = {"tenant_id": connection.tenant_id, "connection_id": connection.pk}
    return {action: request.user.powers.may(action, **ids) for action in actions}


@require_GET
@in_space()
def connections(request: Any) -> HttpResponse:
    """Show every connection of the space, the worst first."""
    now = timezone.now()
    rows = read_rows(request.space.connections, now)
    context = {
        "rows": [(row, page.word_of(row), page.asked_of(row), get_adapter(row.connection.provider)) for row in rows],
        "title": title(rows),
        "lead": lead(rows, now),
        "may_connect": request.user.powers.may("edit_settings", tenant_id=request.space.tenant.pk),
    }
    return render(request, "connections/connections.html", context)


@require_GET
@in_space()
def connection(request: Any, pk: int) -> HttpResponse:
    """Show one connection: its health, streams, secrets, mappings, exchanges and history."""
    shown, now = connection_of(request, pk), timezone.now()
    row = read_rows([shown], now)[0]
    credentials = _credentials(shown)
    runs = page.newest_runs(shown)
    context = {
        **_streams(request, shown, row, runs),
        **_secrets(request, shown, credentials),
        "row": row,
        "breaker": row.breaker,
        "unsent": row.unsent,
        "used": page.used_of(shown, now),
        "word": page.word_of(row),
        "asked": page.asked_of(row),
        "lead": lead([row], now),
        "note": note(row, now),
        "adapter": get_adapter(shown.provider),
        "actions": _actions(request, shown),
        "webhook_url": page.webhook_url(shown),
        "facts": [*page.facts(shown), *page.limit_facts(shown), *_windows(shown, now)],
        "mappings": _mappings(shown),
        "attempts": page.newest_attempts(shown),
        **_routes(request, shown),
        "changes": history.changes_of(shown, credentials),
    }
    return render(request, "connections/connection.html", context)


@require_GET
@in_space()
def streams(request: Any, pk: int) -> HttpResponse:
    """Show the streams and runs alone, as they are asked for again while something runs."""
    shown = connection_of(request, pk)
    row = read_rows([shown], timezone.now())[0]
    return _fragment(request, "connections/_streams.html", _streams(request, shown, row, page.newest_runs(shown)))


@require_GET
@in_space()
def secrets(request: Any, pk: int) -> HttpResponse:
    """Show the secrets alone, as they are asked for again while one is being verified."""
    shown = connection_of(request, pk)
    return _fragment(request, "connections/_secrets.html", _secrets(request, shown, _credentials(shown)))


@require_GET
@in_space()
def breaker(request: Any, pk: int) -> HttpResponse:
    """Show the breaker alone, as it is asked for again until it is closed."""
    shown = connection_of(request, pk)
    context = {
        "connection": shown,
        "breaker": Breaker.objects.filter(connection=shown).exclude(state=BreakerState.CLOSED).first(),
        "unsent": unsent_of([shown.pk]).get(shown.pk),
        "may": may(request, shown, "pause"),
    }
    return _fragment(request, "connections/_breaker.html", context)


def _fragment(request: Any, template: str, context: dict[str, Any]) -> HttpResponse:
    response = render(request, template, context)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _credentials(connection: Connection) -> list[Credential]:
    return list(Credential.objects.filter(connection=connection).defer("secret").order_by("-version"))


def _streams(request: Any, connection: Connection, row: Row, runs: list[Run]) -> dict[str, Any]:
    rows = page.stream_rows(row.streams, runs, page.newest_scans(connection))
    return {
        "connection": connection,
        "streams": rows,
        "runs": page.run_rows(runs),
        "running": any(each.running for each in rows),
        "can_run": 0 if row.lacking else sum(each.can_run for each in rows),
        "lacking": row.lacking,
        "may": may(request, connection, "pause", "reconcile", "rotate", "edit_settings", "dismiss"),
    }


def _secrets(request: Any, connection: Connection, credentials: list[Credential]) -> dict[str, Any]:
    found, now = page.secrets_of(connection, credentials), timezone.now()
    return {
        "connection": connection,
        "secrets": found,
        "verifying": any(secret.pending for secret in found),
        "overlaps": {
            each.pk: page.overlap_parts(each, now) for each in credentials if each.state == CredentialState.RETIRING
        },
        "may": may(request, connection, "pause", "reconcile", "rotate", "edit_settings", "dismiss"),
    }


def _routes(request: Any, connection: Connection) -> dict[str, Any]:
    return {
        "routes": exports.rows_of(request, connection),
        "may_route": may(request, connection, "edit_settings")["edit_settings"] and len(request.space.connections) > 1,
    }


def _actions(request: Any, connection: Connection) -> list[ActionSpec]:
    """Return what the person may ask for at a connection."""
    allowed = not connection.disabled_at and may(request, connection, "command")["command"]
    return list(get_adapter(connection.provider).actions.values()) if allowed else []


def _windows(connection: Connection, now: datetime) -> list[tuple[str, str]]:
    """Return the off-peak windows as (title, value), and whether one is open."""
    said = [("Off-peak windows", windows_said(connection.windows))]
    return [*said, ("Bulk runs go on", page.bulk_said(connection.windows, now))] if connection.windows else said


def _mappings(connection: Connection) -> list[Mapping]:
    found = Mapping.objects.filter(connection=connection, state=MappingState.PUBLISHED).defer("rules")
    return list(found.order_by("resource"))
