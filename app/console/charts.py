"""Charts as shapes: where each bar, line and word of a picture stands. Templates draw them as SVG, on the server,
so that a page needs no script for them and a report can hold the very same picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

WIDTH: Final = 960
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 8, 22, 24  # for numbers at the left, marks above, times below
_HOUR_S: Final = 3600
_BINS_S: Final = tuple(hours * _HOUR_S for hours in (1, 2, 3, 6, 12, 24, 48, 168, 336, 672, 1344, 2688))
_MOST_BARS: Final = 124
_TIMES: Final = 8  # that are written below, at most
SERIES: Final = 6  # colours; what comes after stands together as the last
OTHERS: Final = "others"
_STEPS: Final = (1, 2, 2.5, 5, 10)
_LINES: Final = 4


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle. series: which colour, from 0. title: what a reader is told who points at it."""

    x: float
    y: float
    width: float
    height: float
    series: int
    title: str


@dataclass(frozen=True, slots=True)
class Word:
    """A text at a place along an axis, or of a mark."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture of `WIDTH` by height. legend: names of the series, by colour. rows: the numbers behind it, a row
    for each bar: its time, and a value for each series.
    """

    height: int
    boxes: tuple[Box, ...]
    across: tuple[Word, ...]
    up: tuple[Word, ...]
    marks: tuple[Word, ...]
    legend: tuple[str, ...]
    rows: tuple[tuple[datetime, tuple[int, ...]], ...]
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP

    @property
    def width(self) -> int:
        return WIDTH

    @property
    def bottom(self) -> int:
        """Where the axis is."""
        return self.height - _BOTTOM


def timeline(
    hours: Sequence[datetime],
    series: Mapping[str, Sequence[int]],
    marks: Sequence[tuple[datetime, str]] = (),
    height: int = 200,
) -> Chart:
    """Stacked bars over time. hours: ascending, not all of them need be there. series: the values of each name at
    these hours, the lowest first; of more than SERIES names the last ones stand together. marks: moments that are
    named.
    """
    names, columns = _merged(series)
    bin_s, first, bars = _binned(hours, columns)
    peak = max((sum(bar) for bar in bars), default=0)
    step = _step(peak)
    top_value = step * max(1, -(-peak // step)) if step else 1
    floor, room = height - _BOTTOM, height - _BOTTOM - _TOP
    width = (WIDTH - _LEFT - _RIGHT) / max(1, len(bars))
    boxes: list[Box] = []
    for at, bar in enumerate(bars):
        begin = datetime.fromtimestamp(first + at * bin_s, UTC)
        low = 0
        for place, value in enumerate(bar):
            if value:
                y = floor - room * (low + value) / top_value
                title = f"{begin:%Y-%m-%d %H:%M}, {_length(bin_s)}: {value:,} {names[place]}".rstrip()
                boxes.append(
                    Box(
                        _r(_LEFT + at * width),
                        _r(y),
                        _r(max(0.5, width - 1)),
                        _r(room * value / top_value),
                        place,
                        title,
                    )
                )
                low += value
    span = max(1, len(bars)) * bin_s
    return Chart(
        height=height,
        boxes=tuple(boxes),
        across=tuple(_times(first, bin_s, len(bars))),
        up=tuple(
            Word(_r(floor - room * n * step / top_value), f"{n * step:,.10g}")
            for n in range(int(top_value / step) + 1)
        )
        if step
        else (),
        marks=tuple(
            Word(_r(_LEFT + (WIDTH - _LEFT - _RIGHT) * min(1.0, max(0.0, (at.timestamp() - first) / span))), text)
            for at, text in marks
        ),
        legend=names,
        rows=tuple(
            (datetime.fromtimestamp(first + at * bin_s, UTC), tuple(bar))
            for at, bar in enumerate(bars)
            if any(bar)
        ),
    )


def _merged(series: Mapping[str, Sequence[int]]) -> tuple[tuple[str, ...], list[list[int]]]:
    names, columns = list(series), [list(values) for values in series.values()]
    if len(names) > SERIES:
        rest = [sum(values) for values in zip(*columns[SERIES - 1 :], strict=True)]
        names, columns = [*names[: SERIES - 1], OTHERS], [*columns[: SERIES - 1], rest]
    return tuple(names), columns


def _binned(hours: Sequence[datetime], columns: Sequence[Sequence[int]]) -> tuple[int, int, list[list[int]]]:
    """Seconds of a bar, when the first begins, since 1970, and the values of each."""
    if not hours:
        return _HOUR_S, 0, []
    begin, end = (int(hour.timestamp()) for hour in (hours[0], hours[-1]))
    bin_s = next((each for each in _BINS_S if (end - begin) // each < _MOST_BARS - 1), _BINS_S[-1])
    first = begin - begin % bin_s
    bars = [[0] * len(columns) for _ in range((end - first) // bin_s + 1)]
    for place, values in enumerate(columns):
        for hour, value in zip(hours, values, strict=True):
            bars[(int(hour.timestamp()) - first) // bin_s][place] += value
    return bin_s, first, bars


def _times(first: int, bin_s: int, bars: int) -> list[Word]:
    """Round times below the axis."""
    if not bars:
        return []
    span = bars * bin_s
    step = next((each for each in _BINS_S if span / each <= _TIMES), _BINS_S[-1])
    begin = -(-first // step) * step
    width = WIDTH - _LEFT - _RIGHT
    form = "%d %b %H:%M" if step < 24 * _HOUR_S else "%d %b"
    found = [
        Word(_r(_LEFT + width * (at - first) / span), datetime.fromtimestamp(at, UTC).strftime(form))
        for at in range(begin, first + span, step)
    ]
    return [each for each in found if each.at <= WIDTH - _RIGHT - 30]


def _step(peak: int) -> float:
    """Distance between lines, a round number, so that there are about _LINES of them; 0 for nothing."""
    if not peak:
        return 0
    size = 10.0 ** (len(str(peak)) - 1)
    steps = [scale * each for scale in (size / 10, size) for each in _STEPS]
    return max(1.0, next(step for step in steps if peak / step <= _LINES))


def _length(seconds: int) -> str:
    hours = seconds // _HOUR_S
    return f"{hours} h" if hours < 24 else f"{hours // 24} d"


def _r(value: float) -> float:
    return round(value, 1)
