from django.http import QueryDict

from console.filters import Choice, Filter, read

STATE = Filter("state", "State", choices=[Choice("open", "open"), Choice("paid", "paid in full")])
AGE = Filter("age", "Age", kind="one", choices=[Choice("hour", "over 1 hour"), Choice("day", "over 1 day")])
AMOUNT = Filter("amount", "Amount", kind="text")
STUCK = Filter("stuck", "Stuck", kind="flag")


def chosen(query: str, each: Filter) -> tuple[str, ...]:
    return read([each], QueryDict(query))[each.name].chosen


def test_several_values_are_kept_once_and_in_order() -> None:
    assert chosen("state=paid&state=open&state=paid", STATE) == ("paid", "open")


def test_a_value_that_is_no_choice_is_left_out() -> None:
    assert chosen("state=gone&state=open&state=", STATE) == ("open",)
    assert chosen("age=year", AGE) == ()


def test_one_means_one() -> None:
    assert chosen("age=hour&age=day", AGE) == ("hour",)


def test_typed_values_are_trimmed_and_never_hold_a_null() -> None:
    assert chosen("amount=+4%2C812%00+", AMOUNT) == ("4,812",)
    assert chosen("amount=+", AMOUNT) == ()


def test_a_flag_is_on_or_off() -> None:
    assert chosen("stuck=1", STUCK) == ("1",)
    assert chosen("stuck=maybe", STUCK) == ()


def test_what_is_in_force_is_said_in_words() -> None:
    assert read([STATE], QueryDict("state=paid&state=open"))["state"].shown == "paid in full, open"
    assert read([STUCK], QueryDict("stuck=1"))["stuck"].shown == "yes"
