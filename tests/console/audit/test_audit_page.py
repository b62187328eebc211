from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from console.access import grant, revoke
from console.models import Grant, Role, User
from integrations.journal.actor import Actor
from integrations.journal.notes import note
from integrations.journal.write import Entry, write
from integrations.models import Connection, JournalEntry, Lane, Record, Tenant
from tests.conftest import connected

pytestmark = pytest.mark.django_db


#: The last minute of a day that lies back some weeks.
OLD = datetime.combine(datetime.now(UTC).date() - timedelta(days=20), time(23, 59), tzinfo=UTC)


def address(name: str, *args: Any, tenant: str = "northwind", environment: str = "test") -> str:
    return reverse(name, args=[tenant, environment, *args])


@pytest.fixture
def say(connection: Connection) -> Callable[..., JournalEntry]:
    """Return a factory of entries about the connection, by Priya."""

    def make(summary: str, **fields: Any) -> JournalEntry:
        defaults: dict[str, Any] = {
            "tenant_id": connection.tenant_id, "environment": "test", "connection_id": connection.pk,
            "lane": Lane.PEOPLE, "action": "connection.paused", "actor": Actor(9001, "Priya Raman", "operations"),
        }  # fmt: skip
        return write([Entry(summary=summary, **(defaults | fields))])[0]

    return make


def shown(client: Any, **query: Any) -> str:
    page: str = client.get(address("audit"), query).content.decode()
    return page


@pytest.mark.parametrize("role", ["support", "operations", "finance", "engineer", "auditor"])
def test_everybody_who_sees_records_reads_it(role: str, request: Any, connection: Connection, client_of: Any) -> None:
    assert client_of(request.getfixturevalue(role)).get(address("audit")).status_code == 200


def test_an_administrator_and_a_stranger_do_not(
    connection: Connection, administrator: User, stranger: User, client_of: Any, say: Callable[..., JournalEntry]
) -> None:
    entry = say("paused")

    for user, status in ((administrator, 403), (stranger, 404)):
        client = client_of(user)
        assert client.get(address("audit")).status_code == status
        assert client.get(address("audit_entry", entry.pk)).status_code == status


def test_it_says_who_did_what_to_what_and_why(client_of: Any, auditor: User, say: Callable[..., JournalEntry]) -> None:
    say("Priya Raman paused it", reason="Their maintenance", subject_type="connection", subject_id=1)

    page = shown(client_of(auditor))

    assert "<td>paused it</td>" in page
    assert "“Their maintenance”" in page
    assert "operations" in page


def test_people_come_first_and_everything_is_one_click_away(
    client_of: Any, auditor: User, say: Callable[..., JournalEntry]
) -> None:
    say("A person paused")
    say("The engine decided", actor=None, lane=Lane.EVENTS, action="event.decided")
    client = client_of(auditor)

    assert "The engine decided" not in shown(client)
    assert "The engine decided" in shown(client, view="all")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"did": "pause"}, {"paused", "late"}),
        ({"did": ["pause", "secrets"]}, {"paused", "late", "rotated"}),
        ({"lane": "events", "view": "all"}, {"decided"}),
        ({"to": f"{OLD:%Y-%m-%d}"}, {"old"}),
        ({"from": f"{OLD + timedelta(days=1):%Y-%m-%d}", "did": "records"}, set()),
        ({"person": "nobody"}, {"paused", "late", "rotated", "old"}),
        ({"did": "nonsense"}, {"paused", "late", "rotated", "old"}),
    ],
)
def test_filters_narrow(
    query: dict[str, Any], found: set[str], client_of: Any, auditor: User, say: Callable[..., JournalEntry]
) -> None:
    say("it was paused")
    say("it was late")
    say("it was rotated", action="credential.submitted")
    say("it was decided", action="event.decided", lane=Lane.EVENTS, actor=None)
    say("it was old", action="record.noted", at=OLD)

    page = shown(client_of(auditor), **query)

    seen = {word for word in ("paused", "late", "rotated", "decided", "old") if f"it was {word}" in page}
    assert seen == found


def test_a_person_is_found(client_of: Any, auditor: User, support: User, say: Callable[..., JournalEntry]) -> None:
    say("Support noted", actor=Actor(support.pk, "Support"))
    say("Priya paused")

    page = shown(client_of(auditor), person=str(support.pk))

    assert "noted" in page
    assert "Priya paused" not in page


def test_a_record_is_found_by_its_number_and_by_its_id_at_the_provider(
    client_of: Any, auditor: User, make_record: Callable[..., Record], say: Callable[..., JournalEntry]
) -> None:
    record = make_record("invoice", external_id="in_4711", data={"number": "INV-1"})
    note(record, text="Customer called", actor=Actor(5, "Sam"))
    say("Something else")
    client = client_of(auditor)

    for named in (str(record.pk), "in_4711"):
        page = shown(client, record=named)
        assert "Customer called" in page
        assert "Something else" not in page


@pytest.mark.parametrize(
    "text", ["cus_unknown", "0", "99999999999999999999", "%", "' OR 1=1 --", "<script>alert(1)</script>"]
)
def test_a_record_that_nobody_knows_is_said(
    text: str, client_of: Any, auditor: User, say: Callable[..., JournalEntry]
) -> None:
    say("Something else")

    page = shown(client_of(auditor), record=text)

    assert "No record is known as" in page
    assert "Something else" not in page
    assert "<script>alert" not in page


def test_a_record_of_another_tenant_is_not_known(
    client_of: Any, auditor: User, make_record: Callable[..., Record], other_connection: Connection,
    say: Callable[..., JournalEntry],
) -> None:  # fmt: skip
    say("Something else")
    theirs = make_record("invoice", on=other_connection, data={"number": "INV-9"})

    assert "No record is known as" in shown(client_of(auditor), record=str(theirs.pk))


