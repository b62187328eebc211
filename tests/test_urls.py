"""Every address is tried as every role, as nobody, and as a stranger; a new one without a line here fails."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import transaction
from django.http import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from pytest_django import DjangoDbBlocker

from console.models import Role, User
from integrations.models import Tenant
from tests.conftest import person
from tests.world import World, make_world

pytestmark = pytest.mark.django_db

#: The order of the columns below.
ROLES = (Role.SUPPORT, Role.OPERATIONS, Role.FINANCE, Role.ENGINEER, Role.AUDITOR, Role.ADMINISTRATOR)


#: A method that an address does not know.
REFUSED = "405 405 405 405 405 405"
#: A path, and the fields of the query or the body.
Request = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Line:
    """What an address answers, by role; POST is tried without a body, so 422 says: you may, now give a reason."""

    get: str
    post: str = REFUSED
    #: What stands in the address: its part → an attribute of `World`, or a word in quotes.
    at: dict[str, str] = field(default_factory=dict)
    #: What is asked besides: a field of the query or of the body → as above.
    data: dict[str, str] = field(default_factory=dict)


def pk(name: str) -> dict[str, str]:
    return {"pk": name}


#: Addresses without a space: (GET, POST) for people, whatever their role, and for nobody.
OPEN = {
    "home": ((302, 405), (302, 302)),
    "health": ((200, 405), (200, 405)),
    "theme": ((405, 302), (302, 302)),
    # Tokens open these; a session opens the description alone.
    "api_commands": ((401, 401), (401, 401)),
    "api_command": ((401, 401), (401, 401)),
    "api_schema": ((200, 405), (401, 401)),
}
#: What stands in them.
PARTS: dict[str, dict[str, str]] = {"api_command": {"key": "op_world"}}

#: People belong to a tenant, whatever the environment.
PEOPLE = {"people_take", "people_link", "people_token"}

# Everybody who works with records sees; administrators see people only.
SEEN = "200 200 200 200 200 403"

LINES: dict[str, Line] = {
    #                       sup ops fin eng aud adm    sup ops fin eng aud adm
    "overview":        Line(SEEN),
    "records":         Line(SEEN),
    "record":          Line(SEEN, at=pk("record")),
    "record_timeline": Line(SEEN, at=pk("record")),
    "record_entry":    Line(SEEN, at={"pk": "record", "entry_pk": "entry"}),
    "record_sides":    Line(SEEN, at=pk("record")),
    "record_check":    Line(REFUSED, "403 302 403 302 403 403", pk("record")),
    "record_export":   Line("403 200 403 200 403 403", "403 422 403 422 403 403",
                            {"pk": "record", "connection_pk": "books"}),
    "record_leave_out": Line("403 200 200 200 403 403", "403 422 422 422 403 403",
                            {"pk": "record", "connection_pk": "books"}),
    "record_note":     Line("200 200 200 200 403 403", "422 422 422 422 403 403", pk("record")),
    "problems":        Line(SEEN),
    "problem":         Line(SEEN, at=pk("problem")),
    "problem_assign":  Line("200 200 200 200 403 403", "422 422 422 422 403 403", pk("problem")),
    "problem_name":    Line("403 403 403 200 403 403", "403 403 403 422 403 403", pk("problem")),
    "events":          Line(SEEN),
    "event":           Line(SEEN, at=pk("event")),
    "event_progress":  Line(SEEN, at=pk("event")),
    "event_replay":    Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("event")),
    "event_dismiss":   Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("event")),
    "event_reveal":    Line("403 403 403 200 403 403", "403 403 403 422 403 403", pk("event")),
    "commands":        Line(SEEN),
    "command_begin":   Line("403 302 403 302 403 403", at={"pk": "connection", "action": '"refund.create"'}),
    "command_new":     Line("403 200 403 200 403 403", "403 422 403 422 403 403",
                            {"pk": "connection", "action": '"refund.create"',
                             "operation": '"op_0123456789abcdef0123"'}),
    "command":         Line(SEEN, at=pk("command")),
    "command_progress": Line(SEEN, at=pk("command")),
    "command_reveal":  Line("403 403 403 200 403 403", "403 403 403 422 403 403", pk("command")),
    "command_retry":    Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("command")),
    "command_look":     Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("command")),
    "command_send":     Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("command")),
    "command_cancel":   Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("command")),
    "command_resolve": Line("200 200 403 200 403 403", "422 422 403 422 403 403", pk("command")),
    "drift":           Line("403 200 200 200 200 403"),
    "drift_accept":    Line("403 200 200 200 403 403", "403 422 422 422 403 403", data={"row": "drift"}),
    "drift_ignore":    Line("403 200 200 200 403 403", "403 422 422 422 403 403", data={"row": "drift"}),
    "drift_push":      Line("403 302 403 302 403 403", "403 302 403 302 403 403", data={"row": "drift"}),
    "drift_report":    Line("403 403 200 403 200 403", "403 403 422 403 422 403"),
    "drift_runs":      Line("403 200 200 200 200 403"),
    "drift_cancel":    Line("403 200 403 200 403 403", "403 302 403 302 403 403", pk("check")),
    "drift_check":     Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("connection")),
    "connections":     Line(SEEN),
    "connection_new":  Line("403 403 403 200 403 403"),
    "connection_add":  Line("403 403 403 200 403 403", "403 403 403 422 403 403", {"provider": '"stripe"'}),
    "connection":      Line(SEEN, at=pk("connection")),
    "connection_streams":  Line(SEEN, at=pk("connection")),
    "connection_secrets":  Line(SEEN, at=pk("connection")),
    "connection_pause":    Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("connection")),
    "connection_resume":   Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("connection")),
    "connection_disable":  Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("connection")),
    "connection_enable":   Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("connection")),
    "connection_run":      Line(REFUSED, "403 302 403 302 403 403", pk("connection")),
    "connection_settings": Line("403 403 403 200 403 403", "403 403 403 422 403 403", pk("connection")),
    "connection_windows":  Line("403 403 403 200 403 403", "403 403 403 422 403 403", pk("connection")),
    "connection_breaker":  Line(SEEN, at=pk("connection")),
    "connection_limits":   Line("403 403 403 200 403 403", "403 403 403 422 403 403", pk("connection")),
    "breaker_probe":       Line(REFUSED, "403 302 403 302 403 403", pk("connection")),
    "breaker_open":        Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("connection")),
    "breaker_close":       Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("connection")),
    "route":           Line(SEEN, at=pk("route")),
    "route_new":       Line("403 403 403 200 403 403", "403 403 403 422 403 403", pk("connection")),
    "route_totals":    Line(SEEN, at=pk("route")),
    "route_report":    Line("403 403 200 403 200 403", "403 403 422 403 422 403", pk("route")),
    "route_edit":      Line("403 403 403 200 403 403", "403 403 403 422 403 403", pk("route")),
    "route_pause":     Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("route")),
    "route_resume":    Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("route")),
    "route_end":       Line("403 403 403 200 403 403", "403 403 403 422 403 403", pk("route")),
    "route_start":     Line("403 403 403 200 403 403", "403 403 403 422 403 403", pk("route")),
    "route_export":    Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("route")),
    "credential_rotate":   Line("403 200 403 200 403 403", "403 422 403 422 403 403",
                                {"pk": "connection", "purpose": '"webhook_secret"'}),
    "credential_cancel":   Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("pending")),
    "credential_revoke":   Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("retiring")),
    "stream_run":      Line(REFUSED, "403 302 403 302 403 403", pk("stream")),
    "stream_pause":    Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("stream")),
    "stream_resume":   Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("stream")),
    "stream_schedule": Line("403 403 403 200 403 403", "403 403 403 422 403 403", pk("stream")),
    "stream_scan":     Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("stream")),
    "scan_release":    Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("scan")),
    "scan_dismiss":    Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("scan")),
    "run_cancel":      Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("run")),
    "mappings":        Line(SEEN),
    "mapping":         Line(SEEN, at=pk("mapping")),
    "mapping_edit":    Line("403 403 403 200 403 403", "403 403 403 422 403 403", pk("mapping")),
    "subscriptions":        Line(SEEN),
    "subscription":         Line(SEEN, at=pk("subscription")),
    "subscription_add":     Line("403 403 403 200 403 403", "403 403 403 422 403 403"),
    "subscription_edit":    Line("403 403 403 200 403 403", "403 403 403 422 403 403", pk("subscription")),
    "subscription_end":     Line("403 403 403 200 403 403", "403 403 403 422 403 403", pk("subscription")),
    "subscription_rotate":  Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("subscription")),
    "subscription_pause":   Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("subscription")),
    "subscription_resume":  Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("subscription")),
    "subscription_disable": Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("subscription")),
    "subscription_enable":  Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("subscription")),
    "subscription_replay":  Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("subscription")),
    "subscription_secret_end":       Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("signing_secret")),
    "subscription_deliveries":       Line(SEEN),
    "subscription_delivery":         Line(SEEN, at=pk("delivery")),
    "subscription_delivery_replay":  Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("delivery")),
    "subscription_delivery_dismiss": Line("403 200 403 200 403 403", "403 422 403 422 403 403", pk("delivery")),
    "audit":           Line(SEEN),
    "audit_entry":     Line(SEEN, at=pk("entry")),
    "audit_verify":    Line(REFUSED, "403 403 403 403 302 403"),
    "audit_key":       Line("403 403 403 403 200 403"),
    "audit_exports":   Line("403 403 200 403 200 403", "403 403 422 403 422 403"),
    "people":          Line("403 403 403 403 403 200"),
    "people_give":     Line("403 403 403 403 403 200", "403 403 403 403 403 422"),
    "people_take":     Line("403 403 403 403 403 200", "403 403 403 403 403 422", pk("grant")),
    "people_link":     Line("403 403 403 403 403 200", "403 403 403 403 403 302", pk("person")),
    "people_token":    Line("403 403 403 403 403 200", "403 403 403 403 403 422", pk("token")),
    "tokens":          Line(SEEN),
    "token_new":       Line(SEEN, "422 422 422 422 422 403"),
    # Of somebody else: one's own alone are there.
    "token_revoke":    Line("404 404 404 404 404 403", "404 404 404 404 404 403", pk("token")),
}  # fmt: skip


def patterns(found: Any = None, path: str = "") -> Iterator[tuple[str, str, URLPattern]]:
    """Return (group, path, pattern) of every address; the group is the library that brings it, "" for ours."""
    for each in found or get_resolver().url_patterns:
        whole = path + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from patterns(each.url_patterns, whole)
        else:
            yield ("allauth" if whole.startswith("accounts/") else ""), whole, each


NAMES = sorted(pattern.name or path for group, path, pattern in patterns() if not group)


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """Two tenants with one of everything, for all tests here; each request is undone."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield make_world(Tenant.objects.create(slug="northwind", name="Northwind Traders"))
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def other(world: World) -> World:
    return make_world(Tenant.objects.create(slug="contoso", name="Contoso"))


