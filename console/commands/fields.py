"""The form of what an action is asked with, made from the adapter's own schema; money is typed in major units."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django import forms

from console.values import name_of
from integrations.boundary import content as asked
from integrations.canonical.asking import ISO_4217, MINOR_UNITS
from integrations.canonical.money import DECIMALS, major_text, minor_of
from integrations.providers.base import ActionSpec

#: Fields of the form that are no part of the content have a dash, which no name of a content's field has.
TARGET, WHOLE = "external-id", "whole-content"
LONG_TEXT = 255
DAY: Final = "%Y-%m-%dT%H:%M"
#: What pydantic says of a value that is left out, in the console's words.
_MISSING: Final = re.compile(r"Field required")

Property = Mapping[str, Any]


class ContentForm(forms.Form):
    """What one action is asked with; `values` and `target` hold it once the form is valid."""

    def __init__(self, data: Any, *, spec: ActionSpec, initial: Mapping[str, Any] | None = None) -> None:
        # A prefix: an action may ask for a reason of its own, beside why somebody asks for it.
        super().__init__(data, initial=dict(initial or {}), prefix="content")
        self.spec, self.properties = spec, properties_of(spec)
        self.values: dict[str, Any] = {}
        if not spec.creates:
            thing = spec.resource.replace("_", " ")
            self.fields[TARGET] = forms.CharField(
                label=f"{thing.capitalize()} id", max_length=255, help_text="As the provider calls what is acted on."
            )
        required = set(schema_of(spec).get("required", ()))
        for name, each in self.properties.items():
            self.fields[name] = field_of(name, each, required=name in required, priced="currency" in self.properties)
        if spec.content is None:
            self.fields[WHOLE] = _json_field("Content", required=False)

    @property
    def target(self) -> str:
        """The id of what is acted on, "" where something is made."""
        return str(self.cleaned_data.get(TARGET, ""))

    def clean(self) -> dict[str, Any]:
        """Turn what was typed into canonical content, and hold it against the schema of the action."""
        cleaned = super().clean() or {}
        if self.spec.content is None:
            self.values = cleaned.get(WHOLE) or {}
        else:
            self.values = {name: value for name, value in self._values(cleaned) if value is not None and value != ""}
        if not self.errors:
            self._hold_against_schema(str(cleaned.get(TARGET, "")))
        return cleaned

    def _values(self, cleaned: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """Return what was typed as canonical values by name; what cannot be one gets its error."""
        found = []
        for name, each in self.properties.items():
            value = cleaned.get(name)
            if is_money(each) and "currency" in self.properties and value:
                value = self._minor(name, str(value), str(cleaned.get("currency") or ""))
            found.append(
                (name, f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else value)
            )
        return found

    def _minor(self, name: str, typed: str, currency: str) -> int | None:
        """Return a typed amount in minor units; None with an error beside its field, or beside the currency."""
        if currency not in DECIMALS:
            return None
        try:
            return minor_of(typed, currency)
        except ValueError as error:
            self.add_error(name, str(error))
            return None

    def _hold_against_schema(self, target: str) -> None:
        for path, said in asked.faults(self.spec, target, self.values).items():
            first = path.removeprefix("content").lstrip(".").partition(".")[0]
            name = TARGET if path == "external_id" else first
            for each in said:
                self.add_error(name if name in self.fields else None, _MISSING.sub("Fill this in.", each))


def schema_of(spec: ActionSpec) -> dict[str, Any]:
    """Return the JSON schema of an action's content, {} where it takes any."""
    return spec.content.model_json_schema() if spec.content is not None else {}


def properties_of(spec: ActionSpec) -> dict[str, Property]:
    """Return the fields of an action's content by name, each without its "or nothing"."""
    return {name: _plain(each) for name, each in schema_of(spec).get("properties", {}).items()}


def is_money(field: Property) -> bool:
    """Say whether a field of a content holds minor units of its currency."""
    return field.get("format") == MINOR_UNITS


