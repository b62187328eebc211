"""The audit trail: who did what, when and why; its seals, and its exports."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db import OperationalError, connection, transaction
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_GET, require_POST

from console.access import SEE, in_space
from console.audit import rows as shaping
from console.audit.asking import Asked, asked, reach
from console.audit.download import download
from console.context import may_here, where
from console.newest import Newest, id_of
from console.questions import GET_OR_POST, reason_of
from console.wording import count
from integrations.journal import export as exports
from integrations.journal import select
from integrations.journal.keys import fingerprint, public_keys, public_text
from integrations.journal.verify import unsealed, verify_newest
from integrations.models import Checkpoint, Export, JournalEntry, Record
from integrations.workflow.errors import Refusal

SIZE = 50
#: Milliseconds after which a list that no index helps is given up.
PATIENCE = 4000
#: How much a person who waits for the answer verifies; the command verifies everything.
NEWEST_SEALS, MOST_ENTRIES = 1500, 50_000
#: Seconds after which unsealed entries are worth a word: some turns of the sealer.
LATE_SEAL = 300
CONTENT = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}


@require_GET
@in_space()
def audit(request: Any) -> HttpResponse:
    """Show the journal of this space, newest first: the page, or its entries for htmx."""
    wanted = asked(request, request.GET)
    newest = Checkpoint.objects.order_by("-number").first()
    cut = _page(request, wanted)
    shown = shaping.rows_of(request, cut.rows if cut else [], newest)
    context = {
        "asked": wanted,
        "tabs": _tabs(request, wanted),
        "filters": wanted.filters.values(),
        "keep": [("view", request.GET.get("view", ""))],
        "days": shaping.days(shown),
        "rows": shown,
        "cut": cut,
        "too_slow": cut is None,
        "sealed_to": newest,
    }
    if not request.htmx:
        context |= _seal(request, newest)
        context |= {"may_export": may_here(request.user, request.space, "export")}
        context |= {"may_verify": may_here(request.user, request.space, "verify")}
    response = render(request, "audit/_rows.html" if request.htmx else "audit/audit.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _page(request: Any, wanted: Asked) -> Newest[JournalEntry] | None:
    """Return one page of entries, None when no index helped."""
    older, newer = (id_of(request.GET.get(name, "")) for name in ("after", "before"))
    going_back = bool(newer and not older)
    edge = {"after": newer} if going_back else {"before": older or None}
    try:
        with patience():
            found = select.page(wanted.selection, size=SIZE + 1, **edge)
    except OperationalError:
        return None
    more = len(found) > SIZE
    page = found[1:] if going_back and more else found[:SIZE]
    if not page:
        return Newest([])
    has_newer = more if going_back else bool(older)
    return Newest(page, page[0].pk if has_newer else 0, page[-1].pk if going_back or more else 0)


@contextmanager
def patience() -> Iterator[None]:
    """Give up a question of the database that takes longer than a person waits; raises OperationalError."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(PATIENCE)])
        yield
        cursor.execute("SELECT set_config('statement_timeout', '0', true)")


def _tabs(request: Any, wanted: Asked) -> list[dict[str, Any]]:
    query = request.GET.copy()
    for name in ("after", "before", "view"):
        query.pop(name, None)
    rest = query.urlencode()
    everything = f"?view=all&{rest}" if rest else "?view=all"
    return [
        {"name": "People", "url": f"?{rest}", "current": not wanted.everything, "count": None},
        {"name": "Everything", "url": everything, "current": wanted.everything, "count": None},
    ]


def _seal(request: Any, newest: Checkpoint | None) -> dict[str, Any]:
    """Return how far the journal is sealed, by which key, and who verified it last."""
    waiting = unsealed()
    keys = public_keys()
    last = (
        JournalEntry.objects.visible_to(request.user)
        .filter(subject_type="journal", subject_id=request.space.tenant.pk, tenant_id=request.space.tenant.pk)
        .order_by("-id")
        .first()
    )
    age = (timezone.now() - newest.at).total_seconds() if newest else 0
    return {
        "waiting": waiting,
        "late": bool(waiting and (newest is None or age > LATE_SEAL)),
        "fingerprint": fingerprint(keys[0]) if keys else "",
        "verified": last,
        "sees_all": reach(request, SEE) is None,
    }


