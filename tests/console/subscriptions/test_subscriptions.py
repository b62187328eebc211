"""People manage who is told: with the role for it, a reason, and secrets that show once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from standardwebhooks import Webhook

from console.access import grant
from console.models import Role, User
from integrations.boundary.vault import unseal
from integrations.configuration import subscriptions
from integrations.models import Connection, Delivery, JournalEntry, Record, SigningSecret, Subscription
from tests.conftest import TESTER
from tests.outbox.conftest import Subscribed, let_time_pass, send
from tests.receiver import Answer, Receiver

pytestmark = pytest.mark.django_db

At = Callable[..., str]
Look = Callable[[User, str], str]
Change = Callable[..., Record]
Subscribe = Callable[..., Subscribed]


def given(address: str, **more: Any) -> dict[str, Any]:
    return {"name": "Warehouse", "url": address, "topics": ["invoice.*"], "reason": "They ship on payment"} | more


def test_an_engineer_adds_one_and_sees_its_secret_once(
    receiver: Receiver, at: At, client_of: Any, engineer: User, change: Change
) -> None:
    client = client_of(engineer)

    shown = client.post(at("subscription_add"), given(receiver.url), follow=True)

    made = Subscription.objects.get()
    secret = unseal(SigningSecret.objects.get().secret).decode()
    assert (made.name, made.topics, made.created_by) == ("Warehouse", ["invoice.*"], "Engineer")
    assert secret in shown.content.decode()
    assert secret not in client.get(at("subscription", made.pk)).content.decode()
    assert JournalEntry.objects.get(action="subscription.made").reason == "They ship on payment"
    assert not JournalEntry.objects.filter(summary__contains=secret).exists()
    change()
    send()
    Webhook(secret).verify(receiver.got[0].body, receiver.got[0].headers)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"url": "ftp://example.com"}, "Write the whole address"),
        ({"url": "http://me:pw@127.0.0.1/"}, "No user or password"),
        ({"url": "http://169.254.169.254/latest"}, "tells a machine about itself"),
        ({"topics": []}, "Choose at least one topic"),
        ({"topics": ["invoice.eaten"]}, "Select a valid choice"),
        ({"name": " "}, "This field is required"),
        ({"reason": ""}, "Give a reason"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_made(
    wrong: dict[str, Any], words: str, receiver: Receiver, at: At, client_of: Any, engineer: User
) -> None:
    answer = client_of(engineer).post(at("subscription_add"), given(receiver.url, **wrong))

    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Subscription.objects.exists()


def test_two_of_one_name_are_refused(
    receiver: Receiver, at: At, client_of: Any, engineer: User, subscribe: Subscribe
) -> None:
    subscribe("Warehouse")

    answer = client_of(engineer).post(at("subscription_add"), given(receiver.url))

    assert "There is a subscription called Warehouse already" in answer.content.decode()


def test_a_change_is_kept_with_who_and_why(
    receiver: Receiver, at: At, client_of: Any, engineer: User, subscribe: Subscribe
) -> None:
    made = subscribe().row

    client_of(engineer).post(at("subscription_edit", made.pk), given(receiver.url + "/2", reason="They moved"))

    made.refresh_from_db()
    newest = made.history.first()
    assert (made.url, made.topics) == (receiver.url + "/2", ["invoice.*"])
    assert (newest.history_change_reason, newest.history_user_id) == ("They moved", engineer.pk)
    entry = JournalEntry.objects.get(action="subscription.changed")
    assert [change[0] for change in entry.data["changes"]] == ["address", "topics"]


def test_the_history_shows_what_a_change_took_away_and_offers_it_back(
    receiver: Receiver, at: At, client_of: Any, engineer: User, support: User, subscribe: Subscribe
) -> None:
    made, client = subscribe().row, client_of(engineer)
    before, address = made.url, at("subscription", made.pk)
    client.post(at("subscription_edit", made.pk), given(before + "/2", reason="They moved"))
    change = JournalEntry.objects.get(action="subscription.changed")

    page, seen = client.get(address).content.decode(), client_of(support).get(address).content.decode()
    proposed = client.get(f"{at('subscription_edit', made.pk)}?undo={change.pk}")

    assert f"<del>{before}</del> <ins>{before}/2</ins>" in page
    assert "<del>*</del> <ins>invoice.*</ins>" in page
    assert "They moved" in page
    assert "Restore what was before…" in page
    assert "<ins>invoice.*</ins>" in seen
    assert "Restore what was before…" not in seen
    assert (proposed.context["form"].initial["url"], proposed.context["form"].initial["topics"]) == (before, ["*"])


@pytest.mark.parametrize("which", ["made", "other", "x"])
def test_only_a_change_of_its_own_can_be_taken_back(
    which: str, at: At, client_of: Any, engineer: User, subscribe: Subscribe
) -> None:
    first, second = subscribe("Warehouse").row, subscribe("Billing").row
    subscriptions.change(second, name="Bills", url=second.url, topics=second.topics, actor=TESTER, reason="Shorter")
    entries = {
        "made": JournalEntry.objects.get(action="subscription.made", subject_id=first.pk).pk,
        "other": JournalEntry.objects.get(action="subscription.changed").pk,
        "x": "x",
    }

    assert client_of(engineer).get(f"{at('subscription_edit', first.pk)}?undo={entries[which]}").status_code == 404


def test_rotation_shows_the_new_secret_once_and_says_until_when_both_sign(
    at: At, client_of: Any, operations: User, subscribe: Subscribe
) -> None:
    made, client = subscribe(), client_of(operations)

    shown = client.post(
        at("subscription_rotate", made.row.pk), {"overlap_hours": "2", "reason": "Yearly"}, follow=True
    ).content.decode()

    new = unseal(SigningSecret.objects.get(state="active").secret).decode()
    old = SigningSecret.objects.get(state="retiring")
    assert new in shown
    assert made.secret not in shown
    assert timedelta(hours=1.9) < old.retire_at - timezone.now() <= timedelta(hours=2)  # type: ignore[operator]
    assert new not in client.get(at("subscription", made.row.pk)).content.decode()


def test_another_person_never_sees_a_new_secret(
    receiver: Receiver, at: At, client_of: Any, engineer: User, operations: User
) -> None:
    client_of(engineer).post(at("subscription_add"), given(receiver.url))
    made = Subscription.objects.get()

    assert "whsec_" not in client_of(operations).get(at("subscription", made.pk)).content.decode()


def test_who_may_see_one_connection_sees_no_subscription(
    connection: Connection, at: At, client_of: Any, stranger: User, subscribe: Subscribe, change: Change
) -> None:
    """It is told of every connection; what was told of theirs they see."""
    made = subscribe().row
    change()
    grant(stranger, Role.SUPPORT, connection.tenant, by="the tests", connection=connection)
    client = client_of(stranger)

    assert client.get(at("subscription", made.pk)).status_code == 404
    assert made.name not in client.get(at("subscriptions")).content.decode()
    assert client.get(at("subscription_delivery", Delivery.objects.get().pk)).status_code == 200


def test_the_page_says_that_the_receiver_is_gone(
    receiver: Receiver, at: At, look: Look, support: User, subscribe: Subscribe, change: Change
) -> None:
    made = subscribe().row
    change()
    receiver.says(410)
    send()

    shown = look(support, at("subscription", made.pk))

    assert "It answered 410 Gone" in shown
    assert "1 delivery waits" in shown


def test_pausing_says_how_many_it_holds(
    at: At, client_of: Any, operations: User, subscribe: Subscribe, change: Change
) -> None:
    made, client = subscribe().row, client_of(operations)
    change()

    assert "hold 1" in client.get(at("subscription_pause", made.pk)).content.decode()
    client.post(at("subscription_pause", made.pk), {"reason": "They move"})
    assert Delivery.objects.get().state == "held"
    assert "send 1" in client.get(at("subscription_resume", made.pk)).content.decode()
    client.post(at("subscription_resume", made.pk))
    assert Delivery.objects.get().state == "ready"


def test_replaying_asks_once_with_the_count(
    receiver: Receiver, at: At, client_of: Any, operations: User, subscribe: Subscribe, change: Change, settings: Any
) -> None:
    settings.OUTBOX_SCHEDULE = [0]
    made, client = subscribe().row, client_of(operations)
    change()
    change()
    receiver.says(500)
    send()
    receiver.says(204)

    assert "Replay up to 2 deliveries" in client.get(at("subscription_replay", made.pk)).content.decode()
    client.post(at("subscription_replay", made.pk), {"reason": "They are back", "since": ""})
    send()

    assert set(Delivery.objects.values_list("state", flat=True)) == {"done"}


def test_a_delivery_shows_each_try_and_never_a_signature(
    receiver: Receiver, at: At, look: Look, support: User, subscribe: Subscribe, change: Change
) -> None:
    subscribe()
    change()
    receiver.says(503)
    send()
    receiver.says(200)
    let_time_pass()
    send()
    delivery = Delivery.objects.get()

    shown = look(support, at("subscription_delivery", delivery.pk))

    assert "Try 1" in shown
    assert "503 Service Unavailable" in shown
    assert "Try 2" in shown
    assert delivery.message.uid in shown
    assert "webhook-signature: <span" in shown
    assert receiver.got[0].headers["webhook-signature"] not in shown


def test_what_a_receiver_echoes_of_people_is_not_shown(
    receiver: Receiver, at: At, look: Look, support: User, subscribe: Subscribe, change: Change
) -> None:
    subscribe()
    change()
    receiver.answer = lambda got: Answer(400, body=b"ap@halvorsen.example is unknown")
    send()

    assert "halvorsen" not in look(support, at("subscription_delivery", Delivery.objects.get().pk))


def test_a_delivery_that_waits_for_an_older_one_says_so(
    receiver: Receiver, at: At, look: Look, support: User, subscribe: Subscribe, change: Change
) -> None:
    subscribe()
    change(change(), state="paid")
    receiver.says(503)
    send()
    older, younger = Delivery.objects.order_by("id")

    assert "An older message of this record goes first" in look(support, at("subscription_delivery", younger.pk))
    assert "1 younger message" in look(support, at("subscription_delivery", older.pk))
    assert "behind an older one" in look(support, at("subscription_deliveries"))


def test_a_delivery_is_dismissed_with_a_reason(
    receiver: Receiver, at: At, client_of: Any, operations: User, subscribe: Subscribe, change: Change
) -> None:
    subscribe()
    change()
    receiver.says(400)
    send()
    delivery, client = Delivery.objects.get(), client_of(operations)

    assert client.post(at("subscription_delivery_dismiss", delivery.pk)).status_code == 422
    client.post(at("subscription_delivery_dismiss", delivery.pk), {"reason": "They know"})

    delivery.refresh_from_db()
    assert delivery.state == "dismissed"
    assert JournalEntry.objects.get(action="delivery.dismissed").reason == "They know"


@pytest.mark.parametrize(
    ("query", "shown"),
    [("", 3), ("state=done", 2), ("state=waiting", 1), ("topic=invoice.paid", 1), ("topic=refund.failed", 0)],
)
def test_deliveries_are_filtered(
    query: str,
    shown: int,
    receiver: Receiver,
    at: At,
    client_of: Any,
    support: User,
    subscribe: Subscribe,
    change: Change,
) -> None:
    subscribe()
    change(change(), state="paid")
    send()
    receiver.says(503)
    change()
    send()

    answer = client_of(support).get(f"{at('subscription_deliveries')}?{query}")
    assert len(answer.context["cut"].rows) == shown


def test_deliveries_are_paged_by_keys(
    at: At, client_of: Any, support: User, subscribe: Subscribe, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.subscriptions.listing.SIZE", 2)
    subscribe()
    for _ in range(5):
        change()
    client, url = client_of(support), at("subscription_deliveries")

    cut = client.get(url).context["cut"]
    seen = [row.pk for row in cut.rows]
    while cut.older:
        cut = client.get(url, {"after": cut.older}).context["cut"]
        seen += [row.pk for row in cut.rows]

    assert seen == sorted(Delivery.objects.values_list("pk", flat=True), reverse=True)


@pytest.mark.parametrize(("status", "words"), [(204, "1 told"), (503, "Warehouse waits"), (None, "Nobody is told")])
def test_the_record_says_who_was_told(
    status: int | None, words: str, receiver: Receiver, at: At, look: Look, support: User,
    subscribe: Subscribe, change: Change,
) -> None:  # fmt: skip
    if status:
        subscribe()
        receiver.says(status)
    record = change()
    send()

    assert words in look(support, at("record", record.pk))


def test_the_problem_leads_to_its_deliveries(
    receiver: Receiver, at: At, look: Look, operations: User, subscribe: Subscribe, change: Change
) -> None:
    subscribe()
    change()
    receiver.says(503)
    send()
    delivery = Delivery.objects.get()

    shown = look(operations, at("problem", delivery.failures.get().problem_id))

    assert "Warehouse answered 503" in shown
    assert at("subscription_delivery", delivery.pk) in shown
    assert "1 delivery" in shown


def test_pages_of_a_subscription_take_few_queries(
    at: At, client_of: Any, support: User, subscribe: Subscribe, change: Change, django_assert_max_num_queries: Any
) -> None:
    made, client = subscribe().row, client_of(support)
    for _ in range(5):
        change()
    client.get(at("subscriptions"))

    for url in (at("subscriptions"), at("subscription", made.pk), at("subscription_deliveries")):
        with django_assert_max_num_queries(15):
            client.get(url)
    with django_assert_max_num_queries(15):
        client.get(at("subscription_delivery", Delivery.objects.latest("id").pk))


def test_what_was_ended_is_listed_apart(
    at: At, look: Look, client_of: Any, engineer: User, subscribe: Subscribe
) -> None:
    made = subscribe().row
    client_of(engineer).post(at("subscription_end", made.pk), {"reason": "They left"})

    assert "Warehouse" not in look(engineer, at("subscriptions"))
    assert "Warehouse" in look(engineer, at("subscriptions") + "?ended=1")
    assert str(TESTER.name) in look(engineer, at("subscription", made.pk))


def test_the_timeline_tells_what_the_receiver_answered(
    receiver: Receiver, at: At, look: Look, support: User, subscribe: Subscribe, change: Change
) -> None:
    subscribe()
    record = change()
    receiver.says(202)
    send()
    line = JournalEntry.objects.get(action="delivery.delivered")

    shown = look(support, at("record_entry", record.pk, line.pk))

    assert "202 in " in shown
    assert at("subscription_delivery", Delivery.objects.get().pk) in shown


def test_the_audit_leads_to_subscriptions_and_deliveries(
    at: At, look: Look, client_of: Any, operations: User, subscribe: Subscribe, change: Change
) -> None:
    made = subscribe().row
    change()
    Delivery.objects.update(state="parked")
    delivery = Delivery.objects.get()
    client_of(operations).post(at("subscription_delivery_replay", delivery.pk), {"reason": "They are back"})

    client_of(operations).post(at("subscription_pause", made.pk), {"reason": "They move"})

    assert at("subscription", made.pk) in look(operations, at("audit"))
    entry = JournalEntry.objects.get(action="delivery.replayed")
    assert (entry.actor, entry.record_id, entry.reason) == ("Operations", delivery.record_id, "They are back")
