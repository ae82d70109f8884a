"""When accounts are active: hours of the day in their own time zone, working hours, bursts, or all the time."""

from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from random import Random
from typing import Final


class Clock(StrEnum):
    """The rhythm of an actor. HUMAN and OFFICE follow the local hour and come in sessions; DIURNAL is a
    scheduler that keeps people's hours, but asks one thing at a time; BATCHES are the work of one that runs in the
    same hours of every day.
    """

    ROUND_THE_CLOCK = "round_the_clock"
    HUMAN = "human"
    OFFICE = "office"
    DIURNAL = "diurnal"
    BURST = "burst"
    BATCHES = "batches"

    @property
    def is_local(self) -> bool:
        """Whether it depends on where an account lives."""
        return self in _HOURS


@dataclass(frozen=True, slots=True)
class Window:
    """The time in which an actor may act, in hours since the world began. Hour 0 is a Monday's midnight UTC."""

    begin: float
    end: float

    def __contains__(self, hour: float) -> bool:
        return self.begin <= hour < self.end

    def clamp(self, hour: float) -> float:
        """The hour itself or, outside the window, the nearest one inside."""
        return min(max(hour, self.begin), self.end - 1e-6 * (self.end - self.begin))

    def at(self, share: float) -> float:
        """The hour when this share of the window is over."""
        return self.begin + share * (self.end - self.begin)


# Share of an account's activity in each local hour, from midnight on.
_AWAKE: Final = (3, 2, 1, 1, 1, 1, 2, 4, 6, 8, 9, 9, 8, 8, 9, 9, 9, 8, 8, 9, 10, 10, 8, 5)
_HOURS: Final[dict[Clock, tuple[int, ...]]] = {
    Clock.HUMAN: _AWAKE,
    Clock.DIURNAL: _AWAKE,
    Clock.OFFICE: (0, 0, 0, 0, 0, 0, 0, 1, 5, 10, 11, 9, 5, 8, 10, 10, 8, 4, 1, 0, 0, 0, 0, 0),
}
_CUMULATIVE: Final = {clock: list(accumulate(hours)) for clock, hours in _HOURS.items()}
_ZONES: Final = {-8: 9, -6: 8, -5: 14, -3: 7, 0: 8, 1: 16, 2: 5, 3: 5, 5.5: 14, 7: 5, 8: 9, 9: 6, 10: 2}  # weights
_EVENTS_PER_SESSION: Final = 6
_SESSION_HOURS: Final = 0.2  # mean distance of an event from the session's start
_BATCH_HOURS: Final = 7.0
_TRIES: Final = 60


def draw_zone(rng: Random) -> float:
    """Hours ahead of UTC of somebody, somewhere."""
    return rng.choices(list(_ZONES), list(_ZONES.values()))[0]


def draw_hours(count: int, clock: Clock, zone: float, window: Window, peak: float, rng: Random) -> list[float]:
    """`count` moments of one account, unsorted, all inside the window.

    zone: hours ahead of UTC (local clocks). peak: the hour around which a BURST lies, and every day's BATCHES.
    """
    if not clock.is_local:
        return [_hour(clock, window, peak, rng) for _ in range(count)]
    if clock is Clock.DIURNAL:
        return [_local_hour(clock, zone, window, rng) for _ in range(count)]
    sessions = [_local_hour(clock, zone, window, rng) for _ in range(1 + count // _EVENTS_PER_SESSION)]
    return [window.clamp(rng.choice(sessions) + rng.expovariate(1 / _SESSION_HOURS)) for _ in range(count)]


def _hour(clock: Clock, window: Window, peak: float, rng: Random) -> float:
    if clock is Clock.BURST:
        return window.clamp(peak + rng.gauss(0, 1) * min(1.5, (window.end - window.begin) / 12))
    if clock is Clock.BATCHES:
        for _ in range(_TRIES):
            day = rng.randint(int(window.begin // 24) - 1, int(window.end // 24) + 1)
            hour = 24 * day + peak % 24 + _BATCH_HOURS * (rng.random() - 0.5)
            if hour in window:
                return hour
    return rng.uniform(window.begin, window.end)


def _local_hour(clock: Clock, zone: float, window: Window, rng: Random) -> float:
    """An hour with the clock's weight, any hour if the window holds none; offices close on weekends."""
    days = int(window.end // 24) + 2
    for _ in range(_TRIES):
        local_day = rng.randrange(int(window.begin // 24) - 1, days)
        local_hour = rng.choices(range(24), cum_weights=_CUMULATIVE[clock])[0] + rng.random()
        hour = 24 * local_day + local_hour - zone
        if hour in window and not (clock is Clock.OFFICE and local_day % 7 >= 5):
            return hour
    return rng.uniform(window.begin, window.end)
