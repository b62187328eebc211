"""What the page of one command shows, gathered in few queries."""

from functools import partial
from typing import Any

from django.utils import timezone

from console import values, wording
from console.access import find_here, seen
from console.commands import acts, exchanges, telling
from integrations.boundary.redaction import Redacted, mask, redact
from integrations.canonical import KINDS
from integrations.models import Command, Failure, JournalEntry, WorkState
from integrations.providers import get_adapter
from integrations.providers.base import Adapter

MOST_LINES = 30
MOST_FAILURES = 5


def find(request: Any, pk: int, action: str = "") -> Command:
    """Return a command of the space: Http404 where it is hidden, `Forbidden` without `action` at its connection."""
    rows = Command.objects.select_related("connection__breaker", "record__customer", "transition")
    return find_here(request, rows, pk, action)


def gather(request: Any, command: Command, *, revealed: bool = False) -> dict[str, Any]:
    """Return everything that the page shows; `revealed` shows personal data of what was sent and came back."""
    now = timezone.now()
    may = partial(request.user.powers.may, tenant_id=command.tenant_id, connection_id=command.connection_id)
    adapter = get_adapter(command.connection.provider)
    kind = kind_of(command, adapter)
    offered = acts.acts(command, may)
    tries, count = exchanges.of_command(command.pk, sensitive(kind, adapter), revealed=revealed)
    hidden = sum(each.hidden for each in tries)
    failures = list(Failure.objects.filter(command=command).select_related("problem").order_by("-id")[:MOST_FAILURES])
    return {
        "command": command,
        "record": seen(command.record, request.user),
        "outcome": telling.outcome_of(command),
        "thing": telling.thing(command),
        "action": adapter.actions.get(command.action),
        "lead": telling.tell(command, now),
        "breaker": telling.breaker_of(command),
        "next_try": telling.next_try(command, now),
        "steps": telling.steps(command, tries[0].attempt if tries else None),
        "tries": tries,
        "earlier": count - len(tries),
        "content": content_of(command.content, kind, adapter, personal=revealed or may("see_personal")),
        "acts": offered,
        "refused": [act for act in offered if act.why_not],
        "who_may": acts.who_may(command, may),
        "failures": failures,
        "lines": lines_of(command),
        "under_way": is_under_way(command),
        "reveal_act": f"Reveal {wording.count(hidden, 'value')}…" if hidden and may("reveal") and not revealed else "",
        "hidden": hidden,
    }


def kind_of(command: Command, adapter: Adapter) -> str:
    """Return the canonical kind of what a command is about, "" where no stream of the provider knows it."""
    return next((spec.kind for spec in adapter.streams if spec.resource == command.resource), "")


def sensitive(kind: str, adapter: Adapter) -> frozenset[str]:
    """Return the keys to be taken out of what was sent and came back: the provider's, and ours."""
    ours = KINDS[kind].sensitive if kind in KINDS else values.ANY_SENSITIVE
    return adapter.sensitive_fields | ours


def content_of(asked: Any, kind: str, adapter: Adapter, *, personal: bool) -> list[tuple[str, str]]:
    """Return what a command is committed with, as (field, value) in words."""
    content = asked if isinstance(asked, dict) else {}
    clean = content if personal else redact(content, sensitive(kind, adapter))
    currency = content.get("currency")
    shown = partial(_shown, kind, currency if isinstance(currency, str) else "")
    return [
        (values.name_of(name), mask(str(content[name])) if isinstance(value, Redacted) else shown(name, value))
        for name, value in clean.items()
    ]


def _shown(kind: str, currency: str, name: str, value: Any) -> str:
    """Return a value in words; what a kind does not know by name tells by its form what it is."""
    at = values.moment_of(value) if name.endswith("_at") else None
    if at is not None:
        return wording.exact(at)
    known = name in values.sorts(kind)
    if not known and type(value) is int and currency:
        return wording.money(value, currency)
    return values.shown(kind, name, value, currency=currency, personal=True)


def lines_of(command: Command) -> list[JournalEntry]:
    """Return what the journal says of a command, newest first."""
    return list(JournalEntry.objects.filter(subject_type="command", subject_id=command.pk).order_by("-id")[:MOST_LINES])


def is_under_way(command: Command) -> bool:
    """Say whether a worker has it, or takes it next."""
    return command.state == WorkState.LEASED or (command.state == WorkState.READY and command.due_at <= timezone.now())
