"""Kill workers, cut connections after the effect, empty the broker, restart the database: each effect comes once.

The commands enter payments of one cent for large invoices. Nothing at the provider stops a second one, so that it
would be counted.
"""

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import psutil
import pytest
import redis
from django.db import InterfaceError, OperationalError
from django.db import connection as database
from django.db.models import F
from pytest_django import DjangoDbBlocker

from console.embedded import Server, start_postgres, start_redis
from integrations.models import Attempt, Command, Connection, Failure, Outcome, Tenant, WorkState
from integrations.providers.xero.sandbox.harness import Sandbox, run_sandbox
from integrations.workflow import commands
from integrations.workflow.parcels import DOUBTFUL
from tests.books import cents_for, held, make_invoices
from tests.conftest import TESTER
from tests.processes import Product, end_all, run_product, wait_until
from tests.providers.xero.connecting import connect_to
from tests.rabbitmq import empty, run_rabbitmq

pytestmark = pytest.mark.fault

COMMANDS = 2000
#: So many that none has many payments: the provider shows them with each of the others.
INVOICES = 200
KILLS = 4
RESTARTS = 2
NIGHTS = 2
#: Seconds after which the provider has forgotten every key.
NIGHT = 400
#: How often a worker must die with commands in its hands for this to be a test at all.
LEAST_STRUCK = 2
PATIENCE = 150.0
#: On a busy machine it takes a while to recover.
AWAY_SECONDS = 60.0
AWAY = (OperationalError, InterfaceError)


@dataclass
class World:
    """What can be struck: the product's workers, its broker, its database, and the way to the provider."""

    product: Product
    #: The database server, each start of it; the last one runs.
    databases: list[Server]
    folder: Path
    sandbox: Sandbox
    empty_broker: Callable[[], object]
    rng: random.Random
    struck: list[int] = field(default_factory=list)
    #: How many effects had come whose commands were in doubt, when the provider forgot their keys.
    forgotten: list[int] = field(default_factory=list)
    orphans: list[psutil.Process] = field(default_factory=list)

    def strike(self, act: Callable[[], object]) -> None:
        """Do one of the worst things, in the moment in which commands are under way."""
        with contextlib.suppress(pytest.fail.Exception):
            wait_until("commands are under way", self.under_way, 5, every=self.rng.uniform(0.001, 0.03))
        if act == self.kill_workers:
            self.struck.append(self.under_way())
        act()
        if self.rng.random() < 0.7:
            self.empty_broker()

    def acts(self) -> list[Callable[[], object]]:
        """Return what is done, in an order of chance."""
        acts = [self.kill_workers] * KILLS + [self.restart_database] * RESTARTS + [self.sleep_through_a_night] * NIGHTS
        return self.rng.sample(acts, len(acts))

    def under_way(self) -> int:
        """Return how many commands have left and are not answered."""
        return retried(lambda: Command.objects.filter(state=WorkState.LEASED, outcome=Outcome.SENT).count())

    def kill_workers(self) -> None:
        """SIGKILL the worker whole, its head, or its hands, and start what must be started."""
        head, *hands = self.product.family("worker")
        victims = self.rng.choice([[head, *hands], [head, *hands], [head], hands])
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                os.kill(victim.pid, signal.SIGKILL)
        psutil.wait_procs(victims, timeout=5)
        if head in victims:
            self.orphans += hands
            self.product.start("worker")

    def sleep_through_a_night(self) -> None:
        """SIGKILL all workers under way, and start them once the provider no longer remembers what they had sent."""
        unanswered = {"kind": "timeout_after", "on": "PUT *", "times": 1}
        place = len(self.sandbox.control("POST", "faults", unanswered)["rules"]) - 1
        with contextlib.suppress(pytest.fail.Exception):
            wait_until(
                "an effect is there, and its answer is not", lambda: self.sandbox.struck()[place], 10, every=0.02
            )
        end_all([*self.product.family("worker"), *self.orphans])
        known = self.sandbox.effects()["by_operation"]
        doubtful = Command.objects.filter(outcome__in=DOUBTFUL, operation_id__in=known)
        self.forgotten.append(retried(doubtful.count))
        self.sandbox.set_clock(advance=NIGHT)
        night = timedelta(seconds=NIGHT)
        retried(lambda: Attempt.objects.update(started_at=F("started_at") - night))
        retried(lambda: Command.objects.exclude(key_since=None).update(key_since=F("key_since") - night))
        self.product.start("worker")

    def restart_database(self) -> None:
        """Kill PostgreSQL with everything that it holds open, and start it again."""
        os.kill(self.databases[-1].process.pid, signal.SIGQUIT)
        self.databases[-1].process.wait(30)
        self.databases.append(start_postgres(self.folder))


def retried(act: Callable[[], int]) -> int:
    """Return what `act` returns; asked again on a new connection while the database is away."""
    until = time.monotonic() + AWAY_SECONDS
    while time.monotonic() < until:
        try:
            return act()
        except AWAY:
            database.close()
            threading.Event().wait(0.1)
    raise AssertionError("the database does not come back")


