"""Saving a row whose versions are kept, with who changed it and why."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.db import models

from integrations.journal.actor import Actor


def save(row: models.Model, *, actor: Actor, reason: str, fields: Iterable[str] | None = None) -> None:
    """Save a row; its new version names the person and the reason. The engine's own changes name nobody."""
    versioned: Any = row
    versioned._change_reason = reason
    versioned._history_user = get_user_model()(pk=actor.id) if actor.id else None
    row.save(update_fields=None if fields is None else list(fields))
