"""When streams run and scan, off-peak windows, and what becomes of a scan that found too much missing."""

from typing import Any

from django import forms
from django.http import HttpResponse

from console.access import find_here, in_space
from console.connections.actions import WHO_READS, stream_of, url_of
from console.connections.views import connection_of
from console.questions import GET_OR_POST, Question, ask, filled
from console.wording import count
from integrations.configuration import schedules
from integrations.configuration.settings import BadSettings
from integrations.models import Run, RunKind, Stream
from integrations.workflow import dismiss, runs, scans
from integrations.workflow.errors import Refusal
from integrations.workflow.windows import read_all

CRON = "minute, hour, day of the month, month, day of the week, time zone"
#: What becomes of times on the two nights of the year when clocks change.
NIGHTS = (
    "UTC where no time zone is named. A time that clocks skip in spring counts as they skip it; one that they show "
    "twice in autumn counts the first time, or both where every hour is named."
)


class ScheduleForm(forms.Form):
    """When a stream runs and scans, and how far it looks back."""

    schedule = forms.CharField(
        label="Runs", max_length=120,
        help_text=(
            f"An interval such as 15 min or 2 h, or cron fields, such as 30 2 * * mon-fri Europe/Berlin: {CRON}. "
            f"{NIGHTS}"
        ),
    )  # fmt: skip
    overlap = forms.CharField(
        label="Overlap for clock skew", max_length=20,
        help_text="A run looks so far back before the start of the last one, by the provider’s clock.",
    )  # fmt: skip
    scan = forms.CharField(
        label="Absence scan", max_length=120, required=False,
        help_text="A full list that finds what was deleted without a word: 1 d, 30 2 * * sun Europe/Berlin, or never.",
    )  # fmt: skip
    absent_share = forms.IntegerField(
        label="Most that may go at once, percent", min_value=1, max_value=100,
        help_text="Where more of what we hold is missing, nothing is deleted before a person has decided.",
    )  # fmt: skip
    absent_least = forms.IntegerField(
        label="But never fewer than", min_value=1, max_value=1_000_000,
        help_text="Fewer missing objects than this ask nobody, whatever their share.",
    )  # fmt: skip

    def __init__(self, data: Any, stream: Stream) -> None:
        super().__init__(data, initial=schedules.values_of(stream))
        if stream.change_log:
            for name in ("scan", "absent_share", "absent_least"):
                del self.fields[name]


class WindowsForm(forms.Form):
    """Off-peak windows, one a line."""

    windows = forms.CharField(
        label="Windows", required=False, max_length=2000,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text=(
            "One a line: days, hours, time zone, such as Mon-Fri 22:00-06:00 Europe/Berlin or Sat,Sun 00:00-24:00 UTC. "
            "One that ends before it begins ends on the next day. Empty: bulk runs go on at any time. "
            "When clocks change, a window goes by those of its zone: of two equal times it begins at the first and "
            "ends at the second."
        ),
    )  # fmt: skip


def faults_into(form: forms.Form, bad: BadSettings) -> Refusal:
    """Put the sentence for each field beside it; return the refusal that says so."""
    for name, words in bad.faults.items():
        form.add_error(name if name in form.fields else None, words)
    return Refusal("Nothing was changed: see below.")


