"""Pictures hold the numbers they are made of."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.console.charts import OTHERS, SERIES, WIDTH, timeline

START = datetime(2026, 2, 1, 5, tzinfo=UTC)


def hours(count: int, step: int = 1) -> list[datetime]:
    return [START + timedelta(hours=n * step) for n in range(count)]


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 90)), min_size=1, max_size=400), st.integers(1, 30))
def test_bars_add_up_and_stay_inside(values: list[tuple[int, int]], step: int) -> None:
    chart = timeline(hours(len(values), step), {"x": [a for a, _ in values], "y": [b for _, b in values]})
    assert [sum(row[1][place] for row in chart.rows) for place in (0, 1)] == [
        sum(v[p] for v in values) for p in (0, 1)
    ]
    assert len(chart.boxes) <= 2 * 124
    for box in chart.boxes:
        assert chart.left - 0.1 <= box.x
        assert box.x + box.width <= chart.right + 0.1
        assert chart.top - 0.2 <= box.y
        assert box.y + box.height <= chart.bottom + 0.2
    assert len(chart.across) <= 8
    assert len(chart.up) <= 7


def test_a_bar_is_as_high_as_its_share_of_the_highest_line() -> None:
    chart = timeline(hours(2), {"x": [40, 10], "y": [0, 10]})
    room = chart.bottom - chart.top
    assert [word.text for word in chart.up] == ["0", "10", "20", "30", "40"]
    assert [box.height for box in chart.boxes] == pytest.approx([room, room / 4, room / 4], abs=0.1)
    first, low, high = chart.boxes
    assert (low.series, high.series) == (0, 1)
    assert high.y + high.height == pytest.approx(low.y, abs=0.11)
    assert first.title == "2026-02-01 05:00, 1 h: 40 x"


def test_what_comes_after_the_colours_stands_together() -> None:
    chart = timeline(hours(1), {str(n): [n] for n in range(1, 10)})
    assert chart.legend == ("1", "2", "3", "4", "5", OTHERS)
    assert len(chart.legend) == SERIES
    assert chart.rows[0][1] == (1, 2, 3, 4, 5, 6 + 7 + 8 + 9)


def test_marks_stand_where_their_time_is() -> None:
    chart = timeline(hours(4), {"x": [1, 1, 1, 1]}, [(START + timedelta(hours=2), "pivot"), (START, "first")])
    assert [mark.text for mark in chart.marks] == ["pivot", "first"]
    assert chart.marks[0].at == pytest.approx((chart.left + chart.right) / 2, abs=0.1)
    assert chart.marks[1].at == chart.left


def test_nothing_is_drawn_of_nothing() -> None:
    chart = timeline([], {"x": []})
    assert (chart.boxes, chart.across, chart.up, chart.rows) == ((), (), (), ())
    assert chart.right < WIDTH
    assert timeline(hours(3), {"x": [0, 0, 0]}).boxes == ()
