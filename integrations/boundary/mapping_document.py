"""The mapping document: versioned, explicit rules from a provider's resource to a canonical kind.

Written in TOML, a table per resource:

    [currency_decimals]            # only where the provider counts otherwise than ISO 4217
    ISK = 2

    [invoice]
    kind = "invoice"
    [invoice.fields.tax]           # a canonical field, or `state`
    source = ["total_taxes", "tax"]
    convert = "minor_units_sum:amount"
    missing = "fail"               # fail | null | keep | default
    null = "default"
    default = 0
    [invoice.states]               # the provider's status words -> our states

`source` is a dotted path, or a JMESPath expression, or a list of alternatives: the first one that is
present and not null wins. An expression that yields nothing counts as missing. `keep` leaves what is
believed as it is: this object does not speak of the field. Where nothing is believed yet, a `default` that
the rule has for the other case stands in, so that belief does not hang on which evidence came first.
"""

import tomllib
from functools import cached_property
from typing import Annotated, Any, Literal

from jmespath import exceptions as jmespath_errors
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator
from pydantic.fields import FieldInfo

from integrations.boundary.conversions import Converter, converter, words
from integrations.boundary.source_path import Find, finder
from integrations.canonical import KINDS, Kind
from integrations.canonical.money import DECIMALS

Fallback = Literal["fail", "null", "keep", "default"]
STATE = "state"
#: Characters. Reading a longer expression takes time and stack, and nobody reads it.
LONGEST_SOURCE = 500


class MappingDocumentError(ValueError):
    """The document is not a valid mapping. The text names each fault and where it stands."""


class Rule(BaseModel):
    """How one canonical field is found, converted, and what stands in for a missing or null source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str | list[str] = ""
    convert: str
    missing: Fallback = "fail"
    null: Fallback = "fail"
    default: Any = None

    @property
    def sources(self) -> tuple[str, ...]:
        """The alternatives, in their order."""
        return tuple(self.source) if isinstance(self.source, list) else (self.source,) if self.source else ()

    @cached_property
    def finders(self) -> tuple[tuple[str, Find], ...]:
        """Each alternative with its compiled look-up."""
        return tuple((path, finder(path)) for path in self.sources)

    @cached_property
    def converter(self) -> Converter:
        """The conversion, ready to call."""
        return converter(self.convert)

    @cached_property
    def words(self) -> str:
        """The conversion in words."""
        return words(self.convert)

    @cached_property
    def words_when(self) -> dict[str, str]:
        """The rule in words for a source that is missing or null."""
        keep = f"keep what is believed{f', {self.default} at first' if self.has_first else ''}"
        said = {"fail": "refused", "null": "none", "keep": keep, "default": f"{self.default}"}
        return {"missing": f"missing → {said[self.missing]}", "null": f"null → {said[self.null]}"}

    @property
    def has_first(self) -> bool:
        """Whether a field that this evidence does not speak of begins with the default."""
        return "keep" in (self.missing, self.null) and self.default is not None

    @property
    def link(self) -> str:
        """The resource that the value refers to, "" where the field is no link."""
        return self.convert.removeprefix("link:") if self.convert.startswith("link:") else ""

    @model_validator(mode="after")
    def _is_sound(self) -> "Rule":
        if any(len(source) > LONGEST_SOURCE for source in self.sources):
            raise ValueError(f"source is longer than {LONGEST_SOURCE} characters")
        try:
            _ = self.converter, self.finders
        except jmespath_errors.JMESPathError as error:
            raise ValueError(f"source is not a path: {error}") from None
        except RecursionError:
            raise ValueError("source is nested too deep") from None
        constant = self.convert.startswith("constant:")
        if constant == bool(self.sources) or not all(self.sources):
            raise ValueError("a constant has no source, any other rule has at least one")
        uses_default = "default" in (self.missing, self.null)
        if uses_default != ("default" in self.model_fields_set):
            raise ValueError('`default` is given exactly when `missing` or `null` is "default"')
        return self


class ResourceMapping(BaseModel):
    """All rules of one resource of the provider."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    fields: dict[str, Rule]
    states: dict[str, str] = {}

    @property
    def canonical(self) -> Kind:
        """The canonical kind that the rules lead to."""
        return KINDS[self.kind]

    @cached_property
    def ordered(self) -> tuple[tuple[str, Rule], ...]:
        """The rules in working order: the currency first, since amounts depend on it."""
        rest = [name for name in (STATE, *self.canonical.fields) if name != "currency"]
        names = (["currency"] if "currency" in self.fields else []) + rest
        return tuple((name, self.fields[name]) for name in names if name in self.fields)

    @model_validator(mode="after")
    def _fits_the_kind(self) -> "ResourceMapping":
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} does not exist; there are {', '.join(sorted(KINDS))}")
        faults = [*self._uneven_fields(), *self._bad_states(), *self._bad_links(), *self._bad_fallbacks()]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _uneven_fields(self) -> list[str]:
        wanted = {STATE, *self.canonical.fields}
        # What was published before a field came stays as it is, and keeps what is believed of that.
        lacking = [f"field {name} has no rule" for name in sorted(wanted - self.fields.keys() - self.canonical.added)]
        return lacking + [f"{self.kind} has no field {name}" for name in sorted(self.fields.keys() - wanted)]

    def _bad_states(self) -> list[str]:
        known = self.canonical.states
        faults = [f"states: {word} leads to unknown state {s}" for word, s in self.states.items() if s not in known]
        rule = self.fields.get(STATE)
        if rule and rule.convert not in {"state", *(f"constant:{state}" for state in known)}:
            faults.append('fields.state: convert must be "state" or a constant that is a state')
        if rule and rule.convert == "state" and not self.states:
            faults.append("states: the table is empty")
        if rule and {rule.missing, rule.null} & {"null", "default"}:
            faults.append("fields.state: a state can neither be none nor a default")
        return faults

    def _bad_links(self) -> list[str]:
        links = self.canonical.links
        linked = {name for name, rule in self.fields.items() if rule.link}
        return [f"fields.{name}: it is {'' if name in links else 'no '}link" for name in sorted(linked ^ links.keys())]

    def _bad_fallbacks(self) -> list[str]:
        faults = []
        for name, rule in self.fields.items():
            info = self.canonical.model.model_fields.get(name)
            if info is None:
                continue
            chosen = {rule.missing, rule.null}
            if chosen & {"null", "keep"} and info.is_required():
                faults.append(f"fields.{name}: {self.kind} cannot be without it, so it can be neither null nor keep")
            if "default" in chosen:
                faults += _misfit(name, info, rule.default)
        return faults


