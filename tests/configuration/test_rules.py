import tomllib

import pytest

from integrations.configuration.rules import Unreadable, difference, read, write
from integrations.providers import PROVIDERS
from integrations.providers.mapping_files import mapping_file

SHIPPED = [
    pytest.param(rules, id=f"{slug}-{resource}")
    for slug in PROVIDERS
    for resource, rules in tomllib.loads(mapping_file(slug).decode()).items()
    if "kind" in rules
]


@pytest.mark.parametrize("rules", SHIPPED)
def test_what_is_written_reads_as_the_same(rules: dict[str, object]) -> None:
    assert read(write(rules)) == rules


@pytest.mark.parametrize("word", ["past due", "a.b", 'a"b', "über", "", "line\nbreak", "\x7f"])
def test_every_word_of_a_provider_can_be_written(word: str) -> None:
    rules = {"kind": "invoice", "fields": {}, "states": {word: "open"}}

    assert read(write(rules))["states"] == {word: "open"}


def test_windows_line_ends_are_read() -> None:
    assert read('kind = "invoice"\r\n[states]\r\nopen = "open"\r\n')["states"] == {"open": "open"}


@pytest.mark.parametrize("text", ["kind =", "\x00", "d = 2020-01-01", "n = inf", "x" * 70_000])
def test_what_is_no_text_of_rules_is_explained(text: str) -> None:
    with pytest.raises(Unreadable):
        read(text)


def test_a_difference_is_told_in_words() -> None:
    old = {
        "kind": "invoice",
        "fields": {"total": {"source": "total", "convert": "minor_units"}},
        "states": {"a": "open"},
    }
    new = {
        "kind": "invoice",
        "fields": {"total": {"source": ["sum", "total"], "convert": "minor_units", "null": "default", "default": 0}},
        "states": {"b": "open"},
    }

    assert difference(old, new) == [
        (
            "total",
            "total, minor units, missing → refused, null → refused",
            "sum or total, minor units, missing → refused, null → 0",
        ),
        ("state a", "open", None),
        ("state b", None, "open"),
    ]
