import json

from hypothesis import given
from hypothesis import strategies as st

from console.tree import LONGEST, Marks, Redacted, draw

SCRIPT = "<script>alert('x')</script>"
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.just(SCRIPT),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.just(SCRIPT), inner, max_size=4),
    max_leaves=20,
)


@given(ANY_JSON)
def test_nothing_of_a_payload_becomes_markup(payload: object) -> None:
    drawn = draw(payload)

    assert "<script" not in drawn
    assert drawn.count("<ul>") == drawn.count("</ul>")
    assert drawn.count("<li") == drawn.count("</li>")


def test_each_sort_of_value_has_its_own_class() -> None:
    drawn = draw({"a": "x", "b": 1, "c": None, "d": True, "e": {}, "f": []})

    assert '<span class="k">a</span><span class="s">"x"</span>' in drawn
    assert '<span class="k">b</span><span class="n">1</span>' in drawn
    assert '<span class="k">c</span><span class="z">null</span>' in drawn
    assert '<span class="n">true</span>' in drawn
    assert '<span class="z">{}</span>' in drawn
    assert '<span class="z">[]</span>' in drawn


def test_a_branch_says_how_much_it_holds() -> None:
    drawn = draw({"lines": {"data": [1, 2]}})

    assert '<span class="k">lines</span><i>{1}</i>' in drawn
    assert '<span class="k">data</span><i>[2]</i>' in drawn


def test_deep_branches_start_folded_unless_they_hold_a_mark() -> None:
    payload = {"a": {"b": {"c": {"d": {"e": 1}}}}}

    assert draw(payload).count("<details open>") == 3
    assert draw(payload, Marks(hits=("/a/b/c/d/e",))).count("<details open>") == 4


def test_a_redacted_value_shows_why_and_never_itself() -> None:
    drawn = draw({"email": Redacted("personal")})

    assert "personal</span>" in drawn
    assert "Reveal" not in drawn


def test_who_may_reveal_is_led_to_the_question() -> None:
    drawn = draw({"customer": {"email": Redacted()}}, Marks(reveal="/reveal/"))

    assert 'href="/reveal/?path=/customer/email"' in drawn


def test_used_paths_say_what_reads_them() -> None:
    drawn = draw({"a/b": {"status": "paid"}}, Marks(used={"/a~1b/status": "state"}))

    assert '<li class="used" data-to="state"><span class="k">status</span>' in drawn


def test_a_path_that_a_rule_misses_is_shown_where_it_would_stand() -> None:
    marks = Marks(used={"/data/tax": "tax"}, hits=("/data/tax",), absent=("/data/tax",))

    drawn = draw({"data": {"id": "x"}}, marks)

    assert (
        '<li class="used hit" data-to="tax"><span class="k">tax</span><span class="z">not in this payload</span>'
        in drawn
    )


def test_long_text_is_cut_and_says_its_length() -> None:
    drawn = draw({"memo": "y" * (LONGEST + 1)})

    assert "y" * (LONGEST + 1) not in drawn
    assert "501 characters" in drawn


def test_a_bare_value_is_a_tree_of_one() -> None:
    assert draw("hello") == '<ul><li><span class="s">"hello"</span></li></ul>'


def test_the_whole_number_is_shown() -> None:
    assert "12345678901234567890" in draw(json.loads('{"n": 12345678901234567890}'))
