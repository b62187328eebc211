"""What a failure says of a value is enough to recognise it, and never a whole object."""

from typing import Any

import pytest

from integrations.boundary.conversions import brief


@pytest.mark.parametrize(
    "value, said",
    [
        ({"email": "ap@halvorsen.example"}, "(an object of 1)"),
        (["ap@halvorsen.example", "+47 5550 1234"], "(a list of 2)"),
        ("gbpx", '"gbpx"'),
        (12.5, "12.5"),
    ],
)
def test_what_holds_others_is_only_counted(value: Any, said: str) -> None:
    assert brief(value) == said
