"""Mappings: the list, one version with its rules, and the edit of the version in force."""

import hashlib
from typing import Any

from django.contrib import messages
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from console.access import get_visible, in_space, require
from console.mappings import page
from console.questions import GET_OR_POST, reason_of
from integrations.boundary.mapping_document import ResourceMapping
from integrations.configuration import rules as texts
from integrations.configuration.impact import Impact, try_rules
from integrations.configuration.mappings import BadRules, publish
from integrations.models import Mapping, MappingState
from integrations.workflow.errors import Refusal


@require_GET
@in_space()
def mappings(request: Any) -> HttpResponse:
    """Show the version in force of each resource at each connection."""
    space = request.space
    here = Mapping.objects.visible_to(request.user).filter(connection_id__in=space.connection_ids)
    versions = {
        (row["connection_id"], row["resource"]): row["n"]
        for row in here.order_by().values("connection_id", "resource").annotate(n=Count("pk"))
    }
    names = {connection.pk: connection for connection in space.connections}
    found = here.filter(state=MappingState.PUBLISHED).defer("rules").order_by("connection_id", "resource")
    rows = [(names[each.connection_id], each, versions[each.connection_id, each.resource]) for each in found]
    return render(request, "mappings/mappings.html", {"rows": rows})


@require_GET
@in_space()
def mapping(request: Any, pk: int) -> HttpResponse:
    """Show one version of a mapping: its rules, its states, what differs from another version."""
    shown = mapping_of(request, pk)
    personal, may_edit = (_may(request, shown, action) for action in ("see_personal", "edit_mapping"))
    rules = ResourceMapping.model_validate(shown.rules["rules"])
    in_force = shown.state == MappingState.PUBLISHED
    read = page.read_example(shown.connection, shown.resource) if in_force else None
    others = Mapping.objects.filter(connection=shown.connection, resource=shown.resource).order_by("-version")
    against = _against(request, shown, list(others))
    context = {
        "mapping": shown,
        "rules": rules,
        "rows": page.rule_rows(rules, read, personal=personal),
        "example": page.example_of(read, rules, shown.connection) if read else None,
        "fault": read.fault if read else None,
        "versions": others,
        "against": against,
        "difference": texts.difference(against.rules["rules"], shown.rules["rules"]) if against else [],
        "in_force": in_force,
        "parked": page.parked_of(shown) if in_force else 0,
        "may_edit": may_edit and in_force,
        "newest": next(each for each in others if each.state == MappingState.PUBLISHED),
    }
    return render(request, "mappings/mapping.html", context)


def mapping_of(request: Any, pk: int, action: str = "") -> Mapping:
    """Return a mapping of the space: Http404 where it is hidden, `Forbidden` without `action`."""
    found = get_visible(Mapping.objects.select_related("connection"), request.user, pk=pk)
    found.connection = request.space.connection(found.connection_id)
    if action:
        require(request.user, action, tenant_id=found.connection.tenant_id, connection_id=found.connection_id)
    return found


def _may(request: Any, shown: Mapping, action: str) -> bool:
    ids = {"tenant_id": shown.connection.tenant_id, "connection_id": shown.connection_id}
    return bool(request.user.powers.may(action, **ids))


def _against(request: Any, shown: Mapping, others: list[Mapping]) -> Mapping | None:
    """Return the version to compare with: the one asked for, else the one before."""
    asked = request.GET.get("against", "")
    wanted = [each for each in others if str(each.version) == asked and each.pk != shown.pk]
    older = [each for each in others if each.version < shown.version]
    return next(iter(wanted or older), None)


@GET_OR_POST
@in_space("edit_mapping")
def edit(request: Any, pk: int) -> HttpResponse:
    """Edit the version in force as text, see what the change would do, then publish it as the next version."""
    current = mapping_of(request, pk, "edit_mapping")
    if current.state != MappingState.PUBLISHED:
        messages.warning(request, f"v{current.version} is not in force any more; this is the newest.")
        return redirect(_newest_url(request, current))
    if request.method != "POST":
        return _form(request, current, texts.write(current.rules["rules"]))
    text = request.POST.get("rules", "")
    try:
        rules = texts.read(text)
        impact = try_rules(current, rules)
    except texts.Unreadable as unreadable:
        return _form(request, current, text, faults=[str(unreadable)])
    except BadRules as bad:
        return _form(request, current, text, faults=bad.faults)
    if request.POST.get("act") != "publish":
        return _form(request, current, text, impact=impact, rules=rules)
    return _publish(request, current, text, rules, impact)


def _publish(request: Any, current: Mapping, text: str, rules: dict[str, Any], impact: Impact) -> HttpResponse:
    reason = reason_of(request)
    error = ""
    if request.POST.get("tried") != _digest(current, text):
        error = "The rules have changed since they were tried. See the impact again, then publish."
    else:
        try:
            made = publish(
                current.connection,
                current.resource,
                rules,
                actor=request.actor,
                reason=reason[:500],
                over=current.version,
            )
        except Refusal as refusal:
            error = str(refusal)
        else:
            messages.success(request, f"{made.resource} v{made.version} is in force. Records change by replay only.")
            return redirect("mapping", *request.space.args, made.pk)
    return _form(request, current, text, impact=impact, rules=rules, error=error, reason=reason)


def _form(
    request: Any,
    current: Mapping,
    text: str,
    *,
    faults: list[str] | None = None,
    impact: Impact | None = None,
    rules: dict[str, Any] | None = None,
    error: str = "",
    reason: str = "",
) -> HttpResponse:
    difference = texts.difference(current.rules["rules"], rules) if rules else []
    personal = _may(request, current, "see_personal")
    context = {
        "mapping": current,
        "next": current.version + 1,
        "text": text,
        "faults": faults or [],
        "impact": impact if difference else None,
        "unchanged": bool(rules) and not difference,
        "difference": difference,
        "parts": page.impact_parts(impact) if impact else [],
        "tried": page.tried_rows(current, impact, request.user, personal=personal) if impact else [],
        "digest": _digest(current, text),
        "error": error,
        "reason_value": reason,
    }
    status = 422 if faults or error else 200
    return render(request, "mappings/edit.html", context, status=status)


def _digest(current: Mapping, text: str) -> str:
    """Return what ties a publication to the text whose impact was seen, and to the version below it."""
    return hashlib.sha256(f"{current.pk}\n{text}".replace("\r\n", "\n").encode()).hexdigest()


def _newest_url(request: Any, old: Mapping) -> str:
    newest = Mapping.objects.get(connection=old.connection, resource=old.resource, state=MappingState.PUBLISHED)
    return reverse("mapping", args=[*request.space.args, newest.pk])
