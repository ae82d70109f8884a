"""Processes that encode texts and take them apart, for encoders that are Python for the most part.

Run as a program this is such a process, see `indexer.children`.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from indexer.batches import batch_ranges
from indexer.children import Children, answer_all
from indexer.encode import Encoder, load_encoder
from indexer.grams import TokenTable, token_table
from indexer.ray_cluster import RayTasks
from indexer.recurring import cut_out
from indexer.sketch import SketchedEncoder
from indexer.templates import PromptSample, templates_of
from indexer.texts import sizes_of
from indexer.vectors import FloatArray
from models.campaign import Template
from models.errors import SpaceMismatch
from models.space import EmbeddingSpace

LEAST_TEXTS: Final = 20_000  # in all, from which it pays to start processes
_PART_TEXTS: Final = 4_096  # in one question ...
_PART_BYTES: Final = 1 << 24  # ... which ends once it has so many
_LEAST_SAMPLES: Final = 64  # from which it pays to start processes

_log = logging.getLogger(__name__)

IntArray = NDArray[np.int64]

Part = TypeVar("Part")
Answer = TypeVar("Answer")


class _Question(msgspec.Struct, frozen=True, array_like=True):
    """task: "encode", "cut", "tokens", "recurring" or "templates". name, weights: of the encoder, as
    `load_encoder` takes them.
    sketched: whether a sketch stands beside its vectors. space: key of the space that these must be in. lengths,
    kept: tokens of each text, and a byte for each of them, whether it is kept. sample: of prompts.
    """

    task: str
    texts: Sequence[str] = ()
    name: str = ""
    weights: str = ""
    sketched: bool = False
    space: str = ""
    lengths: bytes = b""
    kept: bytes = b""
    sample: PromptSample | None = None


class _Table(msgspec.Struct, frozen=True, array_like=True):
    """A token table's arrays."""

    hashes: bytes
    unspaced: bytes
    offsets: bytes


@dataclass(frozen=True, slots=True)
class _Case:
    """Texts, the number of tokens of each, and which of all their tokens are kept."""

    texts: Sequence[str]
    lengths: IntArray
    kept: NDArray[np.bool_]


_QUESTIONS: Final = msgspec.msgpack.Decoder(_Question)
_CUT: Final = msgspec.msgpack.Decoder(dict[int, list[str]])
_TEXTS: Final = msgspec.msgpack.Decoder(list[str])
_TEMPLATES: Final = msgspec.msgpack.Decoder(tuple[Template, ...])
_TABLE: Final = msgspec.msgpack.Decoder(_Table)


class Encoders:
    """Others who work on texts, if there are enough of these. What could not be done elsewhere is done here."""

    def __init__(self, crew: Children | RayTasks) -> None:
        """crew: they answer by `answer` of this module."""
        self._crew = crew

    def token_tables(self, texts: Sequence[str]) -> Iterator[TokenTable]:
        """`indexer.grams.token_table` of the texts, one part after the other."""

        def read(answer: bytes) -> TokenTable:
            table = _TABLE.decode(answer)
            return TokenTable(
                np.frombuffer(table.hashes, np.uint64),
                np.frombuffer(table.unspaced, np.bool_),
                np.frombuffer(table.offsets, np.int64),
            )

        parts = self.parts_of(texts)
        return self.answers(parts, lambda part: _Question("tokens", list(part)), read, token_table)

    def cut_out(self, texts: Sequence[str], table: TokenTable, kept: NDArray[np.bool_]) -> list[str]:
        """`indexer.recurring.cut_out` of the texts."""
        cases: list[_Case] = []
        first = 0
        for part in self.parts_of(texts):
            offsets = table.offsets[first : first + len(part) + 1]
            cases.append(_Case(part, np.diff(offsets), kept[offsets[0] : offsets[-1]]))
            first += len(part)
        found = self.answers(
            cases,
            lambda case: _Question(
                "recurring", list(case.texts), lengths=case.lengths.tobytes(), kept=case.kept.tobytes()
            ),
            _TEXTS.decode,
            lambda case: _left_of(case.texts, case.lengths, case.kept),
        )
        return list(chain.from_iterable(found))

    def templates(self, samples: Sequence[Callable[[], PromptSample]]) -> Iterator[tuple[Template, ...]]:
        """`indexer.templates.templates_of` samples, which are asked for when it is their turn."""
        if len(samples) < _LEAST_SAMPLES and not self._crew.is_at_work:
            return (templates_of(sample()) for sample in samples)
        return self.answers(  # one at a time: of long prompts, a sample is 20 MB
            samples,
            lambda sample: _Question("templates", sample=sample()),
            _TEMPLATES.decode,
            lambda sample: templates_of(sample()),
        )

    def parts_of(self, texts: Sequence[str]) -> list[Sequence[str]]:
        """The texts in parts, of one question each; in one part if they are too few to be shared."""
        if len(texts) < LEAST_TEXTS and not self._crew.is_at_work:
            return [texts]
        parts = batch_ranges(sizes_of(texts), _PART_BYTES, _PART_TEXTS)
        return [texts[first:last] for first, last in parts] or [texts]

    def answers(
        self,
        parts: Sequence[Part],
        question: Callable[[Part], _Question],
        read: Callable[[bytes], Answer],
        here: Callable[[Part], Answer],
    ) -> Iterator[Answer]:
        """Answers to the questions about the parts, in order. read: makes one of what a process says. here: gives
        the same in this process, which is asked if there is only one part.
        """
        if len(parts) == 1:
            yield here(parts[0])
            return
        ahead = 2 * self._crew.count  # some wait, but never all there are
        asked = deque(self._crew.ask(msgspec.msgpack.encode(question(part))) for part in parts[:ahead])
        for number, part in enumerate(parts):
            answer = asked.popleft()()
            if number + ahead < len(parts):
                asked.append(self._crew.ask(msgspec.msgpack.encode(question(parts[number + ahead]))))
            if answer is None:
                _log.warning("an encoder has died part=%d", number)
            yield here(part) if answer is None else read(answer)


