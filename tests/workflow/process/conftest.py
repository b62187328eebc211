"""What these tests share."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.models import (
    Event,
)

MakeEvent = Callable[..., Event]
AT = 1_700_000_100
committing = pytest.mark.django_db(transaction=True)


def due_now() -> None:
    """Let the time pass that waiting events wait."""
    Event.objects.filter(state="waiting").update(due_at=timezone.now() - timedelta(minutes=1))


def decided(event: Event) -> tuple[str, str]:
    event.refresh_from_db()
    return event.state, event.decision
