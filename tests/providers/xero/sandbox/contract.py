"""Xero's published contract, as far as it says what an answer looks like.

It lies beside the project (`CONTRACTS_DIR`, else `../shared/contracts`) and is no part of it.
"""

import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import yaml
from jsonschema import Draft4Validator

ROOT = Path(__file__).parents[4]
CONTRACT = Path(os.environ.get("CONTRACTS_DIR", ROOT / "../shared/contracts")) / "xero_accounting.yaml"
MISSING = f"Xero's contract is not at hand: {CONTRACT.name} is looked for in CONTRACTS_DIR"

#: shown by the contract's own examples, though not among its properties
ENVELOPE = {"Id", "Status", "ProviderName", "DateTimeUTC"}
SHOWN = {"DateString", "DueDateString"}
#: only in the examples of elements in error
IN_ERROR = {"ValidationErrors", "HasErrors", "HasValidationErrors", "StatusAttributeString"}
MS_DATE = re.compile(r"/Date\(-?\d+(\+0000)?\)/")


@cache
def document() -> Any:
    """The contract, None where it is not at hand."""
    if not CONTRACT.is_file():
        return None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(CONTRACT.read_text(), Loader=loader)


@cache
def _schema(name: str) -> Any:
    found = document()
    return {"$ref": f"#/components/schemas/{name}", "components": found["components"]}


def complaints(name: str, answer: Any) -> list[str]:
    """What the contract has against an answer of this schema; it must not name a field that the contract does not."""
    errors = [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
        for error in Draft4Validator(_schema(name)).iter_errors(answer)
    ]
    known = {field: value for field, value in answer.items() if field not in ENVELOPE}
    return errors + _unknown(name, known, name)


def _unknown(name: str, value: Any, at: str) -> list[str]:
    """Fields that the schema does not have, and dates that are not in Xero's format."""
    schemas = document()["components"]["schemas"]
    properties = schemas[name].get("properties")
    if properties is None or not isinstance(value, dict):
        return []
    found = []
    for field, inner in value.items():
        schema = properties.get(field)
        if schema is None:
            if field not in SHOWN | IN_ERROR:
                found.append(f"{at}.{field} is not in the contract")
            continue
        if (schema.get("x-is-msdate") or schema.get("x-is-msdate-time")) and not MS_DATE.fullmatch(str(inner)):
            found.append(f"{at}.{field} is no date of Xero's: {inner!r}")
        target = schema.get("$ref") or schema.get("items", {}).get("$ref")
        if target:
            for one in inner if isinstance(inner, list) else [inner]:
                found += _unknown(target.rpartition("/")[2], one, f"{at}.{field}")
    return found


SCHEMAS = {"Organisation": "Organisations"}


def schema_of(path: str) -> str:
    """The name of the schema of what a path answers."""
    words = path.strip("/").split("/")
    return "Allocations" if "Allocations" in words else SCHEMAS.get(words[0], words[0])


def refusal_complaints(one: str, answer: Any) -> list[str]:
    """What the contract has against a 400. Its elements name fields of what they would have become, more of them than
    the schema `Element` does, and with the values that were refused."""
    found = complaints("Error", {**answer, "Elements": []})
    for element in answer.get("Elements", []):
        found += _unknown(one, element, one)
    return found


def check(method: str, path: str, answer: httpx.Response) -> None:
    """Fail when an answer is not as the contract has it; say nothing where the contract is not at hand."""
    if document() is None or answer.status_code not in (200, 400):
        return
    name = schema_of(path)
    found = complaints(name, answer.json()) if answer.is_success else refusal_complaints(name[:-1], answer.json())
    assert not found, f"{method} {path}: " + "; ".join(found[:5])
