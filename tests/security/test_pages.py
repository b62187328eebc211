"""What strangers wrote reaches a page as text alone, and what is personal only whom it may reach."""

import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.urls import reverse

from console.access import grant
from console.models import Role, User
from integrations.failures import triage
from integrations.journal import notes
from integrations.journal.actor import Actor
from integrations.models import Command, Connection, Drift, Event, JournalEntry, Mapping, Problem, Record, Run, Stream
from integrations.workflow.process import process_batch
from tests.conftest import customer_object
from tests.security.test_single_connections import read
from tests.stripe_objects import invoice_object, payment_object
from tests.test_urls import LINES
from tests.world import World, make_world

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_caches")]
ClientOf = Callable[[User], Client]

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}</textarea></style>"
MAIL, PHONE, STREET = "private.person@secret.example", "+47 5550 1234", "Fjordveien 1234"
BANK, URL = "NO9386011117947", "https://pay.stripe.example/i/acct_1/open_for_everybody"
PERSONAL = {
    "email": MAIL, "phone": PHONE, "address": {"line1": STREET, "city": "Bergen"},
    "shipping": {"name": "X", "phone": PHONE, "address": {"line1": STREET}},
}  # fmt: skip
OF_INVOICE = {
    "customer_email": MAIL, "customer_phone": PHONE, "customer_address": {"line1": STREET}, "hosted_invoice_url": URL,
    "invoice_pdf": URL, "customer_shipping": {"phone": PHONE}, "customer_tax_ids": [{"value": BANK}],
    "account_tax_ids": None,
}  # fmt: skip
SECRETS = (MAIL, PHONE, STREET, BANK, URL, "pi_secret_of_the_client")


def addresses(world: World) -> Iterator[str]:
    """Return the address of every page about everything that the connection holds."""
    space = (world.tenant.slug, "test")
    of_connection = {"connection_id": world.objects["connection"].pk}
    ids: dict[str, Any] = {
        "record": Record.objects.filter(**of_connection),
        "event": Event.objects.filter(**of_connection),
        "command": Command.objects.filter(**of_connection),
        "problem": Problem.objects.filter(**of_connection),
        "audit": JournalEntry.objects.filter(tenant_id=world.tenant.pk),
        "mapping": Mapping.objects.filter(**of_connection),
        "stream": Stream.objects.filter(**of_connection),
        "run": Run.objects.filter(**of_connection),
    }
    for name, line in LINES.items():
        if line.get.startswith(("404", "405")):
            continue
        queries = "&".join(f"{field}={world.value(what)}" for field, what in line.data.items())
        first = name.split("_")[0]
        if set(line.at) == {"pk"} and first in ids and name != "drift_check":
            pks = ids[first].values_list("pk", flat=True)
        elif line.at:
            yield reverse(name, args=[*space, *(world.value(what) for what in line.at.values())])
            continue
        else:
            yield f"{reverse(name, args=space)}?{queries}"
            continue
        yield from (reverse(name, args=[*space, pk]) for pk in pks)
    for entry in JournalEntry.objects.filter(record_id__isnull=False, **of_connection):
        yield reverse("record_entry", args=[*space, entry.record_id, entry.pk])
    for page in ("records", "events", "commands", "problems", "audit"):
        yield f"{reverse(page, args=space)}?view=all&state=resolved"


def pages(world: World, client: Client) -> Iterator[tuple[str, str, Any]]:
    """Return (address, body, answer) of each page that this person gets, as a page and as a fragment."""
    for address in addresses(world):
        for headers in ({}, {"HX-Request": "true"}):
            answer = client.get(address, headers=headers)
            assert answer.status_code in (200, 204, 302, 403), f"{address} answers {answer.status_code}"
            if answer.status_code == 200:
                yield address, answer.content.decode(), answer


class Marks(HTMLParser):
    """Finds whatever of a page could run."""

    found: list[str]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "script" and "src" not in values and values.get("type") != "application/json":
            self.found.append("an inline script")
        if tag in ("style", "iframe", "object", "embed", "base"):
            self.found.append(f"<{tag}>")
        for name, value in values.items():
            if name.startswith(("on", "hx-on", "data-hx-on", "style")):
                self.found.append(f"{name}={value}")
            if name in ("href", "src", "action", "formaction", "hx-get", "hx-post") and not re.match(
                r"[/?#]|https?:", value
            ):
                self.found.append(f"{name}={value}") if value else None
            if name.startswith(("hx-vals", "hx-headers", "hx-vars")) and re.match(r"\s*(js|javascript):", value):
                self.found.append(f"{name}={value}")


