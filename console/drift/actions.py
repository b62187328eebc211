"""Settling differences, asking for a check, cancelling one, and the report for finance."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from console import newest
from console.access import SEE, Forbidden, in_space, require
from console.audit.asking import bounds, reach
from console.audit.download import answer_report
from console.commands import page as commands
from console.context import may_here, where
from console.drift import listing
from console.drift.showing import Group, Sending
from console.drift.views import find_check
from console.questions import GET_OR_POST, Question, ask, reason_of
from console.wording import count
from integrations.models import Drift, DriftStatus
from integrations.providers import get_adapter
from integrations.reconciliation import difference_report, pushing, report, resolve
from integrations.reconciliation.check import check_connection
from integrations.workflow import runs
from integrations.workflow.errors import Refusal

WHO_READS = "Shown with the difference, in the record's timeline and in the journal."


@GET_OR_POST
@in_space("settle_drift")
def accept(request: Any) -> HttpResponse:
    """Take theirs for the ticked differences."""
    return _settle(
        request,
        do=resolve.accept,
        verb="Accept theirs for",
        text="Belief follows the provider. Each change names its difference as the evidence, and stays in the history.",
        said="Theirs accepted for",
    )


@GET_OR_POST
@in_space("settle_drift")
def ignore(request: Any) -> HttpResponse:
    """Leave both sides of the ticked differences as they are."""
    return _settle(
        request,
        do=resolve.ignore,
        verb="Ignore",
        text=(
            "Both sides stay as they are. A later check opens a difference again if it is still there; where the "
            "record was exported to, only once one of its sides changes."
        ),
        said="Ignored",
    )


@GET_OR_POST
@in_space("command")
def push(request: Any) -> HttpResponse:
    """Send ours to where the records of the ticked differences were exported, over theirs: it writes there."""
    return _settle(
        request,
        needs=("settle_drift", "command"),
        do=partial(resolve.push, shown=_digests(request)),
        verb="Send ours for",
        text=(
            "This goes out, once a look there finds just what stands here. Otherwise nothing is sent, and what differs "
            "by then is shown."
        ),
        said="Ours is on its way for",
        sending=True,
    )


def _digests(request: Any) -> dict[int, str]:
    """Return what was shown to go out, by copy."""
    told = (value.partition(":") for value in request.POST.getlist("shown"))
    return {newest.id_of(copy): digest for copy, _, digest in told}


def _add_what_goes_out(groups: list[Group], drifts: list[Drift]) -> list[tuple[str, str]]:
    """Show with each record what sending ours asks for; return the marks for the form. Raises `Refusal`."""
    sending = {each.drifts[0].pk: each for each in pushing.outgoing(drifts)}
    for group in groups:
        each = sending[group.head.pk]
        record, adapter = each.copy.record, get_adapter(group.connection.provider)
        content = commands.content_of(each.content, record.kind, adapter, personal=group.personal)
        group.sending = Sending(each.said, content, f"{each.copy.pk}:{each.digest}", each.refused)
    return [("shown", group.sending.mark) for group in groups if group.sending]


def _settle(
    request: Any,
    *,
    do: Callable[..., int],
    verb: str,
    text: str,
    said: str,
    needs: tuple[str, ...] = ("settle_drift",),
    sending: bool = False,
) -> HttpResponse:
    chosen = _chosen(request, needs)
    back = reverse("drift", args=request.space.args)
    still_open = [each for each in chosen if each.status == DriftStatus.OPEN]
    if not still_open:
        messages.warning(request, "Tick at least one open difference." if not chosen else "These are settled already.")
        return redirect(back)
    if len(still_open) > listing.MOST:
        messages.warning(request, f"At most {listing.MOST} differences are settled at once. Nothing was done.")
        return redirect(back)
    how_many = count(len(still_open), "difference")
    groups = listing.groups(still_open, personal=where(request.user, request.space, "see_personal"))
    try:
        marks = _add_what_goes_out(groups, still_open) if sending else []
    except Refusal as refusal:
        messages.warning(request, str(refusal))
        return redirect(back)
    question = Question(
        question=f"{verb} {how_many}?",
        text=text,
        act=f"{verb} {how_many}",
        keep=f"Leave {'it' if len(still_open) == 1 else f'the {len(still_open)}'} open",
        reason=WHO_READS,
        template="drift/settle.html",
        back_url=back,
        more={
            "groups": groups,
            "accepting": do is resolve.accept,
            "pushing": sending,
            "hidden": [*(("row", each.pk) for each in still_open), *marks],
            "unusual": sum(line.unusual for group in groups for line in group.lines),
            "stuck": sum(bool(group.record and group.record.stuck_since) for group in groups),
        },
    )
    return ask(
        request,
        question,
        lambda reason: f"{said} {count(do(still_open, actor=request.actor, reason=reason), 'difference')}.",
    )


def _chosen(request: Any, needs: tuple[str, ...]) -> list[Drift]:
    """Return the ticked rows: Http404 where one is hidden, `Forbidden` without all of `needs` at its connection."""
    query = request.POST if request.method == "POST" else request.GET
    asked = set(query.getlist("row"))
    found = listing.ticked(listing.visible(request), query)
    if len(found) < min(len(asked), listing.MOST + 1):
        raise Http404
    for connection_id in {each.connection_id for each in found}:
        for action in needs:
            require(request.user, action, tenant_id=request.space.tenant.pk, connection_id=connection_id)
    if "command" in needs and any(each.record_id and each.record is None for each in found):
        # What would go out is a record that they do not see.
        raise Forbidden(SEE)
    return found


@GET_OR_POST
@in_space("reconcile")
def check(request: Any, pk: int) -> HttpResponse:
    """Ask for a check of everything that a connection holds."""
    connection = request.space.connection(pk)
    for action in ("see_drift", "reconcile"):
        require(request.user, action, tenant_id=request.space.tenant.pk, connection_id=pk)

    def do(reason: str) -> str:
        planned = check_connection(connection, actor=request.actor, reason=reason)
        return f"{connection.name} is being checked: {count(len(planned), 'stream')}."

    question = Question(
        question=f"Check {connection.name} now?",
        text=(
            "Everything the provider holds is read again and compared with ours, field by field. "
            "Nothing changes; what differs shows here. Webhooks go on meanwhile."
        ),
        act=f"Check {connection.name}",
        keep="Not now",
        reason="Shown with the check and in the journal.",
        back_url=reverse("drift_runs", args=request.space.args),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("reconcile")
def cancel(request: Any, pk: int) -> HttpResponse:
    """Stop a check after the page that it is at."""
    run = find_check(request, pk)
    require(request.user, "reconcile", tenant_id=run.tenant_id, connection_id=run.connection_id)

    def do(reason: str) -> str:
        runs.cancel(run, actor=request.actor, reason=reason)
        return f"Check R-{run.pk} was cancelled; what it found stays."

    question = Question(
        question=f"Cancel check R-{run.pk}?",
        text="It stops after the page that it reads now. What it compared and found so far stays.",
        act=f"Cancel check R-{run.pk}",
        keep="Let it run",
        danger=True,
        back_url=reverse("drift_runs", args=request.space.args),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("export")
def export(request: Any) -> Any:
    """Ask what the report is for, then answer with the file: the differences that the list is narrowed to."""
    space = request.space
    require_anywhere(request, "see_drift")
    ids = where(request.user, space, "export")
    connections = [each for each in listing.connections_of(request) if each.pk in ids]
    filters = listing.chosen(request.GET, connections)
    bound_to = bounds(space, reach(request, "export"))
    told = {"status": listing.status_of(filters) or "any"} | ({"where": bound_to} if bound_to else {})
    told |= {each.label.lower(): each.shown for each in filters.values() if each.chosen and each.name != "status"}
    context = {
        "title": "Report of differences",
        "lead": (
            "One line a difference, with both sides, the money between them, and the evidence. Personal values are "
            "masked unless you may see them."
        ),
        "told": told,
        "error": "",
        "back_url": f"{reverse('drift', args=space.args)}?{request.GET.urlencode()}",
        "back": "Back to drift",
    }
    if request.method != "POST":
        return render(request, "reports/report.html", context)
    asked = listing.visible(request).filter(listing.condition(filters), connection_id__in=ids)
    rows = listing.with_names(asked).order_by("-pk")
    try:
        made = report.make(
            space.tenant,
            space.environment,
            difference_report.table_of(
                rows.iterator(chunk_size=2000), personal=where(request.user, space, "see_personal")
            ),
            told=told,
            actor=request.actor,
            reason=reason_of(request)[:500],
        )
    except Refusal as refusal:
        return render(request, "reports/report.html", context | {"error": str(refusal)}, status=422)
    name = f"drift-{space.tenant.slug}-{space.environment}-{timezone.now():%Y%m%d-%H%M%S}.csv"
    return answer_report(request, made, name)


def require_anywhere(request: Any, action: str) -> None:
    """Raise `Forbidden` unless the person may do `action` somewhere in the space."""
    if not may_here(request.user, request.space, action):
        require(request.user, action, tenant_id=request.space.tenant.pk)
