"""Where a reindex works, and what it goes on from: where a killed one stopped, behind the last one, or afresh."""

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from indexer.generation import FORMAT
from indexer.store import Store
from indexer.workspace import Workspace, remove

log = logging.getLogger(__name__)

GROWTH: Final = 1.5  # times the events of the last full run, beyond which its hot grams and cells are worn out
_RECIPE: Final = 2  # raised whenever what a run leaves for the next one changes
_RECIPE_DIGITS: Final = 16
_BEGUN: Final = "begun.json"
_DONE: Final = "done.json"


class _Begun(msgspec.Struct, frozen=True):
    """What a run goes on from: the name of another's workplace, "" for nothing."""

    base: str


class _Done(msgspec.Struct, frozen=True):
    """What a run came to: the generation, its events, and those of the full run that it goes back to."""

    generation: str
    events: int
    full_events: int


@dataclass(frozen=True, slots=True)
class Base:
    """What an earlier run left. work: where it is. watermark: up to which event. full_events: how many events the
    full run had that it goes back to.
    """

    work: Workspace
    watermark: int
    full_events: int


@dataclass(frozen=True, slots=True)
class Workplace:
    """work: where to work. watermark: up to which event. base: what to go on from, None for a full run."""

    work: Workspace
    watermark: int
    base: Base | None

    def done(self, generation: str, events: int) -> None:
        """Notes which generation of so many events this run comes to. It counts from when that generation is
        current.
        """
        full_events = events if self.base is None else self.base.full_events
        self.work.write_value(_DONE, _Done(generation, events, full_events))


class Workplaces:
    """Where reindexes of one data directory work, below `root`.

    way: spaces and parameters; what was done in another way is of no use, nor is what belongs to another store.
    """

    def __init__(self, root: Path, store: Store, way: Mapping[str, str]) -> None:
        self._root = root
        self._store = store
        told = msgspec.json.encode((_RECIPE, FORMAT, version("stillwatch"), way))
        self._recipe = sha256(told).hexdigest()[:_RECIPE_DIGITS]

    def next(self, watermark: int, covered: int, current: str | None, full: bool) -> Workplace:
        """Where the next run works: where a killed one stopped, or in a new workplace. What is of no use is
        removed, and with `full` all that is there.

        covered: an event up to which all is done; work that goes no further is of no use. current: the generation
        that serves; what the run left that it comes from is what the new one goes on from, unless there are too
        many new events.
        """
        base = None if full else self._base(current, watermark)
        begun = None if full else self._begun(covered, base)
        workplace = begun or Workplace(Workspace(self._root / self._name(watermark)), watermark, base)
        if begun is None:
            workplace.work.remove()
            workplace.work.path.mkdir()
            workplace.work.write_value(_BEGUN, _Begun(base.work.path.name if base else ""))
        self.keep([workplace.work, *([workplace.base.work] if workplace.base else [])])
        return workplace

    def keep_current(self, current: str) -> None:
        """Removes all but what the run left that the current generation comes from."""
        self.keep([work for work, _ in self._mine() if _generation(work) == current])

    def keep_published(self, workplace: Workplace) -> None:
        """Removes all but what a run has left that is over: nobody goes on with it, only from it."""
        (workplace.work.path / _BEGUN).unlink(missing_ok=True)
        self.keep([workplace.work])

    def keep(self, works: list[Workspace]) -> None:
        """Removes all but these."""
        kept = {work.path for work in works}
        for path in self._root.iterdir() if self._root.exists() else ():
            if path not in kept:
                remove(path) if path.is_dir() else path.unlink()

    def _mine(self) -> Iterator[tuple[Workspace, int]]:
        """Workplaces of runs over this store in this way, and up to which event each is."""
        mine = re.compile(f"([0-9]+)-([0-9a-f]+)-{self._recipe}")
        for path in sorted(self._root.iterdir()) if self._root.exists() else ():
            name = mine.fullmatch(path.name)
            if name and _event(self._store, int(name[1])) == name[2]:
                yield Workspace(path), int(name[1])

    def _base(self, current: str | None, watermark: int) -> Base | None:
        for work, last in self._mine():
            done = work.value(_DONE, _Done)
            if not current or done is None or done.generation != current or last > watermark:
                continue
            if self._store.events_up_to(watermark) > GROWTH * done.full_events:
                continue
            if self._store.events_up_to(last) == done.events and work.is_whole():
                return Base(work, last, done.full_events)
            log.warning("base_damaged work=%s", work.path.name)
        return None

    def _begun(self, covered: int, base: Base | None) -> Workplace | None:
        """Where a run that was killed stopped."""
        for work, last in self._mine():
            begun = work.value(_BEGUN, _Begun)
            behind = base.work.path.name if base else ""
            if begun and last > covered and begun.base == behind and work.is_whole():
                return Workplace(work, last, base)
        return None

    def _name(self, watermark: int) -> str:
        return f"{watermark}-{_event(self._store, watermark)}-{self._recipe}"


def _generation(work: Workspace) -> str | None:
    done = work.value(_DONE, _Done)
    return done.generation if done else None


def _event(store: Store, sequence: int) -> str:
    """Tells the event of a sequence number from that of another store."""
    return (store.digest_at(sequence) or b"\0").hex()