def typed_of(field: Property, value: Any, currency: str) -> Any:
    """Return a canonical value as somebody would type it: 2640 of USD as "26.40", a time in UTC."""
    if is_money(field) and type(value) is int and currency in DECIMALS:
        return major_text(value, currency)
    if field.get("format") == "date-time" and isinstance(value, str):
        return datetime.fromisoformat(value).astimezone(UTC)
    return value


def _plain(field: Property) -> Property:
    """Return the schema of `X` for `X | None`; of several, none: it is written as JSON."""
    options = [each for each in field.get("anyOf", [field]) if each.get("type") != "null"]
    told = {key: field[key] for key in ("title", "description", "default") if key in field}
    return {**options[0], **told} if len(options) == 1 else told


def field_of(name: str, schema: Property, *, required: bool, priced: bool) -> forms.Field:
    """Return the form's field for one of a content; `priced` says that the content names a currency."""
    title = schema.get("title", "")
    label = title if title and title != name.replace("_", " ").title() else name_of(name)
    common: dict[str, Any] = {"label": label, "required": required, "help_text": schema.get("description", "")}
    common["initial"] = schema.get("default")
    if "enum" in schema or "const" in schema:
        return _choice(schema, common)
    if is_money(schema) and priced:
        return _money(common)
    if schema.get("format") == "date-time":
        return _moment(common)
    make = _BY_TYPE.get(schema.get("type", ""))
    return make(schema, common) if make else _json_field(label, required=required)


def _choice(schema: Property, common: dict[str, Any]) -> forms.Field:
    words = schema.get("enum") or [schema["const"]]
    empty = [] if common["required"] or common["initial"] is not None else [("", "not said")]
    return forms.ChoiceField(choices=empty + [(each, str(each)) for each in words], **common)


def _money(common: dict[str, Any]) -> forms.Field:
    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "class": "mono"})
    hint = common["help_text"] or "In the currency itself, such as 1234.50."
    return forms.CharField(max_length=24, widget=widget, **(common | {"help_text": hint}))


def _moment(common: dict[str, Any]) -> forms.Field:
    return forms.DateTimeField(
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=DAY),
        error_messages={"invalid": "Give a date and a time, such as 2026-11-20 18:00."},
        **(common | {"label": f"{common['label']}, UTC"}),
    )


def _text(schema: Property, common: dict[str, Any]) -> forms.Field:
    if schema.get("format") == ISO_4217:
        return CurrencyField(max_length=3, **(common | {"help_text": "ISO 4217, such as EUR."}))
    longest = schema.get("maxLength")
    widget = forms.Textarea(attrs={"rows": 3}) if longest is None or longest > LONG_TEXT else forms.TextInput()
    widget.attrs["autocomplete"] = "off"
    return forms.CharField(max_length=longest or 5000, widget=widget, **common)


def _number(schema: Property, common: dict[str, Any]) -> forms.Field:
    bounds: dict[str, Any] = {"min_value": schema.get("minimum"), "max_value": schema.get("maximum")}
    made: type[forms.IntegerField] = forms.IntegerField if schema["type"] == "integer" else forms.FloatField
    return made(**common, **bounds)


def _yes_or_no(schema: Property, common: dict[str, Any]) -> forms.Field:
    return forms.BooleanField(**(common | {"required": False}))


_BY_TYPE: Final[dict[str, Callable[[Property, dict[str, Any]], forms.Field]]] = {
    "string": _text, "integer": _number, "number": _number, "boolean": _yes_or_no,
}  # fmt: skip


class CurrencyField(forms.CharField):
    """An ISO 4217 code; small letters are taken for capitals."""

    def clean(self, value: Any) -> str:
        """Return the code; raises `ValidationError` for one that nobody knows."""
        code = str(super().clean(value)).upper()
        if code and code not in DECIMALS:
            raise forms.ValidationError(f"There is no currency {code}.")
        return code


def _json_field(label: str, *, required: bool) -> forms.Field:
    return forms.JSONField(
        label=label, required=required, help_text="As JSON.",
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false", "class": "mono"}),
        error_messages={"invalid": "This is no JSON."},
    )  # fmt: skip
