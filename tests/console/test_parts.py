import re
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.template import engines
from django.template.loader import render_to_string
from django.test import RequestFactory, override_settings
from django.urls import include, path

from tests.console.gallery import context


def _page(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("never called")


NAMES = ("overview", "records", "problems", "drift", "events", "connections", "audit")
urlpatterns = [
    path("accounts/", include("allauth.urls")),
    path("theme/", _page, name="theme"),
    *(path(f"<slug:tenant>/<slug:environment>/{name}/", _page, name=name) for name in NAMES),
    path("<slug:tenant>/<slug:environment>/records/<int:pk>/", _page, name="record"),
]


@pytest.fixture
def person() -> Any:
    """Return somebody signed in who chose the dark theme."""

    class Person(AnonymousUser):
        is_authenticated = True  # type: ignore[assignment]
        name, theme = "Priya Raman", "dark"

    return Person()


@pytest.fixture
def request_(settings: Any) -> Any:
    """Return a request as the middlewares leave it."""
    settings.ROOT_URLCONF = __name__
    settings.SECRET_KEY = "not a secret"
    request: Any = RequestFactory().get("/northwind/live/records/?state=open")
    request.htmx = False
    request.request_id = "req_7Gh20Lq"
    return request


def gallery(request: Any, person: Any, environment: str = "live") -> str:
    """Return the page of all parts."""
    folder = "tests/console/gallery/gallery.html"
    source = (engines["django"].engine.dirs[0].parent / folder).read_text()  # type: ignore[attr-defined]
    page = engines["django"].from_string(source)
    return str(page.render({**context(environment), "user": person}, request))


def test_every_part_draws(request_: Any, person: Any) -> None:
    page = gallery(request_, person)

    assert "€4,812.50" in page
    assert "Invalid" not in page


def test_a_page_keeps_the_strict_policy(request_: Any, person: Any) -> None:
    page = gallery(request_, person)

    assert not re.search(r"<[^>]+\sstyle=", page)
    assert not re.search(r"<[^>]+\son[a-z]+=", page)
    assert not re.search(r"<script(?![^>]*\ssrc=)", page)
    assert not re.search(r'(src|href)="(https?:)?//', page)


def test_no_payload_becomes_markup(request_: Any, person: Any) -> None:
    assert "<script>alert" not in gallery(request_, person)


def test_the_title_is_plain_text(request_: Any, person: Any) -> None:
    page = gallery(request_, person)

    assert re.search(r"<title>Parts & states · Northwind Traders · Integration Console</title>", page)


def test_the_theme_is_rendered_on_the_server(request_: Any, person: Any) -> None:
    assert 'data-theme="dark"' in gallery(request_, person)

    person.theme = ""

    assert "data-theme=" not in gallery(request_, person)


def test_the_test_environment_says_so(request_: Any, person: Any) -> None:
    page = gallery(request_, person, "test")

    assert 'data-environment="test"' in page
    assert "Test environment." in page
    assert "(test)" in page


def test_every_control_has_a_name_and_every_id_is_there_once(request_: Any, person: Any) -> None:
    page = gallery(request_, person)
    ids = re.findall(r'\sid="([^"]+)"', page)
    bare = [
        tag
        for tag in re.findall(r"<input[^>]+>", page)
        if 'type="hidden"' not in tag and "aria-label=" not in tag and not _labelled(tag, page)
    ]

    assert sorted(ids) == sorted(set(ids))
    assert bare == []


def _labelled(tag: str, page: str) -> bool:
    found = re.search(r'\sid="([^"]+)"', tag)
    wrapped = re.search(r"<label[^>]*>\s*" + re.escape(tag), page)
    return bool(wrapped) or bool(found and f'for="{found[1]}"' in page)


QUESTION = {
    "question": "Pause Stripe (live)?",
    "reason": "Shown in the journal.",
    "act": "Pause Stripe, hold 312 events",
    "keep": "Keep it running",
}


@pytest.mark.parametrize("htmx", [True, False])
def test_a_question_is_a_dialog_to_htmx_and_a_page_to_others(request_: Any, person: Any, htmx: bool) -> None:
    request_.htmx = htmx

    answer = render_to_string("_parts/ask.html", {**context(), **QUESTION, "user": person}, request_)

    assert ("<dialog" in answer) is htmx
    assert ("<html" in answer) is not htmx
    assert 'name="csrfmiddlewaretoken"' in answer
    assert 'name="reason" required' in answer
    assert "Pause Stripe, hold 312 events" in answer


def test_a_question_keeps_what_was_typed_and_says_what_is_wrong(request_: Any, person: Any) -> None:
    wrong = {"error": "The plan changed.", "reason_value": "<b>", "reason_error": "Say why."}

    answer = render_to_string(
        "_parts/ask.html", {**context(), **QUESTION, **wrong, "form": None, "user": person}, request_
    )

    assert "The plan changed." in answer
    assert "Say why." in answer
    assert ">&lt;b&gt;</textarea>" in answer


@pytest.mark.parametrize("code", ["400", "403", "404", "500", "403_csrf"])
def test_an_error_page_needs_nothing_and_says_what_to_do_next(code: str) -> None:
    page = render_to_string(f"{code}.html")

    assert 'class="button primary"' in page
    assert 'class="door"' in page


def test_a_forbidden_action_says_who_may(request_: Any, person: Any) -> None:
    who = {"who_may": "operations, engineer", "user": person}

    page = render_to_string("403.html", {**context(), **who}, request_)

    assert "operations, engineer" in page
    assert "You are here as operations." in page
    assert "req_7Gh20Lq" in page
    assert 'class="side"' in page


def test_a_failure_names_its_request() -> None:
    assert "req_7Gh20Lq" in render_to_string("500.html", {"request_id": "req_7Gh20Lq"})


@override_settings(ROOT_URLCONF=__name__)
@pytest.mark.parametrize(("running", "asks_again"), [(True, True), (False, False)])
def test_progress_asks_again_only_while_it_runs(running: bool, asks_again: bool) -> None:
    drawn = render_to_string(
        "_parts/progress.html", {"id": "r", "url": "/r/", "running": running, "done": 1, "total": 2}
    )

    assert ('hx-trigger="every 2s"' in drawn) is asks_again
