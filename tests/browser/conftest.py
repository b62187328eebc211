"""Chromium against the real processes: one set of them for all tests, and a tenant of its own for each."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Response, expect
from pytest_django import DjangoDbBlocker

from console.embedded import Server
from console.models import Role, User
from integrations.models import Connection, Event, Record, Reference, Run, Stream, Tenant, WorkState
from integrations.providers.stripe.sandbox.harness import Sandbox, run_sandbox
from integrations.providers.stripe.sandbox.harness import account as sandbox_account
from tests.browser.chromium import ARGUMENTS, MISSING, executable
from tests.browser.shop import Shop
from tests.conftest import API_KEY, WEBHOOK_SECRET, connected, person
from tests.processes import Product, run_product, wait_until

HERE = Path(__file__).parent
ACCOUNT = "northwind"
OPEN = (WorkState.READY, WorkState.LEASED, WorkState.WAITING)

#: Milliseconds. Two cores carry all the processes and the browser.
PATIENCE = 20_000

expect.set_options(timeout=PATIENCE)
_numbers = count(1)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests here, which also lets them wake the real workers, and run them last.

    Playwright leaves an event loop in the thread, in which other tests could run none of their own.
    """
    for item in items:
        if is_here(item):
            item.add_marker(pytest.mark.browser)
    items.sort(key=is_here)


def is_here(item: pytest.Item) -> bool:
    return item.path.is_relative_to(HERE)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The system's Chromium; without one these tests fail, they are never skipped."""
    found = executable()
    if found is None:
        pytest.fail(MISSING)
    return browser_type_launch_args | {"executable_path": found, "args": list(ARGUMENTS)}


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The provider, calm until a test makes weather."""
    with run_sandbox(tmp_path_factory.mktemp("provider"), [sandbox_account(ACCOUNT)]) as running:
        running.set_keys(ACCOUNT, API_KEY)
        yield running


@pytest.fixture(scope="session")
def processes(
    tmp_path_factory: pytest.TempPathFactory, database_server: Server, broker_server: Server
) -> Iterator[Product]:
    folder = tmp_path_factory.mktemp("console")
    with run_product("browser", folder, database_server, broker_server.url, "web", "worker", "beat") as product:
        yield product


@pytest.fixture(scope="session")
def base_url(processes: Product) -> str:
    """Where pages are; also what the plugin gives its own contexts."""
    return processes.url


@pytest.fixture
def product(processes: Product, django_db_blocker: DjangoDbBlocker) -> Iterator[Product]:
    """The running product, its database open to this test; no process may have failed meanwhile."""
    before = processes.said("web").count(" ERROR "), processes.said("worker").count(" ERROR ")
    with django_db_blocker.unblock(), processes.here():
        yield processes
    after = processes.said("web").count(" ERROR "), processes.said("worker").count(" ERROR ")
    assert after == before, f"A process failed, see {processes.logs}"


@dataclass
class Space:
    """A tenant with one person a role and a connection that the sandbox talks to."""

    tenant: Tenant
    connection: Connection
    shop: Shop
    sandbox: Sandbox

    @property
    def url(self) -> str:
        return f"/{self.tenant.slug}/test"

    def person(self, role: str) -> User:
        """Return the person who holds this role and no other."""
        email = f"{role}@{self.tenant.slug}.example"
        return User.objects.filter(email=email).first() or person(role, self.tenant, role)

    def record(self, external_id: str, seconds: float = 30) -> Record:
        """Wait until the object is a record; return it as it is now."""

        references = Reference.objects.filter(connection=self.connection, external_id=external_id)
        wait_until(f"{external_id} is a record", references.exists, seconds)
        return Record.objects.get(references__in=references)

    def settle(self) -> None:
        """Wait until no webhook is under way and no event waits for a worker."""
        self.sandbox.settle()
        open_events = Event.objects.filter(connection=self.connection, state__in=OPEN)
        wait_until("every event is decided", lambda: not open_events.exists())


@pytest.fixture
def space(product: Product, sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[Space]:
    """A space whose first syncs are done, so that only webhooks and people change anything."""
    sandbox.set_faults()
    sandbox.empty(ACCOUNT)
    name = re.sub(r"[^a-z]+", "-", request.node.name.removeprefix("test_").lower())[:34].strip("-")
    tenant = Tenant.objects.create(slug=f"{name}-{next(_numbers)}", name=f"Tenant of {name.replace('-', ' ')}")
    connection = connected(tenant, api_base=sandbox.url)
    sandbox.point(ACCOUNT, f"{product.url}/hooks/{connection.public_id}/", WEBHOOK_SECRET)
    streams = Stream.objects.filter(connection=connection)
    wait_until("the first syncs are done", lambda: not streams.filter(first_sync_done_at=None).exists(), 40)
    yield Space(tenant, connection, Shop(sandbox.client(ACCOUNT)), sandbox)
    sandbox.point(ACCOUNT, "")
    Connection.objects.filter(pk=connection.pk).update(disabled_at=timezone.now())
    Run.objects.filter(connection=connection, state__in=OPEN).update(state=WorkState.DISMISSED)


@dataclass
class Window:
    """A page of somebody's browser, and everything that went wrong on it."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(f"{self.page.url}: {error}"))
        self.page.on("response", self._look)

    def _hear(self, message: ConsoleMessage) -> None:
        # A refusal that a test asks for is no complaint; what the server must not answer, `_look` sees.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(f"{self.page.url}: {message.text}")

    def _look(self, response: Response) -> None:
        if response.status >= 500 or (response.status >= 400 and "/static/" in response.url):
            self.complaints.append(f"{response.url}: {response.status}")


Open = Callable[..., Page]


@pytest.fixture
def open_as(product: Product, new_context: Callable[..., BrowserContext], space: Space) -> Iterator[Open]:
    """Return a function that opens a page of the space for somebody of a role, in a browser of their own."""
    windows: list[Window] = []
    contexts: dict[Any, BrowserContext] = {}

    def open_page(role: str, path: str = "/", **options: Any) -> Page:
        key = (role, *sorted(options.items(), key=str))
        if key not in contexts:
            contexts[key] = new_context(**options)
            contexts[key].set_default_timeout(PATIENCE)
            sign_in(contexts[key], space.person(role), product.url)
        windows.append(Window(contexts[key].new_page()))
        page = windows[-1].page
        page.goto(f"{space.url}{path}")
        return page

    yield open_page
    assert [complaint for window in windows for complaint in window.complaints] == []


def sign_in(context: BrowserContext, user: User, url: str) -> None:
    """Give a browser the cookie of a session, without the way through the form."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": url}])


@pytest.fixture
def support(open_as: Open) -> Callable[..., Page]:
    return lambda *args, **options: open_as(Role.SUPPORT, *args, **options)


@pytest.fixture
def operations(open_as: Open) -> Callable[..., Page]:
    return lambda *args, **options: open_as(Role.OPERATIONS, *args, **options)


@pytest.fixture
def finance(open_as: Open) -> Callable[..., Page]:
    return lambda *args, **options: open_as(Role.FINANCE, *args, **options)


@pytest.fixture
def engineer(open_as: Open) -> Callable[..., Page]:
    return lambda *args, **options: open_as(Role.ENGINEER, *args, **options)