class SharedEncoder:
    """A tier's encoder whose work on many texts processes share; what it gives is the same."""

    def __init__(self, encoder: Encoder, encoders: Encoders, name: str, weights: Path) -> None:
        """encoder: that of `load_encoder(name, weights)`, or a `SketchedEncoder` of it."""
        self._encoder = encoder
        self._encoders = encoders
        self._asking = (name, str(weights), isinstance(encoder, SketchedEncoder), encoder.space.key)

    @property
    def space(self) -> EmbeddingSpace:
        return self._encoder.space

    def windows(self, text: str) -> list[str]:
        return self._encoder.windows(text)

    def cut(self, texts: Sequence[str]) -> list[list[str]]:
        parts = self._encoders.parts_of(texts)
        cut = self._encoders.answers(
            parts,
            lambda part: _Question("cut", list(part), *self._asking),
            _CUT.decode,
            lambda part: _several(self._encoder.cut(part)),
        )
        return [
            several.get(place, [text])
            for part, several in zip(parts, cut, strict=True)
            for place, text in enumerate(part)
        ]

    def encode(self, texts: Sequence[str]) -> FloatArray:
        width = self.space.dimension
        parts = self._encoders.answers(
            self._encoders.parts_of(texts),
            lambda part: _Question("encode", list(part), *self._asking),
            lambda answer: np.frombuffer(answer, np.float32).reshape(-1, width),
            self._encoder.encode,
        )
        return np.concatenate(list(parts))

    def encode_windows(self, texts: Sequence[str]) -> list[FloatArray]:
        return self._encoder.encode_windows(texts)


def _several(cut: Sequence[list[str]]) -> dict[int, list[str]]:
    """The windows of the texts that have several, by the text's place."""
    return {place: windows for place, windows in enumerate(cut) if len(windows) > 1}


def _left_of(texts: Sequence[str], lengths: IntArray, kept: NDArray[np.bool_]) -> list[str]:
    """What is left of each text if only these tokens are kept."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    nothing = np.zeros(0, np.uint64)
    return cut_out(texts, TokenTable(nothing, nothing.astype(np.bool_), offsets), kept)


@cache
def _encoder(name: str, weights: str, sketched: bool) -> Encoder:
    encoder = load_encoder(name, Path(weights))
    return SketchedEncoder(encoder) if sketched else encoder


def answer(question: bytes) -> bytes:
    """What one of the others does."""
    asked = _QUESTIONS.decode(question)
    if asked.task == "tokens":
        table = token_table(asked.texts)
        arrays = (table.hashes, table.unspaced, table.offsets)
        return msgspec.msgpack.encode(_Table(*(each.tobytes() for each in arrays)))
    if asked.task == "recurring":
        lengths, kept = np.frombuffer(asked.lengths, np.int64), np.frombuffer(asked.kept, np.bool_)
        return msgspec.msgpack.encode(_left_of(asked.texts, lengths, kept))
    if asked.task == "templates" and asked.sample:
        return msgspec.msgpack.encode(templates_of(asked.sample))
    encoder = _encoder(asked.name, asked.weights, asked.sketched)
    if encoder.space.key != asked.space:  # a machine with other weights, or another version
        raise SpaceMismatch(f"the space here is {encoder.space.key}, but {asked.space} is asked for")
    if asked.task == "cut":
        return msgspec.msgpack.encode(_several(encoder.cut(asked.texts)))
    return encoder.encode(asked.texts).tobytes()


if __name__ == "__main__":
    answer_all(answer)