@pytest.fixture(scope="module")
def people(world: World) -> dict[str, Client]:
    return {role: signed_in(person(role, world.tenant, role)) for role in ROLES}


@pytest.fixture(scope="module")
def stranger(other: World) -> Client:
    return signed_in(person("stranger", other.tenant, *ROLES))


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def ask(method: str, request: Request, client: Client) -> HttpResponseBase:
    """Send one request, and undo what it did."""
    with transaction.atomic():
        answer = client.get(*request) if method == "GET" else client.post(*request)
        transaction.set_rollback(True)
    return answer


def request_of(name: str, world: World, **instead: Any) -> Request:
    """Return the request for objects of `world` in its space; `instead` puts others in their place, by field."""
    line, space = LINES[name], {"tenant": world.tenant.slug, "environment": "test"}
    values = {part: world.value(what) for part, what in line.at.items()}
    data = {part: world.value(what) for part, what in line.data.items()}
    path = reverse(name, kwargs=space | {part: instead.get(part, value) for part, value in values.items()})
    return path, {part: instead.get(part, value) for part, value in data.items()}


def objects_of(line: Line) -> list[tuple[str, str]]:
    """Return (field, object) for each object that a request names."""
    return [(part, what) for part, what in (line.at | line.data).items() if not what.startswith('"')]


