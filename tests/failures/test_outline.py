"""What logs may hold of an unforeseen error: its kind and its place, never its text."""

import logging
import sys

import pytest
from django.db import DatabaseError
from django.db import connection as database

from console.logs import Line
from integrations.failures.outline import outline


def fail() -> None:
    raise ValueError("marked@person.example")


def test_the_kind_and_the_place_are_told_and_the_text_is_not() -> None:
    with pytest.raises(ValueError) as caught:
        fail()

    told = outline(caught.value)

    assert told.startswith("ValueError at test_outline.py:")
    assert " fail ← test_outline.py:" in told
    assert "marked" not in told


@pytest.mark.django_db
def test_an_error_of_the_database_tells_its_state_and_no_row() -> None:
    with pytest.raises(DatabaseError) as caught, database.cursor() as cursor:
        cursor.execute("SELECT 'marked@person.example'::int")

    told = outline(caught.value)

    assert told.startswith("DataError 22P02 at ")
    assert "marked" not in told


def test_a_log_line_of_an_exception_holds_no_text_of_it() -> None:
    record = None
    try:
        fail()
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "x", 1, "It failed", None, sys.exc_info())

    assert record
    line = Line("%(levelname)s %(message)s").format(record)

    assert line.startswith("ERROR It failed\nValueError at ")
    assert "marked" not in line
