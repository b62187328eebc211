"""An object becomes canonical by the rules of a document, or fails by name."""

import json
import pickle
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.boundary.mapping import (
    Mapped,
    MappingFailed,
    Traced,
    apply,
    schema_difference,
)
from integrations.canonical import KINDS
from integrations.failures.categories import Category, Fault
from tests.boundary.mapping.conftest import BILL, DOCUMENT

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def line(trace: tuple[Traced, ...], field: str) -> Traced:
    return next(found for found in trace if found.field == field)


def failure(obj: Any, resource: str = "bill") -> MappingFailed:
    with pytest.raises(MappingFailed) as caught:
        apply(DOCUMENT, resource, obj)
    assert caught.value.category == Category.MAPPING
    return caught.value


def test_an_object_becomes_canonical() -> None:
    result = apply(DOCUMENT, "bill", BILL)

    assert (result.kind, result.state) == ("invoice", "open")
    assert result.links == (("customer", "person", "p_1"),)
    assert result.kept == ()
    assert result.data == {
        "number": "B-7",
        "customer": "p_1",
        "currency": "USD",
        "subtotal": 1000,
        "tax": 200,
        "total": 1200,
        "amount_due": 1200,
        "amount_paid": 0,
        "issued_at": "2026-11-18T16:40:00Z",
        "due_at": None,
        "paid_at": None,
        "created_at": "2026-11-18T13:53:20Z",
    }


def test_the_data_is_what_the_kind_says_of_itself() -> None:
    result = apply(DOCUMENT, "bill", BILL)

    assert KINDS["invoice"].model.model_validate(result.data).model_dump(mode="json") == result.data


def test_the_trace_shows_source_rule_and_value() -> None:
    trace = apply(DOCUMENT, "bill", BILL).trace

    assert line(trace, "issued_at")[:5] == (
        "issued_at", "times.issued", 1_795_020_000, "unix time → UTC", "2026-11-18T16:40:00Z"
    )  # fmt: skip
    assert line(trace, "tax")[2:5] == ([{"amount": 150}, {"amount": 50}], "sum of amount, minor units", 200)
    assert line(trace, "due_at")[2:7] == (None, "null → none", None, "", "null")
    assert line(trace, "amount_paid")[2:7] == (None, "missing → 0", 0, "", "missing")
    assert {found.field for found in trace} == {"state", *KINDS["invoice"].fields}


def test_the_first_source_that_is_there_wins() -> None:
    result = apply(DOCUMENT, "bill", {**BILL, "number": None, "old_number": "A-1"})

    assert result.data["number"] == "A-1"
    assert line(result.trace, "number").source == "old_number"


def test_null_counts_where_no_source_has_a_value() -> None:
    trace = apply(DOCUMENT, "bill", {**BILL, "taxes": None}).trace

    assert line(trace, "tax")[1:5] == ("taxes", None, "null → 0", 0)


def test_an_expanded_object_is_a_link_too() -> None:
    assert apply(DOCUMENT, "bill", {**BILL, "person": {"id": "p_1", "name": "x"}}).links[0][2] == "p_1"


def test_a_field_that_the_object_does_not_speak_of_keeps_its_belief() -> None:
    result = apply(DOCUMENT, "person", {"name": "Ada", "created": 0})

    assert result.kept == ("email",)
    assert "email" not in result.data
    assert result.over({"email": "ada@example.com", "name": "Eve"}) == {
        "name": "Ada",
        "email": "ada@example.com",
        "currency": None,
        "created_at": "1970-01-01T00:00:00Z",
    }
    assert result.over(None)["email"] is None


@pytest.mark.parametrize("contact", ["c_1", ["c_1"], 12])
def test_under_an_id_lies_nothing(contact: Any) -> None:
    assert apply(DOCUMENT, "person", {"name": "Ada", "created": 0, "contact": contact}).kept == ("email",)


def test_under_null_lies_null() -> None:
    result = apply(DOCUMENT, "person", {"name": "Ada", "created": 0, "contact": None})

    assert result.data["email"] is None


def test_a_deletion_keeps_what_its_stub_no_longer_holds() -> None:
    result = apply(DOCUMENT, "bill", {"id": "b_1"}, deleted=True)

    assert (result.state, result.data, result.links) == ("deleted", {}, ())
    assert result.over({"number": "B-7"})["number"] == "B-7"


def test_a_deletion_reads_what_is_there() -> None:
    result = apply(DOCUMENT, "bill", BILL, deleted=True)

    assert (result.state, result.data["total"]) == ("deleted", 1200)


