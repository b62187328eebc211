import asyncio
import csv
import io
import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from django.urls import reverse

from console.access import grant, revoke
from console.audit.download import AsyncPieces
from console.models import Grant, Role, User
from integrations.journal.actor import Actor
from integrations.journal.export import safe_cell
from integrations.journal.write import Entry, write
from integrations.models import Connection, Export, JournalEntry, Lane, Tenant
from tests.conftest import connected

pytestmark = pytest.mark.django_db
ADDRESS = "/northwind/test/audit/exports/"


@pytest.fixture
def say(connection: Connection) -> Callable[..., None]:
    """Return a writer of entries about the connection."""

    def make(*summaries: str, **fields: Any) -> None:
        defaults: dict[str, Any] = {
            "tenant_id": connection.tenant_id, "environment": "test", "connection_id": connection.pk,
            "lane": Lane.PEOPLE, "action": "record.noted", "actor": Actor(5, "Sam Okafor", "support"),
        }  # fmt: skip
        write([Entry(summary=summary, **(defaults | fields)) for summary in summaries])

    return make


def export(client: Any, query: str = "?view=all", **answer: str) -> Any:
    response = client.post(f"{ADDRESS}{query}", {"format": "csv", "reason": "Month end"} | answer)
    response.body = response.getvalue()
    return response


def table(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))


@pytest.mark.parametrize("role", ["support", "operations", "engineer", "administrator"])
def test_it_needs_finance_or_an_auditor(role: str, request: Any, connection: Connection, client_of: Any) -> None:
    client = client_of(request.getfixturevalue(role))

    assert client.get(ADDRESS).status_code == 403
    assert export(client).status_code == 403
    assert not Export.objects.exists()


def test_a_stranger_learns_nothing(connection: Connection, stranger: User, client_of: Any) -> None:
    assert export(client_of(stranger)).status_code == 404


def test_csv_holds_each_entry_once_in_order(client_of: Any, finance: User, say: Callable[..., None]) -> None:
    say("first", "second, with a comma", 'third, with "quotes"', "fourth\nwith a line", reason="Because")

    answer = export(client_of(finance), "?did=records")

    rows = table(answer)
    assert [row["summary"] for row in rows] == [
        "first", "second, with a comma", 'third, with "quotes"', "fourth\nwith a line"
    ]  # fmt: skip
    assert {row["connection"] for row in rows} == {"Stripe"}
    assert rows[0]["actor"] == "Sam Okafor"


def test_lines_end_as_rfc_4180_says(client_of: Any, finance: User, say: Callable[..., None]) -> None:
    say("first")

    body = export(client_of(finance)).body

    assert body.endswith(b"\r\n")
    assert body.count(b"\n") == body.count(b"\r\n")


def test_json_lines_hold_what_is_sealed(client_of: Any, finance: User, say: Callable[..., None]) -> None:
    say("first", data={"changes": [["total", 1, 2]]})

    answer = export(client_of(finance), "?did=records", format="jsonl")

    lines = answer.body.decode().splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0])["data"] == {"changes": [["total", 1, 2]]}
    assert json.loads(lines[0])["xact"] > 0


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_it_is_counted_hashed_and_journaled(
    format: str, client_of: Any, finance: User, say: Callable[..., None]
) -> None:
    say("first", "second")

    answer = export(client_of(finance), "?did=records", format=format)

    body = answer.body
    made = Export.objects.get()
    assert made.complete
    assert (made.rows, made.size, made.sha256) == (2, len(body), sha256(body).hexdigest())
    assert (answer["X-Export-Rows"], answer["X-Export-SHA256"]) == ("2", made.sha256)
    assert answer["Content-Length"] == str(len(body))
    assert answer["Content-Disposition"].endswith(f'-E{made.pk}.{format}"')
    entry = JournalEntry.objects.get(action="export.made")
    assert (entry.actor_id, entry.reason) == (finance.pk, "Month end")
    assert (entry.data["rows"], entry.data["sha256"]) == (2, made.sha256)
    assert entry.data["filter"] == {"By": "people", "Action": "records and notes"}


