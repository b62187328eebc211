"""Commands to the books' sandbox, from a test: asked for, sent as workers send them, and seen."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from integrations.models import Attempt, Command, Connection, JournalEntry, Stream
from integrations.providers.xero.sandbox.harness import Sandbox
from integrations.workflow import runs, sending
from integrations.workflow.commands import submit
from tests.books import cents_for
from tests.conftest import TESTER
from tests.fake_provider import work_off


def ask(target: Connection, n: int = 1, **more: Any) -> Command:
    """Submit a command that creates a contact."""
    content = {"name": f"Customer {n}", "email": f"ap{n}@example.com"}
    asked: dict[str, Any] = {"action": "contact.create", "content": content, "actor": TESTER}
    return submit(target, **(asked | more))


def pay(target: Connection, invoice: str, n: int = 1) -> Command:
    """Submit a command that enters a payment of one cent; the provider would take it any number of times."""
    return ask(target, action="payment.create", content=cents_for(invoice), operation_id=f"pay-{n}")


def created(sandbox: Sandbox, made: Iterable[Command]) -> list[int]:
    """Return how many effects each command had, by the provider's own count."""
    found = sandbox.effects()["by_operation"]
    return [found.get(command.operation_id, {"created": 0})["created"] for command in made]


def later(minutes: int = 10) -> None:
    """Let as much time have passed for us since everything was sent."""
    ago = timezone.now() - timedelta(minutes=minutes)
    Attempt.objects.update(started_at=ago)
    Command.objects.exclude(key_since=None).update(key_since=ago)


def send_all() -> None:
    """Send what is due, as workers do, until nothing is."""
    for _ in range(100):
        if not sending.send_next():
            return
    raise AssertionError("the work never ends")


def due_now() -> None:
    """Let waits be over."""
    Command.objects.filter(state="waiting").update(due_at=timezone.now())


def see(target: Connection, resource: str = "contact") -> None:
    """Read a stream of the provider."""
    runs.ask(Stream.objects.select_related("connection").get(connection=target, resource=resource), actor=TESTER)
    work_off()


def state_of(command: Command) -> tuple[str, str]:
    """Return a command's outcome and state as they are now."""
    command.refresh_from_db()
    return command.outcome, command.state


def told() -> list[str]:
    """Return what the journal says about commands, oldest first."""
    return list(JournalEntry.objects.filter(lane="commands").order_by("pk").values_list("action", flat=True))
