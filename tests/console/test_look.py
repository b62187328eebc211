import re
from pathlib import Path

import pytest
from django.conf import settings

from console import look
from integrations.failures.categories import POLICIES, Category
from integrations.models.attempt import AttemptState
from integrations.models.connection import CredentialState
from integrations.models.drift import DriftStatus
from integrations.models.event import DecisionWord
from integrations.models.journal import Lane
from integrations.models.mapping import MappingState
from integrations.models.work import WorkState

SYMBOLS = set(re.findall(r'<symbol id="([^"]+)"', Path(settings.BASE_DIR / "static/img/icons.svg").read_text()))
EVERY_LOOK = [
    *(seen for words in look.STATES.values() for seen in words.values()),
    *look.CATEGORIES.values(),
    *look.LANES.values(),
    *look.OWNERS.values(),
    look.UNNAMED,
]


def test_every_shape_is_drawn_in_the_sprite() -> None:
    assert {seen.shape for seen in EVERY_LOOK} <= SYMBOLS


def test_every_failure_category_has_a_look() -> None:
    assert set(look.CATEGORIES) == {category.value for category in Category}


def test_every_owner_has_a_look() -> None:
    assert {policy.owner for policy in POLICIES.values()} <= set(look.OWNERS)


def test_the_lanes_are_those_of_the_journal() -> None:
    assert list(look.LANES) == list(Lane.values)


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        ("work", WorkState.values),
        ("credential", CredentialState.values),
        ("mapping", MappingState.values),
        ("attempt", AttemptState.values),
        ("drift", [*DriftStatus.values, *DriftStatus.labels]),
        ("decision", [*DecisionWord.values, *DecisionWord.labels]),
    ],
)
def test_every_stored_state_has_a_look(topic: str, words: list[str]) -> None:
    unnamed = [word for word in words if word and look.of_state(word, topic) is look.UNNAMED]

    assert unnamed == []


def test_a_word_means_what_its_topic_says() -> None:
    assert look.of_state("open", "invoice").tone == "busy"
    assert look.of_state("open", "drift").tone == "danger"


def test_a_word_without_topic_takes_the_first_meaning() -> None:
    assert look.of_state("parked") == look.STATES["work"]["parked"]


def test_an_unknown_topic_is_no_topic() -> None:
    assert look.of_state("done", "sync") == look.STATES["work"]["done"]


def test_a_new_word_is_shown_as_unnamed_and_breaks_nothing() -> None:
    assert look.of_state("frobnicated", "invoice") is look.UNNAMED
    assert look.of_category("frobnicated") is look.UNNAMED


def test_underscores_read_as_spaces() -> None:
    assert look.of_state("requires_action", "payment") == look.STATES["payment"]["requires action"]
