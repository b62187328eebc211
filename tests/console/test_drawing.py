import re

from console.drawing import Part, Point, segments, spark


def test_a_spark_says_its_totals() -> None:
    drawn = spark([(1200, 3), (642, 55)])

    assert 'aria-label="1,842 done and 58 failed in the last 2 hours"' in drawn


def test_a_spark_takes_better_words() -> None:
    assert 'aria-label="quiet &lt;b&gt;"' in spark([Point(1)], label="quiet <b>")


def test_failures_are_drawn_on_their_own_scale_below_the_line() -> None:
    drawn = spark([Point(1000, 1), Point(500, 0)])

    assert re.search(r'class="f" d="M0\.0 21h70\.5v7\.0h-70\.5z"', drawn)
    assert re.search(r'class="v" d="M0\.0 20h70\.5v-19\.0h-70\.5zM72\.0 20h70\.5v-9\.5h-70\.5z"', drawn)


def test_a_little_is_still_seen() -> None:
    assert "v-1.0h" in spark([(1, 0), (100000, 0)])


def test_an_empty_series_draws_nothing_and_says_so() -> None:
    assert 'class="v" d=""' in spark([])


def test_segments_share_the_whole_and_name_every_part() -> None:
    drawn = segments([Part("would change", 3, "accent"), ("no change", 1, "neutral"), ("unsafe", 0, "danger")])

    assert 'aria-label="3 would change, 1 no change, 0 unsafe"' in drawn
    assert 'class="accent" x="0.00%" y="0" width="75.00%"' in drawn
    assert 'class="danger"' not in drawn


def test_segments_that_warn_have_a_texture_too() -> None:
    drawn = segments([("would fail again", 1, "warn"), ("unsafe", 1, "danger")])

    assert 'fill="url(#hatch)"' in drawn
    assert 'fill="url(#dots)"' in drawn


def test_segments_of_nothing_are_an_empty_bar() -> None:
    assert "<rect" not in segments([("done", 0, "ok")])


def test_no_chart_has_a_style_attribute() -> None:
    assert "style=" not in spark([(1, 1)]) + segments([("done", 1, "ok")])