def shown_of(secrets: tuple[str, ...], body: str) -> list[str]:
    """Return where a text shows any of these, with what stands around it."""
    return [
        body[max(0, at.start() - 120) : at.end() + 40] for each in secrets for at in re.finditer(re.escape(each), body)
    ]


def what_runs(body: str) -> list[str]:
    parser = Marks()
    parser.found = []
    parser.feed(body)
    return parser.found


@pytest.fixture
def evil(connection: Connection, make_event: Any) -> World:
    """A tenant in which everything that others may write is an attack."""
    Connection.objects.filter(pk=connection.pk).update(name="Another")
    world = make_world(connection.tenant)
    on = world.objects["connection"]
    with database.cursor() as cursor:
        cursor.execute("UPDATE integrations_connection SET name = %s WHERE id = %s", [EVIL, on.pk])
        cursor.execute("UPDATE integrations_tenant SET name = %s WHERE id = %s", [EVIL, connection.tenant_id])
    on.refresh_from_db()
    hostile = customer_object("cus_" + EVIL, name=EVIL, email=EVIL, **{EVIL: EVIL, "nested": {EVIL: [EVIL, {EVIL: 1}]}})
    make_event("customer.created", hostile, on=on, event_id="evt_" + EVIL)
    make_event("customer.updated", hostile | {"name": {EVIL: EVIL}}, on=on)
    make_event("customer.updated", hostile | {"currency": EVIL}, on=on)
    make_event("invoice.created", invoice_object("in_1", customer="cus_" + EVIL, status=EVIL, number=EVIL), on=on)
    make_event(EVIL, hostile, on=on)
    make_event(body=f"{{{EVIL}".encode(), on=on)
    make_event(body=b"\xff\xfe<script>alert(1)</script>", on=on)
    while process_batch():
        pass
    Event.objects.filter(connection=on, provider_event_id="evt_world").update(event_type=EVIL[:120])
    Drift.objects.filter(connection=on).update(ours=EVIL, theirs=EVIL, external_id=EVIL, reason=EVIL)
    Problem.objects.filter(connection=on).update(title=EVIL, code=EVIL)
    actor = Actor(world.objects["person"].pk, EVIL, EVIL[:60], "192.0.2.1", "req_1")
    notes.note(world.objects["record"], text=EVIL, actor=actor)
    notes.reveal(world.objects["event"], actor=actor, reason=EVIL)
    triage.assign(world.objects["problem"], user=world.objects["person"], actor=actor)
    User.objects.filter(pk=world.objects["person"].pk).update(first_name=EVIL[:150], last_name=EVIL[:150])
    return world


@pytest.fixture
def everything(evil: World, client_of: ClientOf) -> Client:
    user = User.objects.create_user(username=EVIL[:100], email="all@body.example", first_name=EVIL[:150])
    for role in Role.values:
        grant(user, role, evil.tenant, by=EVIL, reason=EVIL)
    return client_of(user)


def test_nothing_that_others_wrote_runs(evil: World, everything: Client) -> None:
    seen = 0
    for address, body, _ in pages(evil, everything):
        assert what_runs(body) == [], address
        assert "<script>alert" not in body, address
        assert "<img src=x" not in body, address
        assert "<title>49" not in body, address
        seen += "&lt;script&gt;" in body
    assert seen > 100


def test_what_somebody_asks_for_comes_back_as_text(evil: World, everything: Client) -> None:
    for name in (
        "records",
        "events",
        "problems",
        "drift",
        "audit",
        "drift_runs",
        "audit_exports",
        "drift_report",
        "commands",
    ):
        line = reverse(name, args=["northwind", "test"])
        fields = ("q", "kind", "state", "amount", "customer", "from", "to", "record", "person", "run", "sort", "view")
        for field in (*fields, "after", "before", "place", "seen", "check", "mapping", "against", "version"):
            body = everything.get(line, {field: EVIL}).content.decode()
            assert what_runs(body) == [], f"{name} {field}"


def test_what_somebody_writes_comes_back_as_text(evil: World, everything: Client) -> None:
    """Every form is sent with an attack in every field; what is refused is shown again."""
    for name, line in LINES.items():
        if line.post.startswith("405"):
            continue
        address = reverse(name, args=["northwind", "test", *(evil.value(what) for what in line.at.values())])
        fields = dict.fromkeys(
            ("reason", "text", "rules", "secret", "overlap_hours", "until", "api_base", "account", "page_size",
             "timeout", "email", "name", "role", "where", "format", "person", "category", "token", "connection_name"),
            EVIL,
        )  # fmt: skip
        answer = everything.post(address, fields | {field: evil.value(what) for field, what in line.data.items()})
        if answer.status_code in (200, 422) and not answer.streaming:
            assert what_runs(answer.content.decode()) == [], name
        assert answer.status_code < 500, name
        if answer.streaming:
            read(answer)


