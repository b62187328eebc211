from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from django.template import Context, Template
from django.test import RequestFactory, override_settings
from django.urls import path, resolve

from tests.console.gallery import NOW, SCRIPT, space

Draw = Callable[..., str]


def _page(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("never called")


NAMES = ("overview", "records", "events")
urlpatterns = [
    *(path(f"<slug:tenant>/<slug:environment>/{name}/", _page, name=name) for name in NAMES),
    path("<slug:tenant>/<slug:environment>/records/<int:pk>/", _page, name="record"),
    path("<slug:tenant>/live/only/", _page, name="only"),
]
pytestmark = pytest.mark.usefixtures("_addresses")


@pytest.fixture
def _addresses() -> Any:
    with override_settings(ROOT_URLCONF=__name__):
        yield


def draw(source: str, address: str = "", **context: Any) -> str:
    """Return what a template shows, as in a page of the live space."""
    context = {"space": space(), "now": NOW, **context}
    if address:
        request = RequestFactory().get(address)
        request.resolver_match = resolve(request.path)
        context["request"] = request
    return Template("{% load console %}" + source).render(Context(context))


def test_a_state_has_a_word_a_shape_and_a_tone() -> None:
    drawn = draw('{% state "paid" "invoice" %}')

    assert drawn.startswith('<span class="state ok">')
    assert "#s-done" in drawn
    assert drawn.endswith("paid</span>")


def test_a_record_gives_its_own_state_and_kind() -> None:
    record = SimpleNamespace(state="open", kind="invoice")

    assert 'class="state busy"' in draw("{% state record %}", record=record)


def test_a_loud_state_may_say_more() -> None:
    drawn = draw('{% state "stuck" loud=True text="stuck for 34 min" %}')

    assert 'class="state danger loud"' in drawn
    assert "stuck for 34 min" in drawn


@pytest.mark.parametrize(
    "source",
    ["{% state bad %}", "{% category bad %}", "{% id bad %}", "{% mark 'x' bad %}", "{% owner bad %}", "{% lane bad %}",
     "{% redacted bad %}", "{% environment bad %}", "{% tree bad %}"],
)  # fmt: skip
def test_no_tag_lets_markup_through(source: str) -> None:
    assert "<script" not in draw(source, bad=SCRIPT)


def test_an_identifier_is_shortened_and_copied_whole() -> None:
    drawn = draw("{% id value %}", value="in_1PxYzAB7WZ01zgkWq3mT8dLc")

    assert '<code title="in_1PxYzAB7WZ01zgkWq3mT8dLc">in_1PxYzAB7W…3mT8dLc</code>' in drawn
    assert 'data-copy="in_1PxYzAB7WZ01zgkWq3mT8dLc"' in drawn


@pytest.mark.parametrize("value", [None, ""])
def test_no_identifier_says_none(value: str | None) -> None:
    assert draw("{% id value %}", value=value) == '<span class="faint">none</span>'


@pytest.mark.parametrize(
    ("tag", "shown"),
    [("ago", "14:32"), ("age", "0 s"), ("until", "now"), ("moment", "14:32"), ("clock", "14:32:08")],
)
def test_every_time_has_the_exact_utc_time_beside_it(tag: str, shown: str) -> None:
    drawn = draw(f"{{% {tag} at %}}", at=NOW)

    assert 'datetime="2026-11-19T14:32:08Z" title="2026-11-19 14:32:08 UTC"' in drawn
    assert shown in drawn or tag == "ago"


@pytest.mark.parametrize("tag", ["ago", "age", "until", "moment", "clock"])
def test_no_time_says_none(tag: str) -> None:
    assert "none" in draw(f"{{% {tag} at %}}", at=None)


def test_time_without_a_page_counts_from_the_present() -> None:
    assert "just now" in Template("{% load console %}{% ago at %}").render(Context({"at": datetime.now(NOW.tzinfo)}))


def test_words_can_be_kept_for_a_part() -> None:
    assert draw('{% count 2 "event" as label %}[{{ label }}]') == "[2 events]"
    assert draw("{% capture as kept %}  <b>x</b> {% endcapture %}[{{ kept }}]") == "[<b>x</b>]"


def test_an_address_stays_in_the_space() -> None:
    assert draw('{% space_url "record" 42 %}') == "/northwind/live/records/42/"
    assert draw('{% space_url "records" state="open" q="" %}') == "/northwind/live/records/?state=open"


def test_without_a_space_there_is_no_address() -> None:
    assert draw('{% space_url "records" %}{% environment_url "test" %}', space=None) == ""


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("/northwind/live/records/?state=open", "/northwind/test/records/"),
        ("/northwind/live/records/42/", "/northwind/test/records/"),
        ("/northwind/live/events/", "/northwind/test/events/"),
        ("/northwind/live/only/", "/northwind/test/overview/"),
    ],
)
def test_the_switch_leads_to_the_same_list(here: str, there: str) -> None:
    assert draw('{% environment_url "test" %}', address=here) == there


@pytest.mark.parametrize(
    ("source", "query"),
    [
        ('{% query_with sort="age" %}', "?state=open&amp;state=paid&amp;q=a+b&amp;sort=age"),
        ('{% query_with state="void" %}', "?state=void&amp;q=a+b"),
        ("{% query_with q=None %}", "?state=open&amp;state=paid"),
        ('{% query_with after="9" %}', "?state=open&amp;state=paid&amp;after=9&amp;q=a+b"),
        ('{% query_without "state" "open" %}', "?state=paid&amp;q=a+b"),
        ('{% query_without "state" %}', "?q=a+b"),
    ],
)
def test_a_query_changes_one_thing_and_starts_the_list_anew(source: str, query: str) -> None:
    address = "/northwind/live/records/?state=open&state=paid&after=7&q=a+b"

    assert draw(source, address=address) == query


def test_another_tenant_is_offered_once_in_the_same_environment() -> None:
    other = [
        SimpleNamespace(tenant=SimpleNamespace(slug="contoso"), environment=environment, url=environment)
        for environment in ("live", "test")
    ]

    drawn = draw("{% other_tenants as others %}{% for o in others %}{{ o.tenant.slug }} {{ o.url }}{% endfor %}",
                 space=space("test"), spaces=[space("live"), space("test"), *other])  # fmt: skip

    assert drawn == "contoso test"


def test_charts_are_drawn_by_tags() -> None:
    drawn = draw("{% spark series css='small' %}{% segments parts %}", series=[(1, 0)], parts=[("done", 1, "ok")])

    assert "chart spark small" in drawn
    assert "segments" in drawn