@pytest.fixture(params=["redis", "rabbitmq"])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp(f"commands-{request.param}")
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    with contextlib.ExitStack() as stack:
        data = start_postgres(folder / "postgres")
        running = [data]
        stack.callback(lambda: running[-1].stop())
        broker, empty_broker = _broker(request.param, folder / "broker", stack)
        sandbox = stack.enter_context(run_sandbox())
        sandbox.control("PUT", "limits", {"enforced": False})
        product = stack.enter_context(
            run_product(
                f"commands_{request.param}", folder / "data", data, broker.url, "web", "worker", "beat",
                LEASE_SECONDS="6", PROVIDER_TIMEOUT="3",
            )
        )  # fmt: skip
        stack.enter_context(django_db_blocker.unblock())
        stack.enter_context(product.here())
        made = World(product, running, folder / "postgres", sandbox, empty_broker, random.Random(seed))
        yield made
        end_all(made.orphans)


def _broker(name: str, folder: Path, stack: contextlib.ExitStack) -> tuple[Server, Callable[[], object]]:
    if name == "rabbitmq":
        server = stack.enter_context(run_rabbitmq(folder))
        return server, lambda: empty(server)
    server = start_redis(folder)
    stack.callback(server.stop)
    client = stack.enter_context(redis.Redis.from_url(server.url))
    return server, client.flushall


def test_each_command_has_one_effect_and_ends_confirmed_or_parked(world: World) -> None:
    tenant = Tenant.objects.create(slug="northwind", name="Northwind Traders")
    connection = connect_to(world.sandbox, tenant)
    invoices = make_invoices(world.sandbox, INVOICES)
    world.sandbox.control(
        "PUT",
        "faults",
        {
            "seed": world.rng.randrange(10**6),
            "rules": [
                {"kind": "cut_after", "probability": 0.06},
                {"kind": "cut", "probability": 0.04},
                {"kind": "error", "probability": 0.03},
            ],
        },
    )

    began = time.monotonic()
    submitter = threading.Thread(target=submit_all, args=(connection, invoices, world.rng.randrange(10**6)))
    submitter.start()
    for act in world.acts():
        world.strike(act)
    submitter.join()
    print(f"struck after {time.monotonic() - began:.0f} s")
    world.sandbox.control("DELETE", "faults")
    world.empty_broker()
    wait_until("every command is confirmed or parked", lambda: left(connection) == 0, PATIENCE)

    print(f"all ended after {time.monotonic() - began:.0f} s")
    print(f"in the hands of killed workers: {world.struck}; database starts: {len(world.databases)}")
    print(f"in doubt, with an effect whose key was forgotten: {world.forgotten}")
    assert sum(count > 0 for count in world.struck) >= LEAST_STRUCK
    assert any(world.forgotten)
    assert_one_effect_each(world.sandbox)
    ends = set(Command.objects.values_list("state", "outcome"))
    assert ends <= {("done", "confirmed"), ("parked", "unknown"), ("parked", "accepted")}
    assert Command.objects.filter(outcome=Outcome.CONFIRMED).count() >= COMMANDS * 0.99
    seen_parked = Failure.objects.filter(resolved_at=None, command__isnull=False).values_list("command_id", flat=True)
    assert set(Command.objects.filter(state="parked").values_list("pk", flat=True)) == set(seen_parked)
    wait_until("no attempt is in flight", lambda: not Attempt.objects.filter(state="in flight").exists(), 30)


def assert_one_effect_each(sandbox: Sandbox) -> None:
    """Each command's cent was paid once, and the invoices say the same."""
    effects = sandbox.effects()
    twice = {name: counts for name, counts in effects["by_operation"].items() if counts != {"created": 1, "changed": 0}}
    assert not twice
    assert effects["by_operation"].keys() == set(Command.objects.values_list("operation_id", flat=True))
    assert effects["total"] == COMMANDS
    paid = sum(Decimal(str(invoice["AmountPaid"])) for invoice in held(sandbox, "Invoices"))
    assert paid == Decimal(COMMANDS) / 100


def submit_all(connection: Connection, invoices: list[str], seed: int) -> None:
    """Submit each command once, or again under its id where the database was away in the meantime."""
    rng = random.Random(seed)
    for n in range(COMMANDS):
        invoice = invoices[n % len(invoices)]
        for _ in range(1 + (rng.random() < 0.05)):
            retried(lambda n=n, invoice=invoice: submit(connection, n, invoice))  # type: ignore[misc]
    database.close()


def submit(connection: Connection, n: int, invoice: str) -> int:
    return commands.submit(
        connection, action="payment.create", content=cents_for(invoice), operation_id=f"op_{n:04}", actor=TESTER
    ).pk


def left(connection: Connection) -> int:
    """Return how many commands are neither confirmed nor parked."""
    ended = (WorkState.DONE, WorkState.PARKED)
    return retried(lambda: Command.objects.filter(connection=connection).exclude(state__in=ended).count())
