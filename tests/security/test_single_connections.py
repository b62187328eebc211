"""A role at one connection opens that connection alone: not its sibling, not the other environment."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection as database
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.access import Powers, grant, powers_of, revoke
from console.models import Grant, Role, User
from integrations.journal.write import Entry, write
from integrations.models import Connection, Drift, Export, JournalEntry, Lane, Record, Run, RunKind, Tenant, WorkState
from tests.conftest import TESTER, connected, person
from tests.test_urls import LINES, REFUSED, Request, ask, methods, objects_of, request_of
from tests.world import World, make_world

pytestmark = pytest.mark.django_db
SECRET = "hidden.person@halvorsen.example"
ClientOf = Callable[[User], Client]

#: Addresses whose object belongs to the tenant, not to a connection.
OF_THE_TENANT = {"people_take", "people_link", "people_token"}


@dataclass
class Two:
    """Two connections of one tenant; `somebody` holds roles at `mine` alone."""

    tenant: Tenant
    mine: Connection
    sibling: Connection
    world: World


@pytest.fixture
def two(tenant: Tenant) -> Two:
    world = make_world(tenant)
    return Two(tenant, connected(tenant, "Mine"), world.objects["connection"], world)


@pytest.fixture
def somebody(two: Two) -> User:
    return User.objects.create_user(username="some@body.example", email="some@body.example", password="right horse")


def give(user: User, role: str, two: Two, connection: Connection) -> None:
    grant(user, role, two.tenant, by="the tests", connection=connection)


def drift_of(connection: Connection, *, field: str = "email", theirs: Any = SECRET) -> Drift:
    """A difference of a customer, whose values are personal."""
    now = timezone.now()
    run = Run.objects.create(
        tenant=connection.tenant, environment=connection.environment, connection=connection,
        kind=RunKind.RECONCILE, state=WorkState.DONE, due_at=now,
    )  # fmt: skip
    return Drift.objects.create(
        tenant=connection.tenant, environment=connection.environment, connection=connection, kind="customer",
        resource="customer", external_id=f"cus_of_{connection.pk}", field=field, ours="", theirs=theirs, run=run,
        first_seen_at=now, last_seen_at=now,
    )  # fmt: skip


def read(answer: Any) -> str:
    """Return a file that was sent; reading it to its end closes it."""
    text: str = answer.getvalue().decode()
    return text


def url(name: str, *args: Any, **kwargs: Any) -> str:
    return reverse(name, args=["northwind", "test", *args], **kwargs)


@pytest.mark.parametrize(
    "name", sorted(name for name, line in LINES.items() if objects_of(line) and name not in OF_THE_TENANT)
)
def test_every_object_of_a_sibling_connection_is_hidden(
    name: str, two: Two, somebody: User, client_of: ClientOf
) -> None:
    for role in Role.values:
        if role != Role.ADMINISTRATOR:
            give(somebody, role, two, two.mine)
    request: Request = request_of(name, two.world)

    for method, row in methods(LINES[name]):
        if row != REFUSED:
            assert ask(method, request, client_of(somebody)).status_code == 404, method


def test_the_other_environment_does_not_exist(two: Two, somebody: User, client_of: ClientOf) -> None:
    connected(two.tenant, "Live", environment="live")
    give(somebody, Role.ENGINEER, two, two.mine)

    assert client_of(somebody).get("/northwind/live/").status_code == 404
    assert client_of(somebody).get("/northwind/test/").status_code == 200


LISTS = [
    "overview", "records", "problems", "events", "commands", "drift", "drift_runs", "connections", "mappings",
    "subscriptions", "subscription_deliveries", "audit",
]  # fmt: skip


@pytest.mark.parametrize("page", LISTS)
def test_no_list_names_anything_of_a_sibling(page: str, two: Two, somebody: User, client_of: ClientOf) -> None:
    Connection.objects.filter(pk=two.sibling.pk).update(name="Siblingname")
    Record.objects.filter(connection=two.sibling).update(label="Siblinglabel")
    give(somebody, Role.ENGINEER, two, two.mine)

    for query in ("", "?view=all", "?q=cus_0001", "?q=Siblinglabel", f"?connection={two.sibling.pk}"):
        found = client_of(somebody).get(url(page) + query).content.decode()
        assert "Siblingname" not in found
        assert "Siblinglabel</a>" not in found


def test_what_happened_at_the_tenant_as_a_whole_is_not_told_to_them(
    two: Two, somebody: User, support: User, client_of: ClientOf
) -> None:
    write([
        Entry(tenant_id=two.tenant.pk, environment="test", lane=Lane.PEOPLE, action="tenant.renamed",
              summary="Somebody renamed the whole tenant", actor=TESTER)
    ])  # fmt: skip
    give(somebody, Role.SUPPORT, two, two.mine)

    assert "renamed the whole tenant" in client_of(support).get(url("overview")).content.decode()
    assert "renamed the whole tenant" not in client_of(somebody).get(url("overview")).content.decode()


@pytest.mark.parametrize("path", ["drift", "drift_accept"])
def test_personal_values_are_shown_only_where_one_may_see_them(
    path: str, two: Two, somebody: User, client_of: ClientOf
) -> None:
    hidden = drift_of(two.sibling)
    give(somebody, Role.ENGINEER, two, two.mine)
    give(somebody, Role.OPERATIONS, two, two.sibling)

    page = client_of(somebody).get(url(path), {"row": hidden.pk} if path == "drift_accept" else {})

    assert page.status_code == 200
    assert "Email" in page.content.decode()
    assert SECRET not in page.content.decode()


def test_the_report_holds_only_what_one_may_export(two: Two, somebody: User, client_of: ClientOf) -> None:
    drift_of(two.mine, field="name", theirs="Of mine")
    drift_of(two.sibling, field="name", theirs="Of the sibling")
    give(somebody, Role.FINANCE, two, two.mine)
    give(somebody, Role.OPERATIONS, two, two.sibling)

    answer = client_of(somebody).post(url("drift_report"), {"reason": "The month"})
    report = read(answer)

    assert "Of mine" in report
    assert "Of the sibling" not in report


def test_the_report_masks_what_is_personal_by_connection(two: Two, somebody: User, client_of: ClientOf) -> None:
    drift_of(two.sibling)
    give(somebody, Role.ENGINEER, two, two.mine)
    give(somebody, Role.FINANCE, two, two.sibling)

    answer = client_of(somebody).post(url("drift_report"), {"reason": "The month"})

    assert SECRET not in read(answer)


def test_the_audit_trail_masks_what_is_personal_by_connection(two: Two, somebody: User, client_of: ClientOf) -> None:
    record = two.world.objects["record"]
    (entry,) = write([
        Entry(tenant_id=two.tenant.pk, environment="test", connection_id=two.sibling.pk, record_id=record.pk,
              lane=Lane.PEOPLE, action="record.changed", summary="Changed: email", actor=TESTER,
              data={"changes": [["email", "", SECRET]]})
    ])  # fmt: skip
    give(somebody, Role.ENGINEER, two, two.mine)
    give(somebody, Role.SUPPORT, two, two.sibling)

    assert SECRET not in client_of(somebody).get(url("audit_entry", entry.pk)).content.decode()


def test_the_number_of_differences_counts_only_those_one_may_see(two: Two, somebody: User, client_of: ClientOf) -> None:
    for number in range(41):
        drift_of(two.sibling, field=f"field_{number}")
    give(somebody, Role.SUPPORT, two, two.sibling)
    give(somebody, Role.OPERATIONS, two, two.mine)

    for page in ("overview", "drift", "records"):
        content = client_of(somebody).get(url(page)).content.decode()
        assert ">42<" not in content
        assert ">41<" not in content


def test_rows_of_a_sibling_are_settled_by_nobody_else(two: Two, somebody: User, client_of: ClientOf) -> None:
    own, foreign = drift_of(two.mine), drift_of(two.sibling)
    give(somebody, Role.OPERATIONS, two, two.mine)

    answer = client_of(somebody).post(url("drift_accept"), {"row": [own.pk, foreign.pk], "reason": "All of them"})

    assert answer.status_code == 404
    assert not Drift.objects.exclude(status="open").exists()


def test_who_may_only_look_at_a_sibling_settles_nothing_there(two: Two, somebody: User, client_of: ClientOf) -> None:
    own, foreign = drift_of(two.mine), drift_of(two.sibling)
    give(somebody, Role.OPERATIONS, two, two.mine)
    give(somebody, Role.AUDITOR, two, two.sibling)

    answer = client_of(somebody).post(url("drift_ignore"), {"row": [own.pk, foreign.pk], "reason": "All of them"})

    assert answer.status_code == 403
    assert not Drift.objects.exclude(status="open").exists()


def test_the_journal_of_a_connection_is_exported_alone(two: Two, somebody: User, client_of: ClientOf) -> None:
    give(somebody, Role.FINANCE, two, two.mine)

    answer = client_of(somebody).post(url("audit_exports") + "?view=all", {"format": "csv", "reason": "The month"})
    lines = read(answer).splitlines()

    assert len(lines) > 1
    assert all(",Mine," in line for line in lines[1:])


def test_an_administrator_of_people_sees_no_object_of_any_page(two: Two, client_of: ClientOf) -> None:
    client = client_of(person("boss", two.tenant, Role.ADMINISTRATOR))

    for name, line in LINES.items():
        if not name.startswith("people"):
            for method, row in methods(line):
                status = ask(method, request_of(name, two.world), client).status_code
                assert status in ((405,) if row == REFUSED else (403, 404)), name


def test_who_gives_roles_elsewhere_sees_nothing_more_here(two: Two, somebody: User, client_of: ClientOf) -> None:
    """A role for people at the tenant and one at a connection do not add up to the whole tenant."""
    grant(somebody, Role.ADMINISTRATOR, two.tenant, by="the tests")
    give(somebody, Role.SUPPORT, two, two.mine)

    assert client_of(somebody).get(url("record", two.world.objects["record"].pk)).status_code == 404
    assert client_of(somebody).get("/northwind/live/").status_code == 403


@pytest.mark.parametrize("page", ["overview", "audit"])
def test_nobody_who_works_elsewhere_alone_is_named(page: str, two: Two, somebody: User, client_of: ClientOf) -> None:
    live = connected(two.tenant, "Live", environment="live")
    for name, connection in (("astrid", two.mine), ("birger", two.sibling), ("cecilie", live), ("dagfinn", None)):
        grant(person(name, two.tenant), Role.FINANCE, two.tenant, by="the tests", connection=connection)
    give(somebody, Role.FINANCE, two, two.mine)

    found = client_of(somebody).get(url(page)).content.decode()

    assert "Astrid" in found
    assert "Dagfinn" in found
    assert "Birger" not in found
    assert "Cecilie" not in found


def test_one_acts_by_no_role_of_the_other_environment(two: Two, somebody: User, client_of: ClientOf) -> None:
    live = connected(two.tenant, "Live", environment="live")
    give(somebody, Role.SUPPORT, two, two.sibling)
    give(somebody, Role.ENGINEER, two, live)

    client_of(somebody).post(url("record_note", two.world.objects["record"].pk), {"text": "They called"})
    page = client_of(somebody).get(url("overview"))

    assert JournalEntry.objects.filter(action="record.noted").latest("id").role == "support"
    assert page.context["person_roles"] == "support"


def test_one_acts_at_a_connection_by_the_roles_that_hold_there(two: Two, somebody: User, client_of: ClientOf) -> None:
    give(somebody, Role.SUPPORT, two, two.sibling)
    give(somebody, Role.ENGINEER, two, two.mine)
    record = two.world.objects["record"]

    client_of(somebody).post(url("record_note", record.pk), {"text": "They called"})
    grant(somebody, Role.FINANCE, two.tenant, by="the tests")
    client_of(somebody).post(url("record_note", record.pk), {"text": "They called again"})

    noted = JournalEntry.objects.filter(action="record.noted", actor_id=somebody.pk).order_by("id")
    assert [entry.role for entry in noted] == ["support", "finance, support"]


def test_an_export_of_one_connection_is_not_told_as_one_of_everything(
    two: Two, somebody: User, client_of: ClientOf
) -> None:
    give(somebody, Role.FINANCE, two, two.mine)

    shown = client_of(somebody).get(url("audit_exports") + "?view=all").content.decode()
    read(client_of(somebody).post(url("audit_exports") + "?view=all", {"format": "csv", "reason": "The month"}))

    assert "everything of Northwind Traders" not in shown
    assert Export.objects.latest("id").filter == {"Where": "Mine"}


def test_a_report_of_one_connection_says_so(two: Two, somebody: User, client_of: ClientOf) -> None:
    give(somebody, Role.FINANCE, two, two.mine)
    give(somebody, Role.OPERATIONS, two, two.sibling)

    read(client_of(somebody).post(url("drift_report"), {"reason": "The month"}))

    told = JournalEntry.objects.filter(action="export.made").latest("id").data["filter"]
    assert told == {"status": "open", "where": "Mine"}


def test_who_is_not_told_of_verifications_is_not_told_that_there_were_none(
    two: Two, somebody: User, auditor: User, client_of: ClientOf
) -> None:
    give(somebody, Role.AUDITOR, two, two.mine)
    never = "Nobody has verified it yet"
    assert never in client_of(auditor).get(url("audit")).content.decode()

    client_of(auditor).post(url("audit_verify"))

    assert never not in client_of(auditor).get(url("audit")).content.decode()
    assert never not in client_of(somebody).get(url("audit")).content.decode()


@pytest.mark.django_db(transaction=True)
def test_roles_given_and_taken_at_the_same_time_leave_what_the_rest_may(tenant: Tenant) -> None:
    user = person("both", tenant, Role.OPERATIONS, Role.SUPPORT)
    first, second = user.grants.order_by("role")
    taken, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        try:
            with transaction.atomic():
                revoke(first, by="the tests", reason="A")
                taken.set()
                go_on.wait(1)
        finally:
            database.close()

    def meanwhile() -> None:
        try:
            revoke(second, by="the tests", reason="B")
        finally:
            go_on.set()
            database.close()

    threads = [threading.Thread(target=slow), threading.Thread(target=meanwhile)]
    threads[0].start()
    taken.wait(20)
    threads[1].start()
    for thread in threads:
        thread.join()

    assert not Grant.objects.filter(user=user).exists()
    assert powers_of(user) == Powers({}, {})
