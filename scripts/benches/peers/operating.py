"""Where a method can be operated: alarms by a rule over its clusters, and which of its settings to hold it to."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from indexer.simulate import SimulatedEvent

MIN_ACCOUNTS = 10
DEPTHS = (1, 2, 3, 5, 8)
LEAST_FOUND = 0.01  # share of the planted events below which a precision says nothing
NEAR = 0.01  # a precision this near to the best is as good: of such points the one that finds most counts


@dataclass(slots=True)
class Tally:
    """Alarmed events of each campaign and of each other kind, and in all: right ones, and right and wrong ones."""

    found: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    alarmed: int = 0
    right: int = 0

    def add(self, events: Sequence[SimulatedEvent], labels: Sequence[int], alarmed: set[int]) -> None:
        """Counts one world."""
        for event, label in zip(events, labels, strict=True):
            if label in alarmed:
                self.alarmed += 1
                if event.kind.startswith("campaign:"):
                    self.right += 1
                    self.found[event.kind] += 1
                else:
                    self.wrong[event.kind] += 1

    def precision(self) -> float:
        """1 if nothing is alarmed."""
        return self.right / self.alarmed if self.alarmed else 1.0


@dataclass(frozen=True, slots=True)
class Point:
    """One way to operate a method, and what it gave over all worlds of a sweep."""

    setting: str
    tally: Tally


def alarmed_by_rule(events: Sequence[SimulatedEvent], labels: Sequence[int], depth: int) -> set[int]:
    """Clusters of at least MIN_ACCOUNTS accounts with a median of at least `depth` prompts each."""
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for event, label in zip(events, labels, strict=True):
        if label >= 0:
            counts[label][event.row["account_id"]] += 1
    return {
        label for label, each in counts.items() if len(each) >= MIN_ACCOUNTS and median(each.values()) >= depth
    }


def at_best_precision(points: Iterable[Point], planted: int) -> Point:
    """The point that finds most among those as precise as the method gets. A point that finds next to nothing
    is not considered unless all are such.
    """
    points = list(points)
    finding = [each for each in points if each.tally.right >= LEAST_FOUND * planted] or points
    best = max(each.tally.precision() for each in finding)
    return max(
        (each for each in finding if each.tally.precision() >= best - NEAR), key=lambda each: each.tally.right
    )


def recall_at(points: Iterable[Point], precision: float, planted: int) -> float:
    """The largest recall at no less than this precision, 0 if there is none."""
    return max((each.tally.right / planted for each in points if each.tally.precision() >= precision), default=0.0)
