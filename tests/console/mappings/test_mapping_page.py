from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse

from console.models import User
from integrations.configuration import rules as texts
from integrations.configuration.impact import try_rules
from integrations.configuration.mappings import publish
from integrations.models import Connection, Event, JournalEntry, Mapping
from tests.conftest import TESTER, customer_object

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_caches")]


@pytest.fixture
def mapping(connection: Connection) -> Mapping:
    return Mapping.objects.get(connection=connection, resource="customer")


def address(name: str, *args: Any) -> str:
    return reverse(name, args=["northwind", "test", *args])


def edited(mapping: Mapping, old: str = "", new: str = "") -> str:
    return texts.write(mapping.rules["rules"]).replace(old, new) if old else texts.write(mapping.rules["rules"])


def tried(client: Any, mapping: Mapping, text: str) -> tuple[Any, str]:
    """Post a text to be tried; return the answer and what ties a publication to it."""
    answer = client.post(address("mapping_edit", mapping.pk), {"rules": text, "act": "try"})
    page = answer.content.decode()
    return answer, page.partition('name="tried" value="')[2].partition('"')[0]


@pytest.mark.parametrize("role", ["support", "operations", "finance", "engineer", "auditor"])
def test_everybody_who_sees_records_reads_the_rules(role: str, request: Any, mapping: Mapping, client_of: Any) -> None:
    client = client_of(request.getfixturevalue(role))

    assert "customer → customer" in client.get(address("mappings")).content.decode()
    assert client.get(address("mapping", mapping.pk)).status_code == 200


def test_an_administrator_and_a_stranger_do_not(
    mapping: Mapping, client_of: Any, administrator: User, stranger: User
) -> None:
    assert client_of(administrator).get(address("mapping", mapping.pk)).status_code == 403
    assert client_of(stranger).get(address("mapping", mapping.pk)).status_code == 404


def test_another_tenants_mapping_is_not_there(
    connection: Connection, other_connection: Connection, client_of: Any, engineer: User
) -> None:
    theirs = Mapping.objects.filter(connection=other_connection).first()

    assert theirs
    assert client_of(engineer).get(address("mapping", theirs.pk)).status_code == 404
    assert client_of(engineer).get(address("mapping_edit", theirs.pk)).status_code == 404


def test_rules_are_tried_on_the_newest_event_with_personal_values_masked(
    mapping: Mapping, client_of: Any, support: User, engineer: User, make_event: Callable[..., Event]
) -> None:
    make_event(obj=customer_object(name="Halvorsen Marine AS", email="ap@halvorsen.example"))

    masked = client_of(support).get(address("mapping", mapping.pk)).content.decode()
    whole = client_of(engineer).get(address("mapping", mapping.pk)).content.decode()

    assert "halvorsen.example" not in masked
    assert "ap@halvorsen.example" in whole


def test_an_event_that_does_not_map_is_said(
    mapping: Mapping, client_of: Any, support: User, make_event: Callable[..., Event]
) -> None:
    make_event(obj=customer_object(created="yesterday"))

    page = client_of(support).get(address("mapping", mapping.pk)).content.decode()

    assert "The newest event does not map" in page


def test_versions_are_compared(connection: Connection, mapping: Mapping, client_of: Any, support: User) -> None:
    rules = texts.read(edited(mapping, 'source = "currency"', 'source = "preferred_currency"'))
    newer = publish(connection, "customer", rules, actor=TESTER, reason="They moved it")

    page = client_of(support).get(address("mapping", newer.pk)).content.decode()
    old = client_of(support).get(address("mapping", mapping.pk)).content.decode()

    assert "preferred_currency" in page
    assert "compared with v1" in page
    assert "retired" in old


@pytest.mark.parametrize("role", ["support", "operations", "finance", "auditor", "administrator"])
def test_editing_needs_an_engineer(role: str, request: Any, mapping: Mapping, client_of: Any) -> None:
    client = client_of(request.getfixturevalue(role))

    assert client.get(address("mapping_edit", mapping.pk)).status_code == 403
    assert client.post(address("mapping_edit", mapping.pk), {"rules": "", "act": "publish"}).status_code == 403


def test_the_impact_is_shown_before_and_nothing_is_written(
    mapping: Mapping, client_of: Any, engineer: User, make_event: Callable[..., Event]
) -> None:
    for number in range(3):
        make_event(obj=customer_object(f"cus_{number}", preferred_currency="usd"))
    client = client_of(engineer)

    answer, _ = tried(client, mapping, edited(mapping, 'source = "currency"', 'source = "preferred_currency"'))

    page = answer.content.decode()
    assert answer.status_code == 200
    assert "tried on the newest 3 events" in page
    assert "3 would change" in page
    assert "<del>EUR</del> <ins>USD</ins>" in page
    assert Mapping.objects.filter(resource="customer").count() == 1


def test_parked_events_are_tried_however_old_they_are(mapping: Mapping, make_event: Callable[..., Event]) -> None:
    parked = make_event(obj=customer_object("cus_old", name=5), state="parked")
    newer = [make_event(obj=customer_object(f"cus_{number}")) for number in range(3)]

    impact = try_rules(mapping, texts.read(edited(mapping)), newest=2)

    assert [each.event.pk for each in impact.tried] == [parked.pk, newer[2].pk, newer[1].pk]
    assert impact.parked == 1


