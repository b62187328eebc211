"""What people fill in about connections. The settings' form is made from the adapter's own schema."""

from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Le, MaxLen
from django import forms
from django.conf import settings
from django.utils import timezone
from pydantic import BaseModel
from pydantic.fields import FieldInfo

LONGEST_OVERLAP = 14 * 24


class UntilForm(forms.Form):
    """When a pause ends by itself."""

    until = forms.DateTimeField(
        label="Until, UTC",
        required=False,
        help_text="Empty: until somebody resumes it.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        error_messages={"invalid": "Give a date and a time, such as 2026-11-20 18:00."},
    )

    def clean_until(self) -> Any:
        until = self.cleaned_data["until"]
        if until and until <= timezone.now():
            raise forms.ValidationError("This lies in the past.")
        return until


class RotateForm(forms.Form):
    """A new secret. It is never shown again, not even when the form comes back with an error."""

    secret = forms.CharField(
        max_length=2000,
        strip=True,
        widget=forms.PasswordInput(
            render_value=False, attrs={"autocomplete": "off", "spellcheck": "false", "class": "mono"}
        ),
        error_messages={"required": "Paste the new secret."},
    )
    overlap_hours = forms.FloatField(
        label="Overlap, hours",
        min_value=0,
        max_value=LONGEST_OVERLAP,
        error_messages={"invalid": "Give a number of hours."},
    )

    def __init__(self, data: Any, *, title: str, hint: str) -> None:
        super().__init__(data, initial={"overlap_hours": f"{settings.CREDENTIAL_OVERLAP_HOURS:g}"})
        self.fields["secret"].label = title
        self.fields["secret"].help_text = f"{hint}. Kept encrypted and never shown again."
        self.fields[
            "overlap_hours"
        ].help_text = "For so long the old one still opens webhooks. Enough for what the provider has under way."


def settings_form(schema: type[BaseModel], data: Any, initial: dict[str, Any]) -> forms.Form:
    """Return a form with a field for each setting of `schema`; `initial` is what is in force."""
    fields = {name: _field(name, info) for name, info in schema.model_fields.items()}
    made: type[forms.Form] = type("SettingsForm", (forms.Form,), fields)
    return made(data, initial=initial)


def _field(name: str, info: FieldInfo) -> forms.Field:
    common: dict[str, Any] = {
        "label": info.title or name.replace("_", " ").capitalize(),
        "help_text": info.description or "",
        "required": info.is_required() or info.default not in (None, ""),
    }
    kind = _plain(info.annotation)
    if get_origin(kind) is Literal:
        return forms.ChoiceField(choices=[(each, str(each)) for each in get_args(kind)], **common)
    if kind is bool:
        return forms.BooleanField(**(common | {"required": False}))
    if kind is int:
        return forms.IntegerField(**common, **_bounds(info))
    if kind is float:
        return forms.FloatField(**common, **_bounds(info))
    longest = next((each.max_length for each in info.metadata if isinstance(each, MaxLen)), 2000)
    return forms.CharField(max_length=longest, **common)


def _plain(annotation: Any) -> Any:
    """Return `X` for `X | None`."""
    options = [each for each in get_args(annotation) if each is not type(None)]
    return options[0] if len(options) == 1 and get_origin(annotation) is not Literal else annotation


def _bounds(info: FieldInfo) -> dict[str, Any]:
    """Return what browsers check as well. Open bounds (`gt`, `lt`) are left to the schema."""
    found: dict[str, Any] = {}
    for each in info.metadata:
        if isinstance(each, Ge):
            found["min_value"] = each.ge
        if isinstance(each, Le):
            found["max_value"] = each.le
    return found


def values_of(form: forms.Form) -> dict[str, Any]:
    """Return what was filled in; an empty optional number falls back to its default."""
    return {
        name: value
        for name, value in form.cleaned_data.items()
        if not (value is None and not form.fields[name].required)
    }