def test_a_deletion_refuses_what_is_wrong() -> None:
    with pytest.raises(MappingFailed):
        apply(DOCUMENT, "bill", {"total": "12"}, deleted=True)


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("status", "frozen", "unknown_status:frozen"),
        ("status", "<script>alert(1)</script>", "unknown_status:_script_alert_1___script_"),
        ("status", 3, "wrong_type:state"),
        ("status", None, "null:state"),
        ("total", None, "null:total"),
        ("subtotal", "12", "wrong_type:subtotal"),
        ("subtotal", 12.0, "wrong_type:subtotal"),
        ("subtotal", True, "wrong_type:subtotal"),
        ("subtotal", [12], "wrong_type:subtotal"),
        ("subtotal", 2**63, "out_of_range:subtotal"),
        ("taxes", [{"amount": 1.5}], "wrong_type:tax"),
        ("taxes", [{}], "wrong_type:tax"),
        ("taxes", [12], "wrong_type:tax"),
        ("taxes", [{"amount": 2**62}, {"amount": 2**62}], "out_of_range:tax"),
        ("currency", "zzz", "unknown_currency:zzz"),
        ("currency", "", "unknown_currency:"),
        ("currency", "ﬀ", "unknown_currency:_"),
        ("currency", 840, "wrong_type:currency"),
        ("created", "1795010000", "wrong_type:created_at"),
        ("created", -1, "out_of_range:created_at"),
        ("created", 10**15, "out_of_range:created_at"),
        ("created", False, "wrong_type:created_at"),
        ("person", "", "out_of_range:customer"),
        ("person", "x" * 256, "out_of_range:customer"),
        ("person", {"name": "x"}, "wrong_type:customer"),
        ("number", "B\x00", "bad_text:number"),
        ("number", "B\ud800", "bad_text:number"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(key: str, value: Any, code: str) -> None:
    assert failure({**BILL, key: value}).code == code


@pytest.mark.parametrize(
    ("key", "code"), [("status", "missing:state"), ("total", "missing:total"), ("person", "missing:customer")]
)
def test_a_missing_value_is_refused_by_name(key: str, code: str) -> None:
    failed = failure({name: value for name, value in BILL.items() if name != key})

    assert failed.code == code
    assert failed.field == code.partition(":")[2]


def test_a_failure_shows_the_whole_working() -> None:
    failed = failure({**BILL, "total": "12", "created": None})

    assert (failed.code, failed.field, failed.value) == ("wrong_type:total", "total", '"12"')
    assert failed.message == "bill: total cannot be mapped from total, the value is a text and not a whole number."
    assert line(failed.trace, "total").problem == "the value is a text and not a whole number"
    assert line(failed.trace, "created_at").problem == "the source is null"
    assert line(failed.trace, "subtotal")[4:6] == (1000, "")


def test_a_personal_value_is_not_told_by_the_failure() -> None:
    failed = failure({"name": "Ada", "created": 0, "contact": {"email": ["ada@example.com"]}}, "person")

    assert "ada@example.com" not in repr(failed)


def test_a_failure_survives_the_way_between_processes() -> None:
    failed = failure({**BILL, "total": "12"})

    copy = pickle.loads(pickle.dumps(failed))

    assert (copy.code, copy.message, copy.trace) == (failed.code, failed.message, failed.trace)


def test_a_fault_may_be_raised_through_a_context_manager() -> None:
    fault = Fault(Category.OUTAGE, "x", "y")

    with pytest.raises(Fault) as caught:
        raise fault

    assert caught.value is fault
    assert pickle.loads(pickle.dumps(fault)).code == "x"


@pytest.mark.parametrize("value", [None, 12, "x", [], True])
def test_what_is_no_object_is_refused(value: Any) -> None:
    assert failure(value).code == "wrong_type:object"


def test_a_resource_without_rules_is_refused() -> None:
    assert failure({}, "subscription").code == "no_mapping"


def test_amounts_follow_the_currency() -> None:
    result = apply(DOCUMENT, "bill", {**BILL, "currency": "isk", "subtotal": 1000, "total": 1200, "taxes": []})

    assert (result.data["subtotal"], result.data["total"], result.data["tax"]) == (10, 12, 0)


def test_a_fraction_of_the_smallest_unit_is_refused() -> None:
    assert failure({**BILL, "currency": "isk", "subtotal": 1050}).code == "fraction:subtotal"


def mapped_or_failed(resource: str, obj: Any) -> Mapped | MappingFailed:
    try:
        return apply(DOCUMENT, resource, obj)
    except MappingFailed as failed:
        return failed


@given(JSON)
def test_it_never_stumbles_over_json(value: Any) -> None:
    result = mapped_or_failed("bill", value)

    assert isinstance(result, MappingFailed)
    assert (result.category, bool(result.code)) == (Category.MAPPING, True)
    assert schema_difference(DOCUMENT, "bill", value)


@given(st.dictionaries(st.sampled_from(sorted(BILL)), JSON))
def test_it_never_stumbles_over_a_spoiled_object(spoiled: dict[str, Any]) -> None:
    result = mapped_or_failed("bill", {**BILL, **spoiled})

    if isinstance(result, Mapped):
        assert json.loads(json.dumps(result.data)) == result.data
        KINDS["invoice"].model.model_validate(result.data)


@given(st.dictionaries(st.sampled_from(sorted(BILL)), JSON))
def test_same_object_same_answer(spoiled: dict[str, Any]) -> None:
    first, second = (mapped_or_failed("bill", {**BILL, **spoiled}) for _ in range(2))

    if isinstance(first, Mapped) and isinstance(second, Mapped):
        assert (first.state, first.data, first.links) == (second.state, second.data, second.links)
    else:
        assert isinstance(first, MappingFailed)
        assert isinstance(second, MappingFailed)
        assert first.code == second.code


def test_ten_thousand_objects_take_less_than_a_second_and_a_half() -> None:
    started = time.process_time()

    for _ in range(10_000):
        apply(DOCUMENT, "bill", BILL)

    assert time.process_time() - started < 1.5
