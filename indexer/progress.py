"""How a long job tells a person where it is."""

from typing import Any, Final, Protocol, TextIO

import msgspec
from tqdm import tqdm

_LOG_INTERVAL_S: Final = 10.0  # between two lines of a bar that goes into a log


class Progress(Protocol):
    """Told by a job what it is doing. An exception from any of these stops the job between two steps."""

    def stage(self, name: str, total: int | None) -> None:
        """A new stage begins; the one before has ended. total: steps it will take, None if unknown."""

    def advance(self, n: int = 1) -> None:
        """n further steps of the stage are done."""

    def done(self) -> None:
        """The last stage has ended."""


class SilentProgress:
    """Says nothing."""

    def stage(self, name: str, total: int | None) -> None:
        """Nothing."""

    def advance(self, n: int = 1) -> None:
        """Nothing."""

    def done(self) -> None:
        """Nothing."""


class BarProgress:
    """A bar with rate and time left for each stage, drawn on a stream; finished stages stay visible."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bar: tqdm[Any] | None = None

    def stage(self, name: str, total: int | None) -> None:
        """Begin a bar of its own for the stage."""
        self.done()
        interval_s = 0.1 if self._stream.isatty() else _LOG_INTERVAL_S
        self._bar = tqdm(
            desc=name,
            total=total,
            file=self._stream,
            dynamic_ncols=True,
            unit_scale=True,
            mininterval=interval_s,
            maxinterval=interval_s,
        )

    def advance(self, n: int = 1) -> None:
        """Move the bar; nothing before the first stage."""
        if self._bar is not None:
            self._bar.update(n)

    def done(self) -> None:
        """Leave the bar as it is and begin no other."""
        if self._bar is not None:
            if not self._bar.n:
                self._bar.bar_format = "{desc}: {elapsed}"  # a stage that counts nothing has no rate
            self._bar.close()
            self._bar = None


class JsonProgress:
    """One JSON object a line on a stream: {"stage", "done", "total"}; for the process that started this one.

    A line at the start of a stage and then at every twentieth part of it (every 1,000 steps if its length is
    unknown), so that a long stage neither floods the reader nor leaves it guessing.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._stage, self._total = "", 0
        self._done = self._told = 0

    def stage(self, name: str, total: int | None) -> None:
        """Tell of the new stage."""
        self._stage, self._total = name, total or 0
        self._done = self._told = 0
        self._tell()

    def advance(self, n: int = 1) -> None:
        """Count, and tell now and then."""
        self._done += n
        if self._done - self._told >= max(1, self._total // 20 or 1000):
            self._tell()

    def done(self) -> None:
        """Nothing: the next stage, or the end of the process, says it."""

    def _tell(self) -> None:
        self._told = self._done
        row = {"stage": self._stage, "done": self._done, "total": self._total or None}
        self._stream.write(msgspec.json.encode(row).decode() + "\n")
        self._stream.flush()