@GET_OR_POST
@in_space("edit_settings")
def edit_schedule(request: Any, pk: int) -> HttpResponse:
    """Change when a stream runs and scans, and its overlap."""
    stream = stream_of(request, pk, "edit_settings")
    form = ScheduleForm(filled(request), stream)

    def do(reason: str) -> str:
        try:
            changes = schedules.change_stream(stream, values=form.cleaned_data, actor=request.actor, reason=reason)
        except BadSettings as bad:
            raise faults_into(form, bad) from bad
        return f"{stream.title}: changed {', '.join(_lower(title) for title, _, _ in changes)}."

    question = Question(
        question=f"Schedule of {stream.title}",
        act=f"Change the schedule of {stream.title}",
        keep="Leave it as it is",
        reason=WHO_READS,
        form=form,
        back_url=url_of(request, stream.connection, "streams"),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("edit_settings")
def edit_windows(request: Any, pk: int) -> HttpResponse:
    """Change when bulk runs of a connection may go on."""
    connection = connection_of(request, pk, "edit_settings")
    held = "\n".join(str(window) for window in read_all(connection.windows))
    form = WindowsForm(filled(request), initial={"windows": held})

    def do(reason: str) -> str:
        lines = form.cleaned_data["windows"]
        try:
            changes = schedules.change_windows(connection, lines=lines, actor=request.actor, reason=reason)
        except BadSettings as bad:
            raise faults_into(form, bad) from bad
        return f"Off-peak windows of {connection.name}: {changes[0][2]}."

    question = Question(
        question=f"Off-peak windows of {connection.name}",
        text=(
            "First syncs, absence scans and exports of everything begin and go on inside these windows; outside they "
            "wait, and go on where they were. Webhooks, resyncs and checks are not held up."
        ),
        act=f"Change the windows of {connection.name}",
        keep="Leave them as they are",
        reason=WHO_READS,
        form=form,
        back_url=url_of(request, connection, "settings"),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("reconcile")
def scan_stream(request: Any, pk: int) -> HttpResponse:
    """Scan a stream for what was deleted, now."""
    stream = stream_of(request, pk, "reconcile")

    def do(reason: str) -> str:
        run = runs.ask_scan(stream, actor=request.actor, reason=reason)
        return f"{stream.title}: the {run.get_kind_display()} R-{run.pk} is asked for."

    question = Question(
        question=f"Scan {stream.title} for deletions?",
        text=(
            f"All of {stream.title} is listed at the provider. Each object that we hold and the list does not show is "
            f"asked for by its id; what is gone is marked as deleted here. Where more than {stream.absent_share} % are "
            f"missing, and at least {stream.absent_least:,}, nothing is deleted before somebody has decided."
        ),
        act=f"Scan {stream.title} now",
        keep="Scan nothing",
        back_url=url_of(request, stream.connection, "streams"),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("reconcile")
def release_scan(request: Any, pk: int) -> HttpResponse:
    """Let a parked scan ask for each of the many objects that its list did not show."""
    run = _scan_of(request, pk, "reconcile")

    def do(reason: str) -> str:
        scans.release(run, actor=request.actor, reason=reason)
        return f"R-{run.pk} goes on and asks for each of the {count(run.missing, 'missing object')}."

    question = Question(
        question=f"Let the scan R-{run.pk} go on?",
        text=(
            f"{_missing(run)} Each of them is asked for by its id: those that the provider calls gone are marked as "
            "deleted here, those that it shows stay. The provider itself is not changed."
        ),
        act=f"Ask for each of {count(run.missing, 'missing object')}",
        keep="Delete nothing",
        reason=WHO_READS,
        danger=True,
        back_url=url_of(request, run.connection, "streams"),
    )
    return ask(request, question, do)


@GET_OR_POST
@in_space("dismiss")
def dismiss_scan(request: Any, pk: int) -> HttpResponse:
    """End a parked scan and keep everything that it missed."""
    run = _scan_of(request, pk, "dismiss")

    def do(reason: str) -> str:
        dismiss.dismiss(run, actor=request.actor, reason=reason)
        return f"R-{run.pk} is dismissed; all {count(run.missing, 'missing object')} are kept."

    question = Question(
        question=f"Dismiss the scan R-{run.pk}?",
        text=f"{_missing(run)} All of them are kept as they are. The next scan looks again.",
        act=f"Dismiss R-{run.pk}, keep {count(run.missing, 'object')}",
        keep="Decide later",
        reason=WHO_READS,
        back_url=url_of(request, run.connection, "streams"),
    )
    return ask(request, question, do)


def _missing(run: Run) -> str:
    title = run.stream.title if run.stream else "the stream"
    return f"The list of {title} did not show {run.missing:,} of the {run.held:,} objects that we hold."


def _scan_of(request: Any, pk: int, action: str) -> Run:
    """Return a scan of the space: Http404 where it is hidden, `Forbidden` without `action` at its connection."""
    rows = Run.objects.filter(kind=RunKind.SCAN).select_related("connection", "stream")
    return find_here(request, rows, pk, action)


def _lower(title: str) -> str:
    return title[:1].lower() + title[1:]
