"""The invariants of the design, each with the tests that would fail without it.

Their table is checked: a test that is renamed or removed, and an invariant without one, fail here. Below stand the
invariants of which no single module could have the test.
"""

import ast
import inspect
import io
import logging
import re
import tokenize
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.apps import apps
from django.db import connection as database
from django.utils import timezone

from console.models import User
from integrations.boundary import mapping
from integrations.canonical import KINDS
from integrations.models import Connection, Drift, Event, Failure, JournalEntry, Outcome, Record, Run, Stream, Tenant
from integrations.models import Transition as Change
from integrations.providers import PROVIDERS, get_adapter
from integrations.reconciliation.check import check_record
from integrations.reconciliation.resolve import accept
from integrations.workflow import process, runs, sync, tasks
from tests.conftest import TESTER, WEBHOOK_SECRET, customer_object, webhook_body
from tests.fake_provider import Provider, work_off
from tests.invariants import INVARIANTS
from tests.stripe_objects import invoice_object, payment_object, refund_object
from tests.world import make_world

ROOT = Path(__file__).parent.parent
MakeEvent = Callable[..., Event]


# -- the table


@cache
def named_in(path: str) -> frozenset[str]:
    """Return the names of a file's tests, without importing it."""
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_there_are_fifteen_invariants_in_order() -> None:
    assert [int(name.split()[0]) for name in INVARIANTS] == list(range(1, 16))


@pytest.mark.parametrize("invariant", INVARIANTS)
def test_each_invariant_has_tests_that_exist(invariant: str) -> None:
    assert INVARIANTS[invariant]
    for test in INVARIANTS[invariant]:
        path, name = test.split("::")
        assert name in named_in(path), test


# -- 4: only a command may have an effect, and only `workflow.sending` sends commands


def test_only_commands_have_an_effect() -> None:
    sent, composing = set(), set()
    for path in (ROOT / "integrations").rglob("*.py"):
        if "sandbox" not in path.parts:
            text = path.read_text()
            sent |= {(method, path.name) for method in re.findall(r"\bRequest\(\s*\"(\w+)\"", text)}
            composing |= {path.name for _ in re.findall(r"\.compose\(", text)}

    # A refresh of tokens; and `boundary.posting`, which tells subscribers of ours.
    assert {file for method, file in sent if method != "GET"} == {"tokens.py", "posting.py"}
    assert composing == {"sending.py"}


# -- 5


@pytest.mark.django_db(transaction=True)
def test_belief_is_the_sum_of_its_transitions(make_event: MakeEvent, provider: Provider) -> None:
    at = 1_700_000_100
    make_event(created=at)
    make_event("customer.updated", customer_object(name="Renamed", email=None), created=at + 1)
    make_event("invoice.created", invoice_object(status="draft"), created=at + 2)
    make_event("invoice.paid", invoice_object(status="paid", amount_paid=25000), created=at + 3)
    make_event("payment_intent.succeeded", payment_object(customer="cus_0001"), created=at + 4)
    make_event("refund.created", refund_object(), created=at + 5)
    make_event("charge.refunded", {"object": "charge", "payment_intent": "pi_0001"}, created=at + 6)
    provider.put(payment_object(customer="cus_0001", latest_charge={"amount_refunded": 300}))
    provider.put(invoice_object(status="paid", amount_paid=25000, number="NW-0002"))
    work_off()
    check_record(Record.objects.get(kind="invoice"), actor=TESTER)
    work_off()
    accept(Drift.objects.all(), actor=TESTER, reason="They are right")

    assert Record.objects.count() == 4
    for record in Record.objects.all():
        steps = list(record.transitions.order_by("version"))
        assert [step.version for step in steps] == list(range(1, record.version + 1))
        assert [step.from_state for step in steps] == ["", *(step.to_state for step in steps[:-1])]
        told: dict[str, Any] = dict.fromkeys(KINDS[record.kind].fields)
        for step in steps:
            assert step.cause_id
            assert step.mapping_id
            for name, before, after in step.changes:
                if name != "state":
                    assert told[name] == before
                    told[name] = after
        assert (told, steps[-1].to_state) == (record.data, record.state)
    changed = JournalEntry.objects.filter(action="record.changed")
    assert changed.count() == Change.objects.count() == 8


# -- 7


