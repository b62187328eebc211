"""Mappings are versioned data: one version is in force, what it was stays known, and who changed it and why."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError
from django.db import connection as database

from integrations.configuration.connect import connect
from integrations.configuration.mappings import BadRules, in_force, publish
from integrations.configuration.settings import BadSettings
from integrations.journal.actor import Actor
from integrations.models import Connection, JournalEntry, Mapping, Stream, Tenant
from integrations.providers import get_adapter
from integrations.workflow.errors import Refusal

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_caches")]

MARTA = Actor(None, "Marta Kowalczyk", "engineer", "192.0.2.88", "req_1")
Change = Callable[..., dict[str, Any]]


@pytest.fixture
def rules(connection: Connection) -> Change:
    """Return the customer's rules as they are, with one value set."""

    def make(place: str = "fields.name.source", value: Any = "description") -> dict[str, Any]:
        first = connection.mappings.get(resource="customer", version=1)
        found: dict[str, Any] = json.loads(json.dumps(first.rules["rules"]))
        *path, last = place.split(".")
        table = found
        for name in path:
            table = table[name]
        table[last] = value
        return found

    return make


# -- connecting


def test_a_new_connection_begins_with_the_adapters_own_streams_and_rules(connection: Connection) -> None:
    adapter = get_adapter(connection.provider)

    assert set(Stream.objects.values_list("resource", flat=True)) == {spec.resource for spec in adapter.streams}
    assert set(Mapping.objects.values_list("resource", "version", "state")) == {
        (resource, 1, "published") for resource in adapter.statuses.keys() | {"customer"}
    }
    assert JournalEntry.objects.get(action="connection.made").connection_id == connection.pk
    assert connection.history.get().history_change_reason == "Connected"


def test_settings_that_do_not_fit_connect_nothing(tenant: Tenant) -> None:
    with pytest.raises(BadSettings):
        connect(tenant, provider="stripe", name="Bad", environment="test", values={"page_size": 1000}, actor=MARTA)

    assert not Connection.objects.exists()
    assert not Stream.objects.exists()


# -- publishing


def test_a_new_version_takes_the_place_of_the_old_one(connection: Connection, rules: Change) -> None:
    second = publish(connection, "customer", rules(), actor=MARTA, reason="They moved it")

    first = Mapping.objects.get(resource="customer", version=1)
    assert (first.state, second.state, second.version) == ("retired", "published", 2)
    assert in_force(connection.pk).ids["customer"] == second.pk
    assert in_force(connection.pk).versions == {"customer": 2, "invoice": 1, "payment_intent": 1, "refund": 1}


def test_an_older_version_can_still_be_mapped_by(connection: Connection, rules: Change) -> None:
    publish(connection, "customer", rules(), actor=MARTA, reason="They moved it")
    first = Mapping.objects.get(resource="customer", version=1)

    as_it_was = in_force(connection.pk, instead=first)

    assert as_it_was.versions["customer"] == 1
    assert as_it_was.document.resources["customer"].fields["name"].source == "name"
    assert in_force(connection.pk).document.resources["customer"].fields["name"].source == "description"


def test_history_and_journal_say_who_when_and_why(connection: Connection, rules: Change) -> None:
    second = publish(connection, "customer", rules(), actor=MARTA, reason="They moved it")

    entry = JournalEntry.objects.get(action="mapping.published")
    assert (entry.actor, entry.reason, entry.subject_id, entry.outcome) == (
        "Marta Kowalczyk", "They moved it", second.pk, "v2",
    )  # fmt: skip
    assert entry.data["changes"]
    assert second.history.get().history_change_reason == "They moved it"
    first = Mapping.objects.get(resource="customer", version=1)
    assert first.history.first().history_change_reason == "Replaced by v2: They moved it"


def test_the_numbers_of_a_published_version_never_change(connection: Connection, rules: Change) -> None:
    with pytest.raises(IntegrityError):
        Mapping.objects.create(connection=connection, resource="customer", kind="customer", version=1, rules={})


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("fields.name.convert", "guess", "is not known"),
        ("fields.name.missing", "ignore", "name"),
        ("fields.nickname", {"source": "nick", "convert": "text"}, "nickname"),
        ("fields.name.source", "a..b", "path"),
        ("kind", "invoice", "kind"),
    ],
)
def test_rules_that_do_not_hold_are_refused_with_each_fault_named(
    connection: Connection, rules: Change, place: str, value: Any, words: str
) -> None:
    with pytest.raises(BadRules, match=words):
        publish(connection, "customer", rules(place, value), actor=MARTA, reason="Try")

    assert in_force(connection.pk).versions["customer"] == 1
    assert not JournalEntry.objects.filter(action="mapping.published").exists()


def test_rules_without_a_field_are_refused(connection: Connection, rules: Change) -> None:
    lacking = rules()
    del lacking["fields"]["email"]

    with pytest.raises(BadRules, match="email"):
        publish(connection, "customer", lacking, actor=MARTA, reason="Try")


def test_without_a_reason_or_a_change_nothing_is_published(connection: Connection, rules: Change) -> None:
    with pytest.raises(Refusal, match="Give a reason"):
        publish(connection, "customer", rules(), actor=MARTA, reason=" ")
    with pytest.raises(Refusal, match="Nothing was published"):
        publish(connection, "customer", rules(value="name"), actor=MARTA, reason="Try")


def test_what_was_written_over_another_version_is_refused(connection: Connection, rules: Change) -> None:
    publish(connection, "customer", rules(), actor=MARTA, reason="They moved it")

    with pytest.raises(Refusal, match="Marta Kowalczyk published v2 meanwhile"):
        publish(connection, "customer", rules(value="nick"), actor=MARTA, reason="Mine", over=1)


def test_one_connections_rules_are_not_anothers(
    connection: Connection, other_connection: Connection, rules: Change
) -> None:
    publish(connection, "customer", rules(), actor=MARTA, reason="They moved it")

    assert in_force(other_connection.pk).versions["customer"] == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_people_who_publish_at_once_one_is_told_so(connection: Connection, rules: Change) -> None:
    barrier, said = threading.Barrier(2), list[str]()
    first, second = rules(value="description"), rules(value="nick")

    def person(written: dict[str, Any]) -> None:
        try:
            barrier.wait(10)
            publish(connection, "customer", written, actor=MARTA, reason="Mine", over=1)
            said.append("published")
        except Refusal as refusal:
            said.append(str(refusal))
        finally:
            database.close()

    threads = [threading.Thread(target=person, args=[written]) for written in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert sorted(text.partition(" v2 ")[0] for text in said) == ["Marta Kowalczyk published", "published"]
    assert Mapping.objects.filter(resource="customer").count() == 2


def test_a_document_is_read_once(connection: Connection, django_assert_num_queries: Any) -> None:
    first = in_force(connection.pk)

    with django_assert_num_queries(1):
        again = in_force(connection.pk)

    assert again is first
