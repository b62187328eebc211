"""Whatever somebody types or sends: a clear answer, never a failure of ours."""

import hashlib
from typing import Any, cast
from urllib.parse import quote

import pytest
from django.http import StreamingHttpResponse
from django.test import Client
from django.urls import reverse

from console.access import grant
from console.models import Role, User
from integrations.configuration import rules as texts
from integrations.models import Connection, Mapping
from tests.test_urls import LINES, ask
from tests.world import World, make_world

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_caches")]

#: NUL, SQL, the language of searches, numbers beyond every type, half a character, no date, and too much.
NASTY = [
    "\x00", "a\x00b", "' OR 1=1 --", "a' & !b:*", "9" * 30, str(2**63), "1e309", "\ud800", "0000-00-00", "a" * 3000,
]  # fmt: skip
QUERY = (
    "q", "kind", "state", "connection", "changed", "amount", "stuck", "differs", "customer", "sort", "after", "before",
    "from", "to", "person", "did", "lane", "record", "view", "category", "owner", "assigned", "status", "field", "run",
    "row", "mapping", "against", "version", "place", "order", "seen", "check", "email", "source", "decision", "type",
)  # fmt: skip
FIELDS = (
    "reason", "text", "rules", "act", "tried", "secret", "overlap_hours", "until", "api_base", "account", "page_size",
    "timeout", "email", "name", "role", "where", "format", "person", "category", "token", "mapping", "row",
    "connection_name", "secret_api_key", "secret_webhook_secret", "theme", "next",
)  # fmt: skip


@pytest.fixture
def world(connection: Connection) -> World:
    Connection.objects.filter(pk=connection.pk).update(name="Another")
    return make_world(connection.tenant)


@pytest.fixture
def client(world: World, client_of: Any) -> Client:
    user = User.objects.create_user(username="all", email="all@body.example", first_name="All")
    for role in Role.values:
        grant(user, role, world.tenant, by="the tests")
    made: Client = client_of(user)
    made.raise_request_exception = False
    return made


def path_of(name: str, world: World) -> str:
    return reverse(name, args=["northwind", "test", *(world.value(what) for what in LINES[name].at.values())])


@pytest.mark.parametrize("value", NASTY, ids=lambda value: quote(value[:20], errors="replace"))
def test_no_query_makes_a_page_fail(value: str, world: World, client: Client) -> None:
    encoded = quote(value, errors="surrogatepass")
    for name, line in LINES.items():
        if line.get.startswith("405"):
            continue
        for query in (QUERY, ("q",)) if name in ("records", "events") else (QUERY,):
            path = f"{path_of(name, world)}?" + "&".join(f"{field}={encoded}" for field in query)
            assert ask("GET", (path, {}), client).status_code < 500, path


@pytest.mark.parametrize("value", [each for each in NASTY if each != "\ud800"], ids=lambda value: quote(value[:20]))
def test_no_form_makes_a_page_fail(value: str, world: World, client: Client) -> None:
    for name, line in LINES.items():
        if line.post.startswith("405"):
            continue
        sound = {field: world.value(what) for field, what in line.data.items()}
        for fields in (dict.fromkeys(FIELDS, value) | sound, {"reason": value, "text": value} | sound):
            answer = ask("POST", (path_of(name, world), fields), client)
            assert answer.status_code < 500, f"{name} {fields}"
            if answer.streaming:
                b"".join(cast("StreamingHttpResponse", answer))


@pytest.mark.parametrize("key", ["email", "login", "password", "next"])
@pytest.mark.parametrize("path", ["login/", "password/reset/"])
@pytest.mark.parametrize("value", ["\x00", "a\x00@b.example", "a" * 5000, "\U0010ffff@x.example", "a@" + "b" * 400])
def test_nobody_makes_the_sign_in_fail(path: str, key: str, value: str, db: None) -> None:
    client = Client(raise_request_exception=False)
    sound = {"email": "some@body.example", "login": "some@body.example", "password": "wrong"}

    assert client.post(f"/accounts/{path}", sound | {key: value}).status_code < 500


@pytest.fixture
def mapping(world: World) -> Mapping:
    found: Mapping = world.objects["mapping"]
    return found


@pytest.mark.parametrize(
    "source",
    [
        "(" * 3000, "a" + ".a" * 5000, "[" * 3000, "a" + "[0]" * 5000, "!" * 5000 + "a", "a || " * 3000 + "a",
        "\\u0000", "a[?b=='\\u0000']", "join('', [" + "a, " * 2000 + "a])", "@", "*", "a[*]" * 2000,
    ],
    ids=lambda source: quote(source[:12]),
)  # fmt: skip
def test_no_rule_makes_the_mapping_fail(source: str, mapping: Mapping, client: Client) -> None:
    rules = texts.write(mapping.rules["rules"]).replace('source = "name"', f'source = "{source}"')
    answer = client.post(path_of_edit(mapping), {"rules": rules, "act": "try"})

    assert answer.status_code < 500


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 5000, "a." * 5000 + "b = 1", 'kind = "customer"\n[fields]\nname = 5', "fields = 1", "kind = []",
        'kind = "customer"\n"\\u0000" = 1', "a = 1979-05-27", "a = inf", "\ufeff", "a = 9" * 100, "a = " + "9" * 6000,
        'kind = "customer"\nfields = []\nstates = []', 'kind = "customer"\n[fields.name]\nsource = 5\nconvert = []',
    ],
    ids=lambda text: quote(text[:12]),
)  # fmt: skip
def test_no_text_makes_the_mapping_fail(text: str, mapping: Mapping, client: Client) -> None:
    assert client.post(path_of_edit(mapping), {"rules": text, "act": "try"}).status_code < 500


@pytest.mark.parametrize("default", ["a\\u0000b", "\\uD7FF", "x" * 60000])
def test_a_default_that_no_database_holds_is_refused(default: str, mapping: Mapping, client: Client) -> None:
    rules = texts.read(texts.write(mapping.rules["rules"]))
    rules["fields"]["name"] |= {"missing": "default", "null": "null", "default": "DEFAULT"}
    text = texts.write(rules).replace("DEFAULT", default)
    tried = hashlib.sha256(f"{mapping.pk}\n{text}".encode()).hexdigest()

    answer = client.post(path_of_edit(mapping), {"rules": text, "act": "publish", "tried": tried, "reason": "To try"})

    assert answer.status_code < 500


def path_of_edit(mapping: Mapping) -> str:
    return reverse("mapping_edit", args=["northwind", "test", mapping.pk])


def test_a_file_has_a_name_of_ours(world: World, client: Client) -> None:
    answer = client.post(path_of("audit_exports", world), {"format": "csv", "reason": "x"})
    name = answer.headers["Content-Disposition"]
    answer.getvalue()

    assert name.startswith('attachment; filename="journal-northwind-test-')
