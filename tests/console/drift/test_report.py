import csv
import io
from hashlib import sha256
from typing import Any

import pytest

from integrations.models import JournalEntry
from tests.console.drift.conftest import INVOICE

URL = "/northwind/test/drift/report/"
REASON = {"reason": "Closing of November"}


def rows_of(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode(), newline="")))


def test_finance_gets_every_difference(client_of: Any, finance: Any, make_drift: Any) -> None:
    make_drift("total", 481250, 485750)
    make_drift()

    state, total = rows_of(client_of(finance).post(URL, REASON))

    assert (state["field"], state["ours"], state["theirs"], state["record_amount"]) == (
        "state",
        "open",
        "paid",
        "4812.50",
    )
    assert (total["theirs_less_ours"], total["currency"], total["record"]) == ("45.00", "EUR", "INV-2041")


def test_the_journal_knows_its_lines_and_hash(client_of: Any, finance: Any, make_drift: Any) -> None:
    make_drift()

    answer = client_of(finance).post(f"{URL}?field=state", REASON)
    body = b"".join(answer.streaming_content)

    entry = JournalEntry.objects.get(action="export.made")
    assert (entry.data["rows"], entry.reason) == (1, "Closing of November")
    assert entry.data["sha256"] == answer["X-Export-SHA256"] == sha256(body).hexdigest()
    assert entry.data["filter"] == {"status": "open", "field": "State"}


def test_it_holds_what_the_list_is_narrowed_to(client_of: Any, finance: Any, make_drift: Any) -> None:
    make_drift()
    make_drift("total", 1, 2)

    assert [row["field"] for row in rows_of(client_of(finance).post(f"{URL}?field=total", REASON))] == ["total"]
    assert rows_of(client_of(finance).post(f"{URL}?status=ignored", REASON)) == []


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1+1", "-A1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(client_of: Any, finance: Any, make_drift: Any, make_record: Any, value: str) -> None:
    make_drift("name", value, value, record=make_record("customer", data={"name": value}))

    (row,) = rows_of(client_of(finance).post(URL, REASON))

    assert row["ours"].startswith("'")
    assert row["theirs"].startswith("'")


def test_personal_values_are_masked(client_of: Any, finance: Any, make_drift: Any, make_record: Any) -> None:
    make_drift("email", "jane@old.example", "jane@new.example", record=make_record("customer"))

    (row,) = rows_of(client_of(finance).post(URL, REASON))

    assert "jane@" not in row["ours"] + row["theirs"]


def test_money_below_zero_stays_a_number(client_of: Any, finance: Any, make_drift: Any, make_record: Any) -> None:
    make_drift("total", 500, 200, record=make_record("invoice", data=INVOICE))

    (row,) = rows_of(client_of(finance).post(URL, REASON))

    assert row["theirs_less_ours"] == "-3.00"


def test_without_a_reason_there_is_none(client_of: Any, finance: Any, make_drift: Any) -> None:
    make_drift()

    assert client_of(finance).post(URL, {"reason": " "}).status_code == 422
    assert not JournalEntry.objects.filter(action="export.made").exists()


def test_too_many_are_refused_whole(client_of: Any, finance: Any, make_drift: Any, settings: Any) -> None:
    settings.EXPORT_LIMIT = 1
    make_drift()
    make_drift()

    answer = client_of(finance).post(URL, REASON)

    assert answer.status_code == 422
    assert b"Nothing was exported" in answer.content
    assert not JournalEntry.objects.filter(action="export.made").exists()


@pytest.mark.parametrize("role", ["support", "operations", "engineer"])
def test_others_may_not(client_of: Any, request: Any, make_drift: Any, role: str) -> None:
    make_drift()
    client = client_of(request.getfixturevalue(role))

    assert client.get(URL).status_code == 403
    assert client.post(URL, REASON).status_code == 403


def test_asking_makes_no_report(client_of: Any, auditor: Any, make_drift: Any) -> None:
    make_drift()

    assert client_of(auditor).get(URL).status_code == 200
    assert not JournalEntry.objects.filter(action="export.made").exists()