@require_GET
@in_space()
def entry(request: Any, pk: int) -> HttpResponse:
    """Show one entry with its reason, address, request and difference: a dialog for htmx, else a page."""
    space = request.space
    found = (
        JournalEntry.objects.visible_to(request.user)
        .filter(pk=pk, tenant_id=space.tenant.pk, environment__in=(space.environment, ""))
        .first()
    )
    if found is None:
        raise Http404
    newest = Checkpoint.objects.filter(to_xact__gt=found.xact).order_by("number").first()
    personal = found.connection_id in where(request.user, space, "see_personal")
    record = Record.objects.visible_to(request.user).filter(pk=found.record_id).first() if found.record_id else None
    context = {
        "entry": found,
        "row": shaping.rows_of(request, [found], newest)[0],
        "seal": newest,
        "difference": shaping.difference(found, record, personal=personal),
        "details": shaping.details(found),
    }
    response = render(request, "audit/_entry.html" if request.htmx else "audit/entry.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_POST
@in_space("verify")
def verify(request: Any) -> HttpResponse:
    """Verify the newest seals, and lead to what was found."""
    space = request.space
    result = verify_newest(
        space.tenant, space.environment, actor=request.actor, newest=NEWEST_SEALS, most_entries=MOST_ENTRIES
    )
    for words in result.blind:
        messages.warning(request, words)
    if not result.checkpoints:
        messages.warning(request, "Nothing has been sealed yet. The first seal comes within a minute of an entry.")
    elif result.intact:
        seals = count(result.checkpoints, "checkpoint")
        messages.success(request, f"{result.entries:,} entries of {seals} are as they were sealed.")
    else:
        messages.error(request, f"{len(result.findings):,} findings: the journal is not as it was sealed.")
        for finding in result.findings[:5]:
            messages.error(request, f"Checkpoint {finding.checkpoint}: {finding.words}")
    return redirect("audit", *space.args)


@require_GET
@in_space("verify")
def public_key(request: Any) -> HttpResponse:
    """Hand out the public key, by which anybody verifies the seals without us."""
    text = "\n".join(public_text(key) for key in public_keys())
    return HttpResponse(f"{text}\n" if text else "No key is known here.\n", content_type="text/plain; charset=utf-8")


@GET_OR_POST
@in_space("export")
def exported(request: Any) -> HttpResponse:
    """Export the entries that the address chooses, and show what was exported before."""
    wanted = asked(request, request.GET, action="export")
    if request.method == "POST":
        return _make(request, wanted)
    return _exports(request, wanted)


def _make(request: Any, wanted: Asked) -> HttpResponse:
    space, format = request.space, request.POST.get("format", "")
    try:
        made = exports.make(
            space.tenant,
            wanted.selection,
            format=format,
            told=wanted.told,
            actor=request.actor,
            reason=reason_of(request)[:500],
        )
    except Refusal as refusal:
        return _exports(request, wanted, error=str(refusal))
    row = made.export
    name = f"journal-{space.tenant.slug}-{space.environment}-{row.at:%Y-%m-%d}-E{row.pk}.{row.format}"
    response = download(request, made.file, name=name, content_type=CONTENT[row.format], size=row.size)
    response["X-Export-Rows"] = str(row.rows)
    response["X-Export-SHA256"] = row.sha256
    return response  # type: ignore[return-value] # a streaming answer is no HttpResponse to its type, only to servers


def _exports(request: Any, wanted: Asked, error: str = "") -> HttpResponse:
    space = request.space
    past = Export.objects.visible_to(request.user).filter(**space.here)
    if reach(request, "export") is not None:
        past = Export.objects.filter(tenant=space.tenant, environment=space.environment, asked_by_id=request.user.pk)
    try:
        with patience():
            number = select.count_up_to(wanted.selection, settings.EXPORT_LIMIT)
    except OperationalError:
        number = None
    context = {
        "asked": wanted,
        "told": wanted.told.items(),
        "number": number,
        "limit": settings.EXPORT_LIMIT,
        "too_many": number is not None and number > settings.EXPORT_LIMIT,
        "exports": [(each, exports.filter_in_words(each.filter)) for each in past.order_by("-id")[:SIZE]],
        "error": error,
        "reason_value": reason_of(request),
        "format": request.POST.get("format", "csv"),
    }
    return render(request, "audit/exports.html", context, status=422 if error else 200)