def test_past_ones_are_listed_with_count_and_hash(client_of: Any, finance: User, say: Callable[..., None]) -> None:
    say("first")
    client = client_of(finance)
    made = export(client)

    page = client.get(ADDRESS).content.decode()

    assert made["X-Export-SHA256"] in page
    assert "“Month end”" in page


def test_too_many_are_refused_and_nothing_is_sent(
    client_of: Any, finance: User, say: Callable[..., None], settings: Any
) -> None:
    settings.EXPORT_LIMIT = 2
    say("first", "second", "third")
    client = client_of(finance)

    answer = export(client)

    assert answer.status_code == 422
    assert "more than 2 entries" in answer.content.decode()
    assert not Export.objects.get().complete
    assert not JournalEntry.objects.filter(action="export.made").exists()
    assert "not made" in client.get(ADDRESS).content.decode()


@pytest.mark.parametrize("answer", [{"reason": ""}, {"reason": "  "}, {"format": "xlsx"}, {"format": ""}])
def test_a_bad_answer_is_asked_again(
    answer: dict[str, str], client_of: Any, finance: User, say: Callable[..., None]
) -> None:
    assert export(client_of(finance), **answer).status_code == 422
    assert not Export.objects.exists()


def test_a_full_disk_is_refused_in_words(
    client_of: Any, finance: User, say: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(28, "No space left on device")

    say("first")
    monkeypatch.setattr("integrations.journal.export.SpooledTemporaryFile", lambda _: Full())

    answer = export(client_of(finance))

    assert answer.status_code == 422
    assert "no room" in answer.content.decode()


def test_other_tenants_and_environments_stay_out(
    client_of: Any, finance: User, say: Callable[..., None], other_connection: Connection
) -> None:
    say("ours")
    say("live", environment="live")
    say("theirs", tenant_id=other_connection.tenant_id, connection_id=other_connection.pk)

    rows = table(export(client_of(finance), "?did=records&view=all"))

    assert [row["summary"] for row in rows] == ["ours"]


def test_a_role_at_one_connection_exports_that_one_only(
    tenant: Tenant, connection: Connection, finance: User, client_of: Any, say: Callable[..., None]
) -> None:
    other = connected(tenant, "Stripe two")
    grant(finance, Role.FINANCE, tenant, by="the tests", connection=connection)
    grant(finance, Role.SUPPORT, tenant, by="the tests")
    revoke(Grant.objects.get(user=finance, role="finance", connection=None), by="the tests", reason="Only one")
    say("ours")
    say("theirs", connection_id=other.pk)

    rows = table(export(client_of(finance), "?did=records&view=all"))

    assert [row["summary"] for row in rows] == ["ours"]


DANGEROUS = ['=cmd|"/c calc"!A0', "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "＝1"]


@pytest.mark.parametrize("text", DANGEROUS)
def test_no_cell_is_a_formula(text: str, client_of: Any, finance: User, say: Callable[..., None]) -> None:
    say(text, reason=text)

    rows = table(export(client_of(finance), "?did=records"))

    assert rows[0]["summary"] == f"'{text}"
    assert rows[0]["reason"] == f"'{text}"


@pytest.mark.parametrize(("value", "cell"), [(None, ""), (5, "5"), (0, "0"), ("a=b", "a=b"), ("", "")])
def test_harmless_cells_stay_as_they_are(value: Any, cell: str) -> None:
    assert safe_cell(value) == cell


def test_many_entries_do_not_need_many_queries(
    client_of: Any, finance: User, say: Callable[..., None], django_assert_max_num_queries: Any
) -> None:
    say(*(f"entry {number}" for number in range(5000)))
    client = client_of(finance)

    with django_assert_max_num_queries(35):
        answer = export(client, "?did=records")

    assert answer["X-Export-Rows"] == "5000"


def test_under_asgi_the_file_comes_in_pieces() -> None:
    async def read() -> list[int]:
        return [len(piece) async for piece in AsyncPieces(io.BytesIO(b"x" * 200_000))]

    assert asyncio.run(read()) == [65536, 65536, 65536, 3392]


def test_the_address_is_the_one_of_the_page(connection: Connection) -> None:
    assert reverse("audit_exports", args=["northwind", "test"]) == ADDRESS
