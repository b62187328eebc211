"""A record's page tells where it was exported to, from which version, and what is locked by that."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from console.models import User
from integrations.configuration.connect import connect
from integrations.journal.write import Entry, write
from integrations.models import Connection, Copy, CopyState, JournalEntry, Lane, Record, Route, Run, RunKind, Tenant
from integrations.models.drift import Drift
from tests.conftest import TESTER

pytestmark = pytest.mark.django_db

CONTENT = {
    "number": "INV-1", "customer": "c", "currency": "EUR", "subtotal": 10_000, "tax": 1_900, "total": 11_900,
    "issued_at": "2026-11-18T09:15:00Z", "due_at": "2026-11-18T09:15:00Z", "state": "open",
}  # fmt: skip


@pytest.fixture
def books(tenant: Tenant) -> Connection:
    values = {"tenant_id": "c2cc9b6e-9458-4c7d-93cc-f02b81b0594f", "client_id": "0123456789ABCDEF"}
    return connect(tenant, provider="xero", name="Books", environment="test", values=values, actor=TESTER)


@pytest.fixture
def invoice(make_record: Callable[..., Record]) -> Record:
    data = {key: CONTENT[key] for key in ("number", "currency", "subtotal", "tax", "total", "issued_at")}
    return make_record("invoice", data=data | {"created_at": CONTENT["issued_at"]})


@pytest.fixture
def copy(connection: Connection, books: Connection, invoice: Record) -> Copy:
    route = Route.objects.create(
        tenant=connection.tenant, environment="test", source=connection, target=books, kinds=["customer", "invoice"],
        made_by="the tests",
    )  # fmt: skip
    now = timezone.now()
    return Copy.objects.create(
        tenant=connection.tenant, environment="test", route=route, record=invoice, connection=books,
        resource="invoice", external_id="book-1", state=CopyState.EXPORTED, due_at=now, version=1, exported_at=now,
        confirmed_at=now, compared_at=now, shown_state="open",
        made={"invoice.create": {"external_id": "book-1", "content": CONTENT, "version": 1}},
    )  # fmt: skip


def page(client: Client, record: Record) -> str:
    answer = client.get(f"/northwind/test/records/{record.pk}/")
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def as_operations(client_of: Callable[[User], Client], operations: User) -> Client:
    return client_of(operations)


def differ(copy: Copy, **fields: Any) -> Drift:
    now = timezone.now()
    run = Run.objects.create(tenant=copy.tenant, environment="test", connection=copy.connection, due_at=now,
                             kind=RunKind.RECONCILE, asked_by="the tests", state="done")  # fmt: skip
    Record.objects.filter(pk=copy.record_id).update(open_drift=1)
    return Drift.objects.create(
        tenant=copy.tenant, environment="test", connection=copy.connection, record=copy.record, kind="invoice",
        resource="invoice", external_id="book-1", run=run, first_seen_at=now, last_seen_at=now, **fields,
    )  # fmt: skip


def test_it_says_where_it_was_exported_to_and_from_which_version(
    as_operations: Client, copy: Copy, invoice: Record
) -> None:
    text = page(as_operations, invoice)

    assert "Exported to" in text
    assert "book-1" in text
    assert "version 1" in text
    assert "Check at Books" in text


def test_it_says_what_an_export_waits_for(as_operations: Client, copy: Copy, invoice: Record) -> None:
    Copy.objects.update(state=CopyState.WAITING, external_id="", made={}, reason="Waits for customer X to be at Books.")

    assert "Waits for customer X to be at Books." in page(as_operations, invoice)


def test_exported_fields_show_that_they_are_locked_and_why(as_operations: Client, copy: Copy, invoice: Record) -> None:
    text = page(as_operations, invoice)

    assert "Locked: exported to Books" in text


def test_a_difference_there_is_not_one_of_its_own_provider(as_operations: Client, copy: Copy, invoice: Record) -> None:
    differ(copy, field="total", ours=11_900, theirs=9_900)

    text = page(as_operations, invoice)

    assert "Settle 1 difference" in text
    assert "€99.00" not in text.split('id="sides"')[1].split("</section>")[0]


def test_the_timeline_names_the_other_provider(as_operations: Client, copy: Copy, invoice: Record) -> None:
    for connection_id, said in ((invoice.connection_id, "invoice.paid arrived"), (copy.connection_id, "It was read")):
        write([Entry(tenant_id=copy.tenant_id, environment="test", connection_id=connection_id, record_id=invoice.pk,
                     lane=Lane.EVENTS, action="event.decided", summary=f"{said}: unchanged")])  # fmt: skip

    text = page(as_operations, invoice)

    assert "It was read from Books" in text
    assert "arrived from" not in text


def test_exporting_again_asks_once_and_says_why(as_operations: Client, copy: Copy, invoice: Record) -> None:
    url = f"/northwind/test/records/{invoice.pk}/exports/{copy.connection_id}/again/"

    refused = as_operations.post(url)
    done = as_operations.post(url, {"reason": "It was lost there"})

    assert (refused.status_code, done.status_code) == (422, 302)
    copy.refresh_from_db()
    assert (copy.state, copy.round) == (CopyState.DUE, 1)


def test_it_can_be_checked_at_the_target_alone(as_operations: Client, copy: Copy, invoice: Record) -> None:
    invoice.references.create(connection=copy.connection, resource="invoice", external_id="book-1",
                              seen_at=timezone.now(), checked_at=timezone.now())  # fmt: skip

    as_operations.post(f"/northwind/test/records/{invoice.pk}/check/", {"at": copy.connection_id})

    assert Run.objects.get(kind=RunKind.RECONCILE).connection_id == copy.connection_id


def shown_in(asked: str) -> str:
    """Return what a question says to the form of what goes out."""
    found = re.search(r'name="shown" value="([^"]+)"', asked)
    assert found
    return found[1]


@pytest.fixture
def customer(copy: Copy, make_record: Callable[..., Record]) -> Record:
    """The invoice's customer, who stands in the books too."""
    record = make_record("customer", data={"name": "Halvorsen Marine AS", "created_at": CONTENT["issued_at"]})
    copy.record.links.create(field="customer", target=record)
    Copy.objects.create(
        tenant=copy.tenant, environment="test", route=copy.route, record=record, connection=copy.connection,
        resource="contact", external_id="c", state=CopyState.EXPORTED, due_at=timezone.now(),
    )  # fmt: skip
    return record


