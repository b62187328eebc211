"""Documents of rules, and where an object differs from what they expect."""

import tomllib

import pytest

from integrations.boundary.mapping import (
    MappingDocument,
    MappingDocumentError,
    apply,
    load_document,
    schema_difference,
)
from integrations.providers.mapping_files import mapping_file
from tests.boundary.mapping.conftest import BILL, DOCUMENT, SOURCE
from tests.stripe_objects import payment_object

# -- Differences


def test_an_object_that_fits_has_no_difference() -> None:
    assert schema_difference(DOCUMENT, "bill", BILL) == []


def test_differences_name_path_expectation_and_finding() -> None:
    spoiled = {**BILL, "currency": None, "total": "12"}
    del spoiled["taxes"]

    assert schema_difference(DOCUMENT, "bill", spoiled) == [
        ("currency", "null → refused", "the source is null"),
        ("taxes or tax", "missing → refused", "the source is missing"),
        ("total", "minor units", "the value is a text and not a whole number"),
        ("sum([total, `0`])", "missing → refused", "the source is missing"),
    ]


def test_what_is_no_object_differs_as_a_whole() -> None:
    assert schema_difference(DOCUMENT, "bill", [1]) == [("", "an object", "(a list of 1)")]
    assert schema_difference(DOCUMENT, "thing", {}) == [("", "a resource with rules", "thing")]


# -- Documents


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kind = "customer"', 'kind = "person"', "kind 'person' does not exist"),
        ('fields.name = { source = "name", convert = "text", null = "null" }', "", "field name has no rule"),
        ("fields.name =", "fields.nickname =", "customer has no field nickname"),
        ('convert = "unix_time" }', 'convert = "magic" }', "convert 'magic' is not known"),
        ('convert = "unix_time" }', 'convert = "link:" }', "convert 'link:' is not known"),
        ('source = "created", convert', 'source = "created[", convert', "source is not a path"),
        ('source = "created", convert', "source = [], convert", "has at least one"),
        ('convert = "constant:active"', 'source = "x", convert = "constant:active"', "a constant has no source"),
        ("constant:active", "constant:asleep", "a constant that is a state"),
        ('new = "draft"', 'new = "drafty"', "new leads to unknown state drafty"),
        ('states = { new = "draft", sent = "open", settled = "paid" }', "", "the table is empty"),
        ('convert = "state" }', 'convert = "state", missing = "null" }', "can neither be none"),
        ('"total", convert = "minor_units"', '"total", convert = "minor_units", null = "null"', "cannot be without it"),
        ('"total", convert = "minor_units"', '"total", convert = "minor_units", null = "keep"', "cannot be without it"),
        ("default = 0 }", 'default = "0" }', "the default does not fit"),
        (", default = 0 }", " }", "`default` is given exactly when"),
        ('convert = "link:person"', 'convert = "text"', "fields.customer: it is link"),
        ('convert = "link:person"', 'convert = "link:bill"', "bill does not lead to the linked kind"),
        ('"name", convert = "text"', '"name", convert = "link:person"', "fields.name: it is no link"),
        ("ISK = 2", "XXX = 2", "XXX is no currency"),
        ("ISK = 2", 'ISK = "2"', "valid integer"),
        ('null = "null" }', 'null = "nil" }', "'fail', 'null', 'keep' or 'default'"),
        ('null = "null" }', 'colour = "red" }', "Extra inputs"),
        ("[person]", "[person", "not TOML"),
    ],
)
def test_a_document_with_a_fault_is_refused_with_its_place(old: str, new: str, said: str) -> None:
    source = SOURCE.decode()
    assert old in source

    with pytest.raises(MappingDocumentError) as refused:
        load_document(source.replace(old, new).encode())

    assert said in str(refused.value)


@pytest.mark.parametrize("source", [b"", b"\xff", b"x = 1", b"[bill]", b"[currency_decimals]"])
def test_what_is_no_document_is_refused(source: bytes) -> None:
    with pytest.raises(MappingDocumentError):
        load_document(source)


def test_what_was_published_before_a_field_came_maps_as_it_did_and_keeps_what_is_believed_of_that() -> None:
    tables = tomllib.loads(mapping_file("stripe").decode())
    decimals = tables.pop("currency_decimals")
    del tables["payment_intent"]["fields"]["collected_at"]
    document = MappingDocument.model_validate({"resources": tables, "currency_decimals": decimals})

    mapped = apply(document, "payment_intent", payment_object())

    assert mapped.state == "succeeded"
    assert "collected_at" not in mapped.data
    assert mapped.over({"collected_at": "2026-11-18T09:15:00Z"})["collected_at"] == "2026-11-18T09:15:00Z"