def _misfit(name: str, info: FieldInfo, default: Any) -> list[str]:
    as_declared: Any = (info.annotation, info)
    try:
        create_model("Default", value=as_declared).model_validate({"value": default})
    except ValidationError as error:
        return [f"fields.{name}: the default does not fit: {error.errors()[0]['msg']}"]
    return []


class MappingDocument(BaseModel):
    """A whole document: the rules of every resource."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    resources: dict[str, ResourceMapping] = Field(min_length=1)
    currency_decimals: dict[str, Annotated[int, Field(strict=True, ge=0, le=4)]] = {}

    @model_validator(mode="after")
    def _is_closed(self) -> "MappingDocument":
        faults = [f"currency_decimals: {code} is no currency" for code in self.currency_decimals.keys() - DECIMALS]
        for name, rules in self.resources.items():
            for field, rule in rules.fields.items():
                if rule.link and self.kind_of(rule.link) != rules.canonical.links.get(field):
                    faults.append(f"{name}.fields.{field}: {rule.link} does not lead to the linked kind")
        if faults:
            raise ValueError("; ".join(sorted(faults)))
        return self

    def kind_of(self, resource: str) -> str | None:
        """Return the kind that `resource` is mapped to, None where it is not mapped."""
        rules = self.resources.get(resource)
        return rules.kind if rules else None

    @cached_property
    def decimals(self) -> dict[str, int]:
        """How many decimals the provider counts, for every currency."""
        return {**DECIMALS, **self.currency_decimals}


def load_document(source: bytes) -> MappingDocument:
    """Read and check a mapping document. Raises `MappingDocumentError` with every fault found."""
    try:
        tables = tomllib.loads(source.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MappingDocumentError(f"not TOML: {error}") from None
    decimals = tables.pop("currency_decimals", {})
    try:
        return MappingDocument.model_validate({"resources": tables, "currency_decimals": decimals})
    except ValidationError as error:
        raise MappingDocumentError("\n".join(fault_in_words(detail) for detail in error.errors())) from None


def fault_in_words(detail: Any, resource: str = "") -> str:
    """Return one of pydantic's faults as a line: where it stands, and what is wrong. Inside of `resource`, if given."""
    path = [str(part) for part in detail["loc"] if part != "resources"]
    place = ".".join(path[1:] if resource and path[:1] == [resource] else path)
    text = detail["msg"].removeprefix("Value error, ")
    return f"{place}: {text}" if place else str(text)