def test_ours_is_offered_to_be_sent_where_it_was_exported(as_operations: Client, copy: Copy, customer: Record) -> None:
    drift = differ(copy, field="total", ours=11_900, theirs=9_900)

    assert "Send ours" in as_operations.get("/northwind/test/drift/").content.decode()
    asked = as_operations.get(f"/northwind/test/drift/push/?row={drift.pk}").content.decode()
    answers = {"row": drift.pk, "reason": "Theirs is mistyped", "shown": shown_in(asked)}
    answer = as_operations.post("/northwind/test/drift/push/", answers)

    assert "Update invoice INV-1 in Books" in asked
    assert "What is sent, whole" in asked
    assert answer.status_code == 302
    drift.refresh_from_db()
    copy.refresh_from_db()
    assert (drift.status, copy.state) == ("pushed", CopyState.DUE)


def test_ours_is_not_sent_where_something_else_would_go_out_than_was_shown(
    as_operations: Client, copy: Copy, invoice: Record, customer: Record
) -> None:
    drift = differ(copy, field="total", ours=11_900, theirs=9_900)
    asked = as_operations.get(f"/northwind/test/drift/push/?row={drift.pk}").content.decode()
    Record.objects.filter(pk=invoice.pk).update(state="void")

    answers = {"row": drift.pk, "reason": "Theirs is mistyped", "shown": shown_in(asked)}
    answer = as_operations.post("/northwind/test/drift/push/", answers)

    assert answer.status_code == 422
    assert "It would void invoice INV-1 in Books now. Look again." in answer.content.decode()
    drift.refresh_from_db()
    assert drift.status == "open"
    assert shown_in(answer.content.decode()) != shown_in(asked)


def test_who_may_not_write_to_a_provider_sends_nothing_there_by_settling(
    client_of: Callable[[User], Client], finance: User, copy: Copy
) -> None:
    drift = differ(copy, field="total", ours=11_900, theirs=9_900)
    client = client_of(finance)

    shown = client.get("/northwind/test/drift/").content.decode()
    answer = client.post("/northwind/test/drift/push/", {"row": drift.pk, "reason": "Theirs is mistyped"})

    assert "Ignore" in shown
    assert "Send ours" not in shown
    assert answer.status_code == 403
    copy.refresh_from_db()
    assert (copy.state, copy.round) == (CopyState.EXPORTED, 0)


def test_ours_is_sent_only_where_one_may_both_settle_and_write(
    client_of: Callable[[User], Client], tenant: Tenant, connection: Connection, copy: Copy
) -> None:
    from console.access import grant
    from console.models import Role

    drift = differ(copy, field="total", ours=11_900, theirs=9_900)
    visitor = User.objects.create_user(username="v@x.example", email="v@x.example", password="right horse")
    grant(visitor, Role.OPERATIONS, tenant, by="the tests", connection=connection)
    grant(visitor, Role.FINANCE, tenant, by="the tests", connection=copy.connection)
    client = client_of(visitor)

    shown = client.get("/northwind/test/drift/").content.decode()
    answer = client.post("/northwind/test/drift/push/", {"row": drift.pk, "reason": "Theirs is mistyped"})

    assert "Send ours" not in shown
    assert answer.status_code == 403