@pytest.mark.parametrize(
    "query",
    [
        {"from": "yesterday"}, {"to": "2026-13-45"}, {"from": "9999-12-31"}, {"after": "x"}, {"before": "-1"},
        {"after": "9" * 40}, {"person": "1; DROP TABLE"}, {"connection": "99999999999999999999999"}, {"from": "\x00"},
    ],
)  # fmt: skip
def test_an_odd_address_is_answered(
    query: dict[str, str], client_of: Any, auditor: User, say: Callable[..., JournalEntry]
) -> None:
    say("paused")

    assert client_of(auditor).get(address("audit"), query).status_code == 200


def test_pages_lead_back_and_forth_without_loss(
    client_of: Any, auditor: User, say: Callable[..., JournalEntry]
) -> None:
    write(
        [
            Entry(
                tenant_id=auditor.grants.get().tenant_id, environment="test" if number % 5 else "", lane=Lane.PEOPLE,
                action="record.noted", summary=f"note {number:03}.", actor=Actor(7, "Sam"),
            )
            for number in range(120)
        ]
    )  # fmt: skip
    client = client_of(auditor)
    seen: list[str] = []
    url = f"{address('audit')}?did=records"
    pages = []
    while url:
        page = client.get(url)
        pages.append(page)
        seen += [row.entry.summary for row in page.context["rows"]]
        older = page.context["cut"].older
        url = f"{address('audit')}?did=records&after={older}" if older else ""

    back = client.get(f"{address('audit')}?did=records&before={pages[1].context['cut'].newer}")

    assert seen == [f"note {number:03}." for number in reversed(range(120))]
    assert [len(page.context["rows"]) for page in pages] == [50, 50, 20]
    assert [row.entry.pk for row in back.context["rows"]] == [row.entry.pk for row in pages[0].context["rows"]]
    assert back.context["cut"].newer == 0


def test_htmx_gets_the_entries_alone(client_of: Any, auditor: User, say: Callable[..., JournalEntry]) -> None:
    say("paused")

    answer = client_of(auditor).get(address("audit"), headers={"HX-Request": "true"})

    assert answer.content.decode().lstrip().startswith("<section")
    assert "HX-Request" in answer["Vary"]


def test_an_entry_tells_everything_once(client_of: Any, auditor: User, say: Callable[..., JournalEntry]) -> None:
    entry = say(
        "Ines changed the settings",
        actor=Actor(4, "Ines", "engineer", "198.51.100.7", "req_0123456789abcdef"),
        reason="Smaller <b>pages</b>",
        data={"changes": [["Objects per page", 100, 50]], "filter": {"By": "people"}},
    )

    page = client_of(auditor).get(address("audit_entry", entry.pk)).content.decode()

    for part in (
        "198.51.100.7",
        "req_0123456789abcdef",
        "Smaller &lt;b&gt;pages",
        "<del>100</del> <ins>50</ins>",
        "By: people",
    ):
        assert part in page
    assert "waits for the next one" in page


def test_the_entry_of_another_tenant_or_environment_is_not_there(
    client_of: Any, auditor: User, other_connection: Connection, say: Callable[..., JournalEntry]
) -> None:
    theirs = say("paused", tenant_id=other_connection.tenant_id, connection_id=other_connection.pk)
    live = say("paused", environment="live")
    client = client_of(auditor)

    assert client.get(address("audit_entry", theirs.pk)).status_code == 404
    assert client.get(address("audit_entry", live.pk)).status_code == 404
    assert theirs.summary not in shown(client)


def test_what_concerns_the_whole_tenant_stands_in_both_environments(
    tenant: Tenant, client_of: Any, auditor: User, say: Callable[..., JournalEntry]
) -> None:
    connected(tenant, "Live", environment="live")
    say("gave a role", environment="", connection_id=None, action="grant.given")
    client = client_of(auditor)

    for environment in ("test", "live"):
        assert "gave a role" in client.get(address("audit", environment=environment)).content.decode()


def test_a_role_at_one_connection_reads_about_that_one_only(
    tenant: Tenant, connection: Connection, support: User, client_of: Any, say: Callable[..., JournalEntry]
) -> None:
    other = connected(tenant, "Stripe two")
    say("it was mine")
    say("it was theirs", connection_id=other.pk)
    say("it was the tenant's", connection_id=None)
    grant(support, Role.SUPPORT, tenant, by="the tests", connection=connection)
    revoke(Grant.objects.get(user=support, connection=None), by="the tests", reason="Only one")

    page = shown(client_of(support))

    assert "it was mine" in page
    assert "it was theirs" not in page
    assert "it was the tenant" not in page


def test_the_number_of_queries_does_not_grow(
    client_of: Any, auditor: User, say: Callable[..., JournalEntry], make_record: Callable[..., Record],
    connection: Connection, django_assert_max_num_queries: Any,
) -> None:  # fmt: skip
    stream = connection.streams.get(resource="invoice")
    for number in range(20):
        record = make_record("invoice", data={"number": f"INV-{number}"})
        note(record, text="Hello", actor=Actor(5, "Sam"))
        say("paused", action="stream.paused", subject_type="stream", subject_id=stream.pk)
    client = client_of(auditor)

    with django_assert_max_num_queries(24):
        client.get(address("audit"))


def test_an_unsealed_journal_says_when_it_is_late(
    client_of: Any, auditor: User, say: Callable[..., JournalEntry]
) -> None:
    say("paused", at=timezone.now() - timedelta(hours=1))

    page = shown(client_of(auditor))

    assert "Nothing is sealed yet." in page
    assert "waits</span>" in page