def test_what_would_fail_and_what_would_map_again_is_counted(
    mapping: Mapping, client_of: Any, engineer: User, make_event: Callable[..., Event]
) -> None:
    whole = customer_object("cus_1")
    without = {key: value for key, value in customer_object("cus_2").items() if key != "name"}
    make_event(obj=whole), make_event(obj=without)
    text = edited(mapping, 'source = "name"', 'source = "shipping_name"')

    worse = tried(client_of(engineer), mapping, text)[0].content.decode()
    parts = edited(mapping).split("\n\n")
    mended = "\n\n".join(
        p.replace('missing = "fail"', 'missing = "null"') if "[fields.name]" in p else p for p in parts
    )
    better = tried(client_of(engineer), mapping, mended)[0].content.decode()

    assert "1 would fail" in worse
    assert "1 would fail as before" in worse
    assert "1 would map again" in better


def test_it_is_published_with_who_and_why(
    connection: Connection, mapping: Mapping, client_of: Any, engineer: User
) -> None:
    client = client_of(engineer)
    text = edited(mapping, 'source = "currency"', 'source = "preferred_currency"').replace("\n", "\r\n")
    _, digest = tried(client, mapping, text)

    answer = client.post(
        address("mapping_edit", mapping.pk),
        {"rules": text, "act": "publish", "tried": digest, "reason": "They moved it"},
    )

    made = Mapping.objects.get(resource="customer", state="published")
    assert answer.status_code == 302
    assert (made.version, made.published_by) == (2, "Engineer")
    assert made.history.first().history_user == engineer
    entry = JournalEntry.objects.get(action="mapping.published")
    assert (entry.reason, entry.connection_id) == ("They moved it", connection.pk)
    assert entry.data["changes"][0][0] == "currency"


def test_rules_that_were_not_tried_are_not_published(mapping: Mapping, client_of: Any, engineer: User) -> None:
    client = client_of(engineer)
    _, digest = tried(client, mapping, edited(mapping, 'source = "currency"', 'source = "preferred_currency"'))
    other = edited(mapping, 'source = "currency"', 'source = "other"')

    answer = client.post(
        address("mapping_edit", mapping.pk), {"rules": other, "act": "publish", "tried": digest, "reason": "Why"}
    )

    assert answer.status_code == 422
    assert "have changed since they were tried" in answer.content.decode()
    assert Mapping.objects.filter(resource="customer").count() == 1


def test_publishing_needs_a_reason(mapping: Mapping, client_of: Any, engineer: User) -> None:
    client = client_of(engineer)
    text = edited(mapping, 'source = "currency"', 'source = "preferred_currency"')
    _, digest = tried(client, mapping, text)

    answer = client.post(
        address("mapping_edit", mapping.pk), {"rules": text, "act": "publish", "tried": digest, "reason": " "}
    )

    assert answer.status_code == 422
    assert Mapping.objects.filter(resource="customer").count() == 1


def test_the_edit_of_a_version_that_was_replaced_leads_to_the_newest(
    connection: Connection, mapping: Mapping, client_of: Any, engineer: User
) -> None:
    rules = texts.read(edited(mapping, 'source = "currency"', 'source = "preferred_currency"'))
    newer = publish(connection, "customer", rules, actor=TESTER, reason="They moved it")

    answer = client_of(engineer).get(address("mapping_edit", mapping.pk))

    assert answer.status_code == 302
    assert answer.url == address("mapping", newer.pk)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kind = "customer"', "kind = ", "This is not TOML"),
        ('kind = "customer"', 'kind = "invoice"', "customer leads to customer"),
        ('kind = "customer"', "", "kind: Field required"),
        ('convert = "text"', 'convert = "shout"', "shout"),
        ('source = "name"', 'source = "name["', "source is not a path"),
        ("[fields.name]", "[fields.nickname]", "customer has no field nickname"),
        ('source = "name"', "source = 7", "fields.name.source"),
        ('source = "name"', "source = 2020-01-01", "as text"),
        ('source = "name"', "source = nan", "as text"),
    ],
)
def test_rules_that_are_wrong_are_explained_and_kept_in_the_box(
    old: str, new: str, said: str, mapping: Mapping, client_of: Any, engineer: User
) -> None:
    answer, _ = tried(client_of(engineer), mapping, edited(mapping, old, new))

    page = answer.content.decode()
    assert answer.status_code == 422
    assert said in page
    assert "Publish v2" not in page


@pytest.mark.parametrize(
    "text", ["", "x" * 70_000, "\x00", "[" * 5000, "a = '''</textarea><script>alert(1)</script>'''"]
)
def test_anything_may_be_typed(text: str, mapping: Mapping, client_of: Any, engineer: User) -> None:
    answer, _ = tried(client_of(engineer), mapping, text)

    assert answer.status_code == 422
    assert "<script>alert" not in answer.content.decode()


def test_the_number_of_queries_does_not_grow_with_events(
    mapping: Mapping, client_of: Any, engineer: User, make_event: Callable[..., Event],
    django_assert_max_num_queries: Any,
) -> None:  # fmt: skip
    for number in range(10):
        make_event(obj=customer_object(f"cus_{number}"))
    client = client_of(engineer)

    with django_assert_max_num_queries(17):
        client.get(address("mapping", mapping.pk))
    with django_assert_max_num_queries(17):
        tried(client, mapping, edited(mapping, 'source = "currency"', 'source = "preferred_currency"'))