def test_a_person_without_the_target_sees_nothing_of_it(
    client_of: Callable[[User], Client], tenant: Tenant, connection: Connection, copy: Copy, invoice: Record
) -> None:
    from console.access import grant
    from console.models import Role

    visitor = User.objects.create_user(username="v@x.example", email="v@x.example", password="right horse")
    grant(visitor, Role.SUPPORT, tenant, by="the tests", connection=connection)

    text = page(client_of(visitor), invoice)

    assert "Exported to" not in text
    assert "book-1" not in text


def test_a_route_lists_its_records_by_state(as_operations: Client, copy: Copy) -> None:
    base = f"/northwind/test/connections/routes/{copy.route_id}/"

    assert "INV-1" in as_operations.get(base).content.decode()
    assert "INV-1" not in as_operations.get(f"{base}?state=stopped").content.decode()


def test_a_connection_shows_its_routes_with_counts(as_operations: Client, copy: Copy, connection: Connection) -> None:
    for pk, words in ((connection.pk, "To Books"), (copy.connection_id, "From Stripe")):
        assert words in as_operations.get(f"/northwind/test/connections/{pk}/").content.decode()


def test_ending_a_route_says_before_what_becomes_of_whom(
    client_of: Callable[[User], Client], engineer: User, copy: Copy, invoice: Record, make_record: Callable[..., Record]
) -> None:
    client, base = client_of(engineer), f"/northwind/test/connections/routes/{copy.route_id}/"
    Copy.objects.create(
        tenant=copy.tenant, environment="test", route=copy.route, record=make_record("customer"),
        connection=copy.connection, state=CopyState.DUE, due_at=timezone.now(),
    )  # fmt: skip

    asked = client.get(f"{base}end/").content.decode()
    refused, done = client.post(f"{base}end/"), client.post(f"{base}end/", {"reason": "The books move"})
    page, again = client.get(base).content.decode(), client.get(f"{base}end/").content.decode()

    assert "Nothing is deleted at Books: 1 record stays there unchanged" in asked
    assert "1 record that waits is not exported." in asked
    assert (refused.status_code, done.status_code) == (422, 302)
    assert "Ended by Engineer" in page
    assert "Start again…" in page
    assert "Pause…" not in page
    assert "was ended already" in again
    assert JournalEntry.objects.get(action="route.ended").reason == "The books move"
    assert "The route was ended" in client.get(f"/northwind/test/records/{invoice.pk}/").content.decode()


def test_an_ended_route_is_started_again_after_one_question(
    client_of: Callable[[User], Client], engineer: User, copy: Copy
) -> None:
    client, base = client_of(engineer), f"/northwind/test/connections/routes/{copy.route_id}/"
    client.post(f"{base}end/", {"reason": "By mistake"})

    answer = client.post(f"{base}start/", {"kinds": ["customer", "invoice"], "reason": "It was a mistake"})

    assert answer.status_code == 302
    copy.route.refresh_from_db()
    assert copy.route.ended_at is None
    assert client.post(f"{base}start/", {"kinds": ["invoice"], "reason": "Twice"}).status_code == 422


def test_an_engineer_makes_a_route_once(
    client_of: Callable[[User], Client], engineer: User, connection: Connection, books: Connection
) -> None:
    client = client_of(engineer)
    answers = {"target": books.pk, "kinds": ["invoice"], "reason": "The books want invoices"}

    made = client.post(f"/northwind/test/connections/{connection.pk}/routes/new/", answers)

    assert made.status_code == 302
    route = Route.objects.get()
    assert route.kinds == ["customer", "invoice"]
    assert route.history.get().history_change_reason == "The books want invoices"


def test_everything_is_exported_after_one_question_with_the_count(
    as_operations: Client, copy: Copy, make_record: Callable[..., Record]
) -> None:
    made = make_record("customer")
    Record.objects.filter(pk=made.pk).update(occurred_at=timezone.now() - timedelta(days=400))
    url = f"/northwind/test/connections/routes/{copy.route_id}/export/"

    asked = as_operations.get(url).content.decode()
    as_operations.post(url, {"reason": "The books begin"})

    assert "1 record" in asked
    assert Run.objects.get(kind=RunKind.EXPORT).held == 1


@pytest.mark.parametrize(
    ("state", "seen_before_the_export", "said"),
    [("open", False, "matches"), ("paid", False, "open there, paid here"), ("open", True, "not seen there since")],
)
def test_only_what_was_seen_there_in_the_same_state_since_it_was_exported_matches(
    as_operations: Client, copy: Copy, invoice: Record, state: str, seen_before_the_export: bool, said: str
) -> None:
    Record.objects.filter(pk=invoice.pk).update(state=state)
    Copy.objects.update(compared_at=timezone.now() - timedelta(minutes=5 if seen_before_the_export else -5))

    references = page(as_operations, invoice).split('id="references"')[1].split("</table>")[0]
    (there,) = [row for row in references.split("<tr>") if "book-1" in row]

    assert said in there
    assert ("matches" in there) == (said == "matches")
