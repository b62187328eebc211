from typing import Any

import pytest
from django.core import mail
from django.urls import reverse

from console.access import grant
from console.models import Grant, Role, User
from integrations.models import Connection, JournalEntry, Tenant
from tests.conftest import person

pytestmark = pytest.mark.django_db


def address(name: str, *args: Any) -> str:
    return reverse(name, args=["northwind", "test", *args])


def give(client: Any, **values: Any) -> Any:
    answer = {"email": "support@northwind.example", "name": "", "role": "finance", "where": "", "reason": "Month end"}
    return client.post(address("people_give"), answer | values)


@pytest.mark.parametrize("role", ["support", "operations", "finance", "engineer", "auditor"])
def test_it_needs_an_administrator(
    role: str, request: Any, connection: Connection, administrator: User, client_of: Any
) -> None:
    client = client_of(request.getfixturevalue(role))
    held = Grant.objects.get(user=administrator)

    assert client.get(address("people")).status_code == 403
    assert give(client, email="administrator@northwind.example").status_code == 403
    assert client.post(address("people_take", held.pk), {"reason": "Mine now"}).status_code == 403
    assert client.post(address("people_link", administrator.pk)).status_code == 403


def test_an_administrator_sees_people_and_no_records(
    connection: Connection, administrator: User, support: User, client_of: Any
) -> None:
    client = client_of(administrator)

    page = client.get(address("people")).content.decode()

    assert "support@northwind.example" in page
    for name in ("records", "events", "connections", "mappings", "audit"):
        assert client.get(address(name)).status_code == 403


def test_people_of_another_tenant_are_not_shown(administrator: User, stranger: User, client_of: Any) -> None:
    client = client_of(administrator)

    assert "stranger" not in client.get(address("people")).content.decode()
    theirs = Grant.objects.filter(user=stranger).first()
    assert theirs
    assert client.post(address("people_take", theirs.pk), {"reason": "Out"}).status_code == 404
    assert client.post(address("people_link", stranger.pk)).status_code == 404


def test_a_role_is_given_and_holds_at_once(
    tenant: Tenant, connection: Connection, administrator: User, support: User, client_of: Any
) -> None:
    answer = give(client_of(administrator))

    assert answer.status_code == 302
    held = Grant.objects.get(user=support, role=Role.FINANCE)
    assert (held.granted_by, held.reason, held.connection) == ("Administrator", "Month end", None)
    assert User.objects.get(pk=support.pk).powers.may("export", tenant_id=tenant.pk)
    entry = JournalEntry.objects.get(action="grant.given")
    assert entry.summary == "Administrator gave finance to Support at Northwind Traders"
    assert (entry.reason, entry.environment) == ("Month end", "")


def test_a_role_at_one_connection_holds_there_only(
    tenant: Tenant, connection: Connection, administrator: User, support: User, client_of: Any
) -> None:
    give(client_of(administrator), where=str(connection.pk))

    powers = User.objects.get(pk=support.pk).powers
    assert powers.may("export", tenant_id=tenant.pk, connection_id=connection.pk)
    assert not powers.may("export", tenant_id=tenant.pk)


def test_somebody_new_is_invited_by_mail(administrator: User, client_of: Any) -> None:
    answer = give(client_of(administrator), email="New.Person@northwind.example", name="Nora Person")

    invited = User.objects.get(email="new.person@northwind.example")
    assert answer.status_code == 302
    assert invited.name == "Nora Person"
    assert not invited.has_usable_password()
    assert [message.to for message in mail.outbox] == [["new.person@northwind.example"]]
    assert "/accounts/password/reset/key/" in str(mail.outbox[0].body)
    assert JournalEntry.objects.filter(action="person.invited").count() == 1


def test_who_is_known_by_other_capitals_is_not_doubled(administrator: User, support: User, client_of: Any) -> None:
    give(client_of(administrator), email="Support@Northwind.example")

    assert Grant.objects.filter(user=support, role=Role.FINANCE).exists()
    assert not mail.outbox


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"email": "nobody"}, "valid email address"),
        ({"role": "king"}, "Select a valid choice"),
        ({"role": ""}, "Choose a role"),
        ({"where": "999"}, "Select a valid choice"),
        ({"reason": ""}, "Give a reason"),
        ({"role": "support"}, "holds this role already"),
        ({"email": "administrator@northwind.example"}, "Another administrator has to give you roles"),
    ],
)
def test_a_bad_answer_is_asked_again(
    answer: dict[str, str], said: str, administrator: User, support: User, client_of: Any
) -> None:
    before = Grant.objects.count()

    response = give(client_of(administrator), **answer)

    assert response.status_code == 422
    assert said in response.content.decode()
    assert Grant.objects.count() == before


def test_the_connection_of_another_tenant_cannot_be_chosen(
    other_connection: Connection, administrator: User, support: User, client_of: Any
) -> None:
    assert give(client_of(administrator), where=str(other_connection.pk)).status_code == 422


def test_administrators_are_for_the_whole_tenant(
    connection: Connection, administrator: User, support: User, client_of: Any
) -> None:
    answer = give(client_of(administrator), role="administrator", where=str(connection.pk))

    assert answer.status_code == 422
    assert "one for the whole tenant" in answer.content.decode()


def test_a_role_is_taken_and_the_history_keeps_both(
    tenant: Tenant, connection: Connection, administrator: User, support: User, client_of: Any
) -> None:
    client = client_of(administrator)
    held = Grant.objects.get(user=support)

    client.post(address("people_take", held.pk), {"reason": "Left the team"})

    assert client_of(support).get(address("records")).status_code == 404
    assert JournalEntry.objects.get(action="grant.taken").reason == "Left the team"
    page = client.get(address("people")).content.decode()
    assert "took support from <b>Support</b>" in page
    assert "“Left the team”" in page


def test_the_last_administrator_stays(tenant: Tenant, administrator: User, client_of: Any) -> None:
    client = client_of(administrator)
    held = Grant.objects.get(user=administrator)

    refused = client.post(address("people_take", held.pk), {"reason": "Enough"})
    person("second", tenant, Role.ADMINISTRATOR)
    taken = client.post(address("people_take", held.pk), {"reason": "Enough"})

    assert refused.status_code == 422
    assert "last administrator" in refused.content.decode()
    assert taken.status_code == 302


def test_the_number_of_queries_does_not_grow(
    tenant: Tenant, connection: Connection, administrator: User, client_of: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(8):
        user = person(f"person{number}", tenant, Role.SUPPORT)
        grant(user, Role.FINANCE, tenant, by="the tests", connection=connection)
    client = client_of(administrator)

    with django_assert_max_num_queries(13):
        client.get(address("people"))
