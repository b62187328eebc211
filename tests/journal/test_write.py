import pytest

from integrations.journal.write import about, write_act
from integrations.models import JournalEntry, Lane, Stream, Tenant
from tests.journal.conftest import MARTA
from tests.world import make_world

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("name", "noun", "on_record"),
    [
        ("connection", "connection", False),
        ("run", "run", False),
        ("problem", "problem", False),
        ("record", "record", True),
        ("event", "event", True),
        ("command", "command", True),
        ("drift", "drift", True),
    ],
)
def test_an_entry_stands_where_its_row_does(tenant: Tenant, name: str, noun: str, on_record: bool) -> None:
    made = make_world(tenant).objects

    entry = about(made[name], Lane.EVENTS, f"{noun}.told", "Told")

    assert (entry.tenant_id, entry.environment, entry.connection_id) == (tenant.pk, "test", made["connection"].pk)
    assert entry.record_id == (made["record"].pk if on_record else None)
    assert (entry.subject_type, entry.subject_id) == (noun, made[name].pk)


def test_what_hangs_on_no_connection_stands_at_its_tenant(tenant: Tenant) -> None:
    subscription = make_world(tenant).objects["subscription"]

    entry = about(subscription, Lane.PEOPLE, "subscription.told", "Told")

    assert (entry.tenant_id, entry.connection_id, entry.record_id) == (tenant.pk, None, None)


def test_an_act_on_what_only_hangs_on_a_connection_stands_there(tenant: Tenant) -> None:
    stream: Stream = make_world(tenant).objects["stream"]

    write_act(stream, "stream.told", "Told", at=stream.connection, actor=MARTA, reason="Asked for", data={"n": 1})

    entry = JournalEntry.objects.get(action="stream.told")
    assert (entry.tenant_id, entry.connection_id) == (tenant.pk, stream.connection_id)
    assert (entry.subject_type, entry.subject_id) == ("stream", stream.pk)
    assert (entry.lane, entry.actor, entry.reason, entry.data) == (Lane.PEOPLE, MARTA.name, "Asked for", {"n": 1})
