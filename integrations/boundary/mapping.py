"""The one mapper: applies a mapping document to a provider's object, and shows its working.

Pure: same document and object, same answer. Nothing is coerced or guessed; what does not fit is a
`MappingFailed` that names the field and carries the whole trace.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from pydantic import ValidationError

from integrations.boundary.conversions import Refused, Setting, brief
from integrations.boundary.mapping_document import (
    STATE,
    MappingDocument,
    MappingDocumentError,
    ResourceMapping,
    Rule,
    load_document,
)
from integrations.boundary.source_path import MISSING
from integrations.canonical import DELETED, KINDS
from integrations.failures.categories import Category, Fault

__all__ = [
    "Difference",
    "Mapped",
    "MappingDocument",
    "MappingDocumentError",
    "MappingFailed",
    "Traced",
    "apply",
    "load_document",
    "schema_difference",
]


class Traced(NamedTuple):
    """What one rule did: source path, raw value found, rule in words, canonical value, problem.

    `found` is "value", "null", "missing" or "constant". `code` is the stable name of the problem.
    """

    field: str
    source: str
    raw: Any
    rule: str
    value: Any = None
    problem: str = ""
    found: str = "value"
    code: str = ""
    kept: bool = False


@dataclass(frozen=True)
class Mapped:
    """A provider's object in our words.

    `data` is JSON-ready and holds only the fields that the object speaks of; `kept` names the others, and
    `at_first` has what those are as long as nobody told. `links` are (field, resource, external id).
    """

    kind: str
    state: str
    data: dict[str, Any]
    links: tuple[tuple[str, str, str], ...]
    trace: tuple[Traced, ...]
    kept: tuple[str, ...] = ()
    at_first: Mapping[str, Any] = field(default_factory=dict)

    def over(self, believed: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the full data: this object's fields over what was `believed`, None where nobody told."""
        before = believed or {}
        data = {name: self.data.get(name, before.get(name)) for name in KINDS[self.kind].fields}
        for name, value in self.at_first.items():
            if data[name] is None:
                data[name] = value
        return data


class MappingFailed(Fault):
    """A mapping failure with the full trace, so that a page can show each rule and what it met."""

    trace: tuple[Traced, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return (*super().__reduce__(), {"trace": self.trace})


class Difference(NamedTuple):
    """One expectation of the document that an object does not meet."""

    path: str
    expected: str
    found: str


def apply(document: MappingDocument, resource: str, obj: Any, *, deleted: bool = False) -> Mapped:
    """Map one object of `resource`. Raises `MappingFailed`.

    `deleted` says that the evidence is of the object's deletion: its state is then `deleted`, and
    fields that its stub no longer holds keep what is believed.
    """
    rules = document.resources.get(resource)
    if rules is None:
        raise _failed("no_mapping", f"There are no rules for the resource {resource}.", field=resource)
    if not isinstance(obj, Mapping):
        raise _failed("wrong_type:object", f"The {resource} is not an object.", value=brief(obj))
    trace = _trace(document, rules, obj, deleted)
    faulty = next((line for line in trace if line.problem), None)
    if faulty:
        raise _line_failed(resource, rules, faulty, trace)
    return _mapped(resource, rules, trace)


def schema_difference(document: MappingDocument, resource: str, obj: Any) -> list[Difference]:
    """Return what the document expects in the object and does not find there."""
    rules = document.resources.get(resource)
    if rules is None:
        return [Difference("", "a resource with rules", resource)]
    if not isinstance(obj, Mapping):
        return [Difference("", "an object", brief(obj))]
    return [
        Difference(line.source, line.rule, line.problem)
        for line in _trace(document, rules, obj, deleted=False)
        if line.problem and not line.code.startswith("no_currency")
    ]


def _trace(document: MappingDocument, rules: ResourceMapping, obj: Any, deleted: bool) -> tuple[Traced, ...]:
    setting = Setting(rules.states, document.decimals)
    lines = []
    for name, rule in rules.ordered:
        if deleted and name == STATE:
            lines.append(Traced(STATE, "", None, "deleted at the provider", DELETED, found="constant"))
            continue
        line = _follow(name, rule, obj, setting)
        if deleted and line.found == "missing":
            line = Traced(name, line.source, None, "missing → keep what is believed", found="missing", kept=True)
        if name == "currency":
            setting.currency = line.value
        lines.append(line)
    return tuple(lines)


def _follow(name: str, rule: Rule, obj: Any, setting: Setting) -> Traced:
    source, raw, found = _find(rule, obj)
    if found in ("missing", "null"):
        return _absent(name, rule, source, found)
    try:
        value = rule.converter(raw, setting)
    except Refused as refused:
        return Traced(name, source, raw, rule.words, None, f"the value {refused.words}", found, refused.code)
    return Traced(name, source, raw, rule.words, value, "", found)


def _find(rule: Rule, obj: Any) -> tuple[str, Any, str]:
    """Return the winning source path, the raw value there, and "value", "null", "missing" or "constant"."""
    if not rule.finders:
        return "", None, "constant"
    null_at = ""
    for path, find in rule.finders:
        raw = find(obj)
        if raw is None:
            null_at = null_at or path
        elif raw is not MISSING:
            return path, raw, "value"
    return (null_at, None, "null") if null_at else (" or ".join(rule.sources), None, "missing")


def _absent(name: str, rule: Rule, source: str, found: str) -> Traced:
    choice = rule.missing if found == "missing" else rule.null
    line = partial(Traced, name, source, None, rule.words_when[found], found=found)
    if choice == "fail":
        return line(problem=f"the source is {found}", code=found)
    return line(value=rule.default if choice == "default" else None, kept=choice == "keep")


def _mapped(resource: str, rules: ResourceMapping, trace: tuple[Traced, ...]) -> Mapped:
    state, data, kept, links = "", {}, [], []
    for line in trace:
        if line.field == STATE:
            state = line.value
        elif line.kept:
            kept.append(line.field)
        else:
            data[line.field] = line.value
            if line.value is not None and (target := rules.fields[line.field].link):
                links.append((line.field, target, line.value))
    kind = rules.canonical
    if kind.required <= data.keys():  # else a stub of something deleted, whose fields were each converted
        _validate(resource, rules, data, trace)
    at_first = {name: rules.fields[name].default for name in kept if rules.fields[name].has_first}
    return Mapped(kind.name, state, data, tuple(links), trace, tuple(kept), at_first)


def _validate(resource: str, rules: ResourceMapping, data: dict[str, Any], trace: tuple[Traced, ...]) -> None:
    try:
        rules.canonical.model.__pydantic_validator__.validate_python(data)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in detail["loc"])
        marked = tuple(
            line._replace(problem=detail["msg"], code="invalid") if line.field == name else line for line in trace
        )
        faulty = next(line for line in marked if line.problem)
        raise _line_failed(resource, rules, faulty, marked) from None


def _line_failed(resource: str, rules: ResourceMapping, line: Traced, trace: tuple[Traced, ...]) -> MappingFailed:
    code = line.code if ":" in line.code else f"{line.code}:{line.field}"
    message = f"{resource}: {line.field} cannot be mapped from {line.source or 'a constant'}, {line.problem}."
    value = "" if line.field in rules.canonical.sensitive or line.found != "value" else brief(line.raw)
    return _failed(code, message, field=line.field, value=value, trace=trace)


def _failed(
    code: str, message: str, *, field: str = "", value: str = "", trace: tuple[Traced, ...] = ()
) -> MappingFailed:
    failed = MappingFailed(Category.MAPPING, code, message, field, value)
    failed.trace = trace
    return failed