def statuses(method: str, request: Request, people: dict[str, Client]) -> str:
    return " ".join(str(ask(method, request, people[role]).status_code) for role in ROLES)


def test_every_address_has_its_line() -> None:
    assert [name for name in NAMES if name not in LINES and name not in OPEN] == []
    assert sorted(LINES.keys() | OPEN.keys()) == NAMES


@pytest.mark.parametrize("name", sorted(LINES))
def test_roles_get_what_the_table_says(name: str, world: World, people: dict[str, Client]) -> None:
    request, line = request_of(name, world), LINES[name]

    assert statuses("GET", request, people) == line.get
    assert statuses("POST", request, people) == line.post


@pytest.mark.parametrize("name", sorted(LINES))
def test_nobody_is_led_to_the_sign_in(name: str, world: World) -> None:
    for method, row in methods(LINES[name]):
        answer = ask(method, request_of(name, world), Client())
        if row == REFUSED:
            assert answer.status_code in (302, 405)
        else:
            assert answer.status_code == 302
            assert answer.headers["Location"].startswith("/accounts/login/?next=")


@pytest.mark.parametrize("name", sorted(LINES))
def test_strangers_find_nothing(name: str, world: World, stranger: Client) -> None:
    assert_hidden(name, request_of(name, world), stranger)


