"""Processes that encode texts and take them apart, for encoders that are Python for the most part.

Run as a program this is such a process, see `indexer.children`.
"""

import logging
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import numpy as np

from indexer.children import Children, answer_all
from indexer.encode import Encoder, load_encoder
from indexer.grams import TokenTable, joined_tables, token_table
from indexer.sketch import SketchedEncoder
from indexer.vectors import FloatArray
from models.space import EmbeddingSpace

LEAST_TEXTS: Final = 20_000  # in all, from which it pays to start processes
_PART_TEXTS: Final = 4_096  # in one question

_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class _Question(msgspec.Struct, frozen=True, array_like=True):
    """task: "encode", "cut" or "tokens". name, weights: of the encoder, as `load_encoder` takes them. sketched:
    whether a sketch stands beside its vectors.
    """

    task: str
    texts: Sequence[str]
    name: str = ""
    weights: str = ""
    sketched: bool = False


class _Table(msgspec.Struct, frozen=True, array_like=True):
    """A token table's arrays."""

    hashes: bytes
    unspaced: bytes
    offsets: bytes


_QUESTIONS: Final = msgspec.msgpack.Decoder(_Question)
_CUT: Final = msgspec.msgpack.Decoder(dict[int, list[str]])
_TABLE: Final = msgspec.msgpack.Decoder(_Table)


class Encoders(Children):
    """`count` processes, started when there is enough to do; a context manager that leaves none behind. What a
    process that died had to do is done here.
    """

    def __init__(self, count: int) -> None:
        super().__init__("indexer.encoders", count)

    def token_table(self, texts: Sequence[str]) -> TokenTable:
        """`indexer.grams.token_table` of the texts."""

        def read(answer: bytes) -> TokenTable:
            table = _TABLE.decode(answer)
            return TokenTable(
                np.frombuffer(table.hashes, np.uint64),
                np.frombuffer(table.unspaced, np.bool_),
                np.frombuffer(table.offsets, np.int64),
            )

        return joined_tables(self.shared(texts, lambda part: _Question("tokens", part), read, token_table))

    def shared(
        self,
        texts: Sequence[str],
        question: Callable[[Sequence[str]], _Question],
        read: Callable[[bytes], Answer],
        here: Callable[[Sequence[str]], Answer],
    ) -> list[Answer]:
        """Answers to the questions about parts of the texts, in order. read: makes one of what a process says.
        here: gives the same in this process.
        """
        if len(texts) < LEAST_TEXTS and not self._children:
            return [here(texts)]
        parts = [texts[start : start + _PART_TEXTS] for start in range(0, len(texts), _PART_TEXTS)]
        asked = [self.ask(msgspec.msgpack.encode(question(part))) for part in parts[: 2 * self.count]]
        found: list[Answer] = []
        for number, part in enumerate(parts):
            answer = asked[number]()
            if number + 2 * self.count < len(parts):  # some wait, but never all there are
                asked.append(self.ask(msgspec.msgpack.encode(question(parts[number + 2 * self.count]))))
            asked[number] = _nobody
            if answer is None:
                _log.warning("an encoder has died texts=%d", len(part))
            found.append(here(part) if answer is None else read(answer))
        return found


class SharedEncoder:
    """A tier's encoder whose work on many texts processes share; what it gives is the same."""

    def __init__(self, encoder: Encoder, encoders: Encoders, name: str, weights: Path) -> None:
        """encoder: that of `load_encoder(name, weights)`, or a `SketchedEncoder` of it."""
        self._encoder = encoder
        self._encoders = encoders
        self._asking = (name, str(weights), isinstance(encoder, SketchedEncoder))

    @property
    def space(self) -> EmbeddingSpace:
        return self._encoder.space

    def windows(self, text: str) -> list[str]:
        return self._encoder.windows(text)

    def cut(self, texts: Sequence[str]) -> list[list[str]]:
        parts = self._encoders.shared(
            texts,
            lambda part: _Question("cut", part, *self._asking),
            _CUT.decode,
            lambda part: _several(self._encoder.cut(part)),
        )
        found: list[list[str]] = []
        for several in parts:
            begin = len(found)
            size = min(_PART_TEXTS, len(texts) - begin) if len(parts) > 1 else len(texts)
            found += [several.get(place) or [texts[begin + place]] for place in range(size)]
        return found

    def encode(self, texts: Sequence[str]) -> FloatArray:
        width = self.space.dimension
        parts = self._encoders.shared(
            texts,
            lambda part: _Question("encode", part, *self._asking),
            lambda answer: np.frombuffer(answer, np.float32).reshape(-1, width),
            self._encoder.encode,
        )
        return np.concatenate(parts)

    def encode_windows(self, texts: Sequence[str]) -> list[FloatArray]:
        return self._encoder.encode_windows(texts)


def _nobody() -> bytes | None:
    return None


def _several(cut: Sequence[list[str]]) -> dict[int, list[str]]:
    """The windows of the texts that have several, by the text's place."""
    return {place: windows for place, windows in enumerate(cut) if len(windows) > 1}


@cache
def _encoder(name: str, weights: str, sketched: bool) -> Encoder:
    encoder = load_encoder(name, Path(weights))
    return SketchedEncoder(encoder) if sketched else encoder


def _answer(question: bytes) -> bytes:
    asked = _QUESTIONS.decode(question)
    if asked.task == "tokens":
        table = token_table(asked.texts)
        arrays = (table.hashes, table.unspaced, table.offsets)
        return msgspec.msgpack.encode(_Table(*(each.tobytes() for each in arrays)))
    encoder = _encoder(asked.name, asked.weights, asked.sketched)
    if asked.task == "cut":
        return msgspec.msgpack.encode(_several(encoder.cut(asked.texts)))
    return encoder.encode(asked.texts).tobytes()


if __name__ == "__main__":
    answer_all(_answer)