@pytest.mark.django_db(transaction=True)
def test_without_any_message_the_sweep_alone_gets_everything_done(
    make_event: MakeEvent, provider: Provider, connection: Connection, quiet_broker: list[str]
) -> None:
    """Every message is lost but those of the sweep, and the worker that had the work is dead."""
    provider.customers(3)
    runs.ask(Stream.objects.select_related("connection").get(resource="customer"), actor=TESTER)
    make_event("invoice.created", invoice_object(customer="cus_0001"))
    long_ago = timezone.now() - timedelta(minutes=1)
    Event.objects.update(state="leased", leased_until=long_ago)
    Run.objects.update(state="leased", leased_until=long_ago)

    for _ in range(10):
        quiet_broker.clear()
        tasks.sweep()
        woken = set(quiet_broker)
        if "integrations.perform_runs" in woken:
            sync.perform_next()
        if "integrations.process_events" in woken:
            process.process_batch()
        Event.objects.filter(state="waiting").update(due_at=long_ago)

    assert set(Event.objects.values_list("state", flat=True)) == {"done"}
    assert set(Run.objects.filter(stream__resource="customer").values_list("state", flat=True)) == {"done"}
    assert Record.objects.count() == 4


def test_messages_carry_no_work() -> None:
    """At most they name a row; everything else is read from the database."""
    mine = {name: task for name, task in current_app.tasks.items() if name.startswith("integrations.")}

    assert mine
    for name, task in mine.items():
        parameters = list(inspect.signature(task.run).parameters.values())
        assert all(parameter.annotation in (int, "int") for parameter in parameters), name
        assert len(parameters) <= 1, name


# -- 10

#: Providers that are not here yet, so that nobody begins with a word of theirs.
OTHERS = frozenset({"xero", "salesforce", "paypal", "shopify", "netsuite"})
#: Where the registry stands: one line a provider.
REGISTRY = ROOT / "integrations" / "providers" / "__init__.py"


def code_of(path: Path) -> str:
    """Return a Python file without its comments and docstrings, which may explain where a rule comes from."""
    source = path.read_text()
    told = {
        node.value.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }
    parts = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        docstring = token.type == tokenize.STRING and token.start[0] in told
        if token.type != tokenize.COMMENT and not docstring:
            parts.append(token.string)
    return " ".join(parts)


def foreign_words() -> frozenset[str]:
    """Return what only an adapter may say: names of providers, and those words of theirs that are not ours."""
    ours = {state for kind in KINDS.values() for state in kind.states} | KINDS.keys() | set(Outcome.values)
    words = set(PROVIDERS) | OTHERS
    for slug in PROVIDERS:
        adapter = get_adapter(slug)
        words |= {word for table in adapter.statuses.values() for word in table}
        words |= {stream.resource for stream in adapter.streams if not stream.change_log}
    return frozenset(word for word in words if word.lower() not in ours)


