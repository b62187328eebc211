"""What people fill in about subscriptions."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils import timezone

from integrations.boundary.destination import LONGEST
from integrations.canonical import KINDS
from integrations.configuration.subscriptions import LONGEST_NAME
from integrations.workflow.messages import ALL, patterns

LONGEST_OVERLAP = 14 * 24


def _choices() -> list[tuple[str, str]]:
    """Return what can be asked for, each with what it means where the word alone does not say it."""
    words = {ALL: "Everything, also kinds to come"}
    words |= {f"{kind.name}.{ALL}": f"All of {kind.plural.lower()}" for kind in KINDS.values()}
    return [(pattern, words.get(pattern, pattern)) for pattern in patterns()]


class SubscriptionForm(forms.Form):
    """Who is told, where, and of what."""

    name = forms.CharField(max_length=LONGEST_NAME, help_text="What people call it here, such as Warehouse.")
    url = forms.CharField(
        label="Address",
        max_length=LONGEST,
        widget=forms.URLInput(attrs={"class": "mono", "placeholder": "https://"}),
        help_text="Messages are posted there as JSON, signed as Standard Webhooks. Redirects are not followed.",
    )
    topics = forms.MultipleChoiceField(
        choices=_choices,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one topic."},
    )

    @property
    def groups(self) -> list[tuple[str, list[Any]]]:
        """Return the boxes of the topics by kind; the one for everything stands alone."""
        found: dict[str, list[Any]] = {ALL: []} | {kind.name: [] for kind in KINDS.values()}
        for box in self["topics"]:
            found[str(box.data["value"]).partition(".")[0]].append(box)
        titles = {kind.name: kind.plural for kind in KINDS.values()}
        return [(titles.get(name, ""), boxes) for name, boxes in found.items()]


class OverlapForm(forms.Form):
    """For how long the old secret still signs."""

    overlap_hours = forms.FloatField(
        label="Overlap, hours",
        min_value=0,
        max_value=LONGEST_OVERLAP,
        help_text="For so long each delivery carries two signatures, by the old and by the new secret.",
        error_messages={"invalid": "Give a number of hours."},
    )

    def __init__(self, data: Any) -> None:
        super().__init__(data, initial={"overlap_hours": f"{settings.SIGNING_OVERLAP_HOURS:g}"})


class SinceForm(forms.Form):
    """From which time on failed deliveries are replayed."""

    since = forms.DateTimeField(
        label="Made since, UTC",
        required=False,
        help_text="Empty: all of them.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        error_messages={"invalid": "Give a date and a time, such as 2026-11-20 18:00."},
    )

    def clean_since(self) -> Any:
        since = self.cleaned_data["since"]
        if since and since > timezone.now():
            raise forms.ValidationError("This lies in the future.")
        return since