def test_every_page_forbids_what_is_not_ours(evil: World, everything: Client) -> None:
    for address, _, answer in pages(evil, everything):
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "script-src 'self'" in policy
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert "no-store" in answer.headers.get("Cache-Control", ""), address


@pytest.fixture
def personal(connection: Connection, make_event: Any) -> World:
    """A tenant whose objects hold personal data, in good evidence and in evidence that fails in many ways."""
    Connection.objects.filter(pk=connection.pk).update(name="Another")
    world = make_world(connection.tenant)
    on = world.objects["connection"]
    customer = customer_object("cus_0001", **PERSONAL)
    make_event("customer.created", customer_object("cus_0002", **PERSONAL), on=on)
    make_event("customer.updated", customer_object("cus_0002", **PERSONAL | {"email": f"other.{MAIL}"}), on=on)
    make_event("customer.updated", customer | {"email": [MAIL]}, on=on)
    make_event("customer.updated", customer | {"name": {"email": MAIL}}, on=on)
    make_event("customer.updated", customer | {"currency": {"email": MAIL}}, on=on)
    make_event("invoice.created", invoice_object("in_1", customer="cus_0002", **OF_INVOICE), on=on)
    make_event("invoice.created", invoice_object("in_2", customer={"email": MAIL, "phone": PHONE}, **OF_INVOICE), on=on)
    make_event(
        "invoice.created", invoice_object("in_3", customer="cus_0002", status={"email": MAIL}, **OF_INVOICE), on=on
    )
    make_event(
        "payment_intent.created",
        payment_object("pi_1", customer="cus_0002", receipt_email=MAIL, client_secret="pi_secret_of_the_client"),
        on=on,
    )
    make_event("customer.created", {"object": {"email": MAIL, "phone": PHONE}, "id": "cus_9"}, on=on)
    make_event(body=json.dumps({"email": MAIL, "phone": PHONE}).encode()[:-1], on=on)
    while process_batch():
        pass
    Drift.objects.filter(connection=on).update(field="email", ours=MAIL, theirs=f"new.{MAIL}")
    return world


@pytest.mark.parametrize("role", [Role.SUPPORT, Role.OPERATIONS, Role.FINANCE, Role.AUDITOR])
def test_personal_data_reaches_no_page_of_who_may_not_see_it(
    role: str, personal: World, request: Any, client_of: ClientOf
) -> None:
    client = client_of(request.getfixturevalue(str(role)))

    for address, body, _ in pages(personal, client):
        assert shown_of(SECRETS, body) == [], address


def test_personal_data_reaches_no_journal_problem_or_failure(personal: World) -> None:
    with database.cursor() as cursor:
        for table in ("journal", "problem", "failure", "attempt", "run"):
            cursor.execute(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM integrations_{table} t")
            (text,) = cursor.fetchone()
            assert shown_of(SECRETS, text) == [], table


def test_who_may_reveal_sees_a_payload_only_by_revealing_it(
    personal: World, engineer: User, client_of: ClientOf
) -> None:
    client = client_of(engineer)

    for address, body, _ in pages(personal, client):
        if "/mappings/" in address or "/events/" in address:
            assert shown_of((PHONE, STREET, URL, BANK), body) == [], address


def test_what_is_revealed_is_journaled_kept_nowhere_and_holds_no_secret(
    personal: World, engineer: User, client_of: ClientOf
) -> None:
    event = Event.objects.get(external_id="pi_1")
    address = reverse("event_reveal", args=["northwind", "test", event.pk])

    answer = client_of(engineer).post(address, {"reason": "The customer asked"})
    body = answer.content.decode()

    assert MAIL in body
    assert "pi_secret_of_the_client" not in body
    assert "no-store" in answer.headers["Cache-Control"]
    assert JournalEntry.objects.filter(action="payload.revealed", actor_id=engineer.pk, subject_id=event.pk).exists()


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_personal_data_reaches_no_export(kind: str, personal: World, finance: User, client_of: ClientOf) -> None:
    client = client_of(finance)
    address = reverse("audit_exports", args=["northwind", "test"])
    answers = [
        client.post(f"{address}?view=all", {"format": kind, "reason": "The month"}),
        client.post(reverse("drift_report", args=["northwind", "test"]), {"reason": "The month"}),
    ]

    for answer in answers:
        text = read(answer)
        assert shown_of(SECRETS, text) == []


def test_no_page_shows_a_secret_of_a_connection(evil: World, everything: Client) -> None:
    for address, body, _ in pages(evil, everything):
        assert "whsec_of" not in body, address
        assert "sk_test_northwind" not in body, address