@pytest.mark.parametrize("name", sorted(name for name, line in LINES.items() if objects_of(line)))
def test_ids_of_others_lead_nowhere_in_ones_own_space(name: str, world: World, other: World, stranger: Client) -> None:
    for part, what in objects_of(LINES[name]):
        assert_hidden(name, request_of(name, other, **{part: world.value(what)}), stranger)
        assert_hidden(name, request_of(name, other, **{part: 2**62}), stranger)
        assert_hidden(name, request_of(name, other, **{part: 2**70}), stranger)


@pytest.mark.parametrize(
    "name", sorted(name for name, line in LINES.items() if objects_of(line) and name not in PEOPLE)
)
def test_objects_of_one_environment_are_not_in_the_other(name: str, other: World, stranger: Client) -> None:
    path, data = request_of(name, other)

    assert_hidden(name, (path.replace("/test/", "/live/", 1), data), stranger)


def methods(line: Line) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("GET", line.get), ("POST", line.post)


def assert_hidden(name: str, request: Request, client: Client) -> None:
    """Each method that the address knows at all answers 404 to somebody who holds every role elsewhere."""
    for method, row in methods(LINES[name]):
        expected = {404, 405} if row == REFUSED else {404}
        assert ask(method, request, client).status_code in expected, f"{method} {request}"


@pytest.mark.parametrize("name", sorted(OPEN))
def test_addresses_without_a_space(name: str, people: dict[str, Client]) -> None:
    url, (known, unknown) = reverse(name, kwargs=PARTS.get(name)), OPEN[name]

    for client in people.values():
        assert (ask("GET", (url, {}), client).status_code, ask("POST", (url, {}), client).status_code) == known
    assert (ask("GET", (url, {}), Client()).status_code, ask("POST", (url, {}), Client()).status_code) == unknown


@pytest.mark.parametrize("path", sorted(path for group, path, _ in patterns() if group == "allauth"))
def test_pages_of_accounts_fail_for_nobody(path: str, people: dict[str, Client]) -> None:
    """They come with django-allauth; ours is that they work under our settings and templates."""
    url = "/" + path.replace("<path:url>", "x").replace("<key>", "key")

    for client in (Client(), people[Role.SUPPORT]):
        assert ask("GET", (url, {}), client).status_code in (200, 301, 302, 400, 401, 403, 404, 405), url