def outside_of_adapters() -> Iterator[tuple[Path, str]]:
    adapters = [ROOT / "integrations" / "providers" / slug for slug in PROVIDERS]
    for folder in ("console", "integrations"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path != REGISTRY and not any(adapter in path.parents for adapter in adapters):
                yield path, code_of(path)
    for folder, pattern in (("templates", "*.html"), ("static", "*.js"), ("static", "*.css")):
        for path in sorted((ROOT / folder).rglob(pattern)):
            yield path, path.read_text()


def test_no_code_outside_an_adapter_knows_a_provider() -> None:
    words = foreign_words()
    pattern = re.compile(rf"(?<![a-z])(?:{'|'.join(sorted(words))})(?![a-z])", re.IGNORECASE)

    found = {
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path, code in outside_of_adapters()
        for match in pattern.finditer(code)
    }

    assert {"stripe", "requires_payment_method", "payment_intent"} <= words
    assert found == set()


# -- 12

MARK = "mrk7"


def marked(obj: dict[str, Any]) -> dict[str, Any]:
    """Return an object whose personal and secret values all bear a mark."""
    return obj | {
        "email": f"{MARK}@person.example", "phone": f"+47{MARK}", "address": {"line1": f"{MARK} street"},
        "client_secret": f"pi_secret_{MARK}", "receipt_email": f"{MARK}@receipt.example",
        "shipping": {"name": MARK, "phone": MARK}, "hosted_invoice_url": f"https://pay.example/{MARK}",
    }  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_marked_values_reach_no_journal_failure_or_log_line(
    make_event: MakeEvent,
    provider: Provider,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Through every way of an event: new, changed, deleted, unreadable, unmappable, refused by the engine, checked."""
    caplog.set_level(logging.DEBUG)
    at = 1_700_000_100
    make_event("customer.created", marked(customer_object()), created=at)
    make_event("customer.updated", marked(customer_object(name="Renamed")) | {"email": f"other-{MARK}@a.example"})
    make_event("customer.created", marked(customer_object("cus_2", created="five o'clock")))
    make_event("customer.created", marked(customer_object("cus_3")) | {"email": {"is": f"{MARK}@person.example"}})
    make_event("customer.created", marked(customer_object("cus_4", object={"is": f"{MARK}@person.example"})))
    make_event("invoice.paid", marked(invoice_object(customer="cus_missing")))
    make_event("payment_intent.succeeded", marked(payment_object()))
    make_event(body=webhook_body("customer.created", marked(customer_object("cus_5")))[:-40])
    make_event("customer.created", marked(customer_object("cus_6")))
    refuse(monkeypatch, "cus_6")
    work_off()
    provider.put(marked(customer_object()) | {"email": f"third-{MARK}@a.example"})
    check_record(Record.objects.filter(kind="customer").earliest("pk"), actor=TESTER)
    work_off()
    accept(Drift.objects.filter(status="open"), actor=TESTER, reason="They are right")

    assert Failure.objects.count() >= 4
    with database.cursor() as cursor:
        for table in ("journal", "failure", "problem", "attempt", "run", "event"):
            cursor.execute(f"SELECT t::text FROM integrations_{table} t WHERE t::text ILIKE %s", [f"%{MARK}%"])
            assert cursor.fetchall() == [], table
    assert MARK not in caplog.text
    assert WEBHOOK_SECRET not in caplog.text


def refuse(monkeypatch: pytest.MonkeyPatch, external_id: str) -> None:
    """Let the engine fail at one object, with an error that quotes it."""
    real = mapping.apply

    def apply(document: Any, resource: str, obj: Any, **options: Any) -> Any:
        if obj["id"] == external_id:
            raise ValueError(str(obj))
        return real(document, resource, obj, **options)

    monkeypatch.setattr("integrations.workflow.evidence.apply", apply)


# -- 13

#: Reached only from something visible: a record, an event or a connection that was found by `visible_to`.
PARTS = frozenset({"Attempt", "Link", "Payload", "Tally", "Transition", "Checkpoint", "Grant"})


def models_of_tenants() -> list[Any]:
    found = [*apps.get_app_config("integrations").get_models(), *apps.get_app_config("console").get_models()]
    return [
        model
        for model in found
        if not model.__name__.startswith("Historical")
        and {"tenant", "tenant_id", "connection", "connection_id", "record"}
        & {f.name for f in model._meta.get_fields()}
    ]


def test_everything_of_a_tenant_can_be_narrowed_to_what_somebody_may_see() -> None:
    lacking = {model.__name__ for model in models_of_tenants() if not hasattr(model._default_manager, "visible_to")}

    assert lacking <= PARTS
    assert hasattr(Tenant.objects, "visible_to")


@pytest.mark.django_db
def test_nothing_of_another_tenant_is_visible(
    tenant: Tenant, other_tenant: Tenant, engineer: User, stranger: User
) -> None:
    make_world(tenant)
    make_world(other_tenant)

    seen = 0
    for model in models_of_tenants():
        if not hasattr(model._default_manager, "visible_to"):
            continue
        rows = model._default_manager
        for user in (engineer, stranger):
            mine, all_rows = set(rows.visible_to(user)), set(rows.all())
            assert {owner(row) for row in mine} <= {user.email.partition("@")[2].removesuffix(".example")}, model
            assert len(mine) < len(all_rows) or not all_rows, model
            seen += len(mine)
    assert seen > 20


def owner(row: Any) -> str:
    """Return the slug of the tenant that a row belongs to."""
    if isinstance(row, Tenant):
        return row.slug
    tenant_id = getattr(row, "tenant_id", None) or row.connection.tenant_id
    return Tenant.objects.get(pk=tenant_id).slug


# -- 15


def test_no_page_speaks_to_a_provider() -> None:
    """Nothing of the console imports what sends requests; it enqueues, and reads our copy."""
    speaks = re.compile(
        r"^\s*(?:from|import) +(?:httpx|requests|urllib\.request|urllib3|stripe\b|integrations\.boundary\.client"
        r"|integrations\.workflow\.sync)|\.(?:list_page|fetch|check)\(access",
        re.MULTILINE,
    )

    pages = [path for path in (ROOT / "console").rglob("*.py") if path.name != "launch.py"]

    assert len(pages) > 50
    assert [str(path.relative_to(ROOT)) for path in pages if speaks.search(path.read_text())] == []
