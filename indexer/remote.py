"""The neighbour graph and its clusters, worked out by others, who are sent what they need and nothing more.

What they give is equal to what is worked out here, in the same steps on the same numbers, if their processors are
alike: of one that multiplies bytes exactly and one that does not (see `indexer.byte_products`), each may take
another row for the nearest where rows differ by next to nothing.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from indexer.cells import MISSING, RowArray, join_lists
from indexer.cluster import NOISE, do_roots_count, renumbered
from indexer.graph import Forest
from indexer.hierarchy import select_clusters
from indexer.neighbours import Visit, compare_here
from indexer.threads import one_thread_a_product
from indexer.vectors import FloatArray, UnitRows

IntArray = NDArray[np.int64]

_VISITORS: Final = 20_000  # in one question, and no more than one cell beyond
_AHEAD: Final = 4  # questions that are asked before the first of them is answered
_BUCKETS: Final = 16  # of trees, each clustered by one of the others

_log = logging.getLogger(__name__)


class Asker(Protocol):
    """Somebody who answers questions."""

    def ask(self, question: bytes) -> Callable[[], bytes | None]:
        """Hand a question in, and get what waits for the answer: None if nobody could give it."""
        ...


class _Visits(msgspec.Struct, frozen=True, tag=True):
    """Rows to compare, numbered from 0. vectors: (n, d) float32. inside, visiting: int64 numbers, of each visit.
    k, least: length of the lists, and the cosine that is not enough to be in one.
    """

    dimension: int
    k: int
    least: float
    vectors: bytes
    inside: list[bytes]
    visiting: list[bytes]


class _Trees(msgspec.Struct, frozen=True, tag=True):
    """Trees to cluster, of points numbered from 0. sources, targets: int64. distances: float64. copies: int64."""

    sources: bytes
    targets: bytes
    distances: bytes
    copies: bytes
    min_cluster_size: int
    ceiling: float
    resolution: float
    roots_count: bool


_QUESTIONS: Final = msgspec.msgpack.Decoder(_Visits | _Trees)


@dataclass(frozen=True, slots=True)
class RemoteGraph:
    """Those who work it out. What they could not answer is worked out here."""

    asker: Asker

    def compare(self, vectors: UnitRows, visits: Iterable[Visit], rows: RowArray, cosines: FloatArray) -> None:
        """`indexer.neighbours.compare_here`."""
        least = float(cosines.min()) if cosines.size else -1.0
        asked = deque[tuple[IntArray, _Visits, Callable[[], bytes | None]]]()
        for some in _some_at_a_time(visits):
            mine, question = _question_of(vectors, some, rows.shape[1], least)
            asked.append((mine, question, self.asker.ask(msgspec.msgpack.encode(question))))
            if len(asked) > _AHEAD:
                _take_in(*asked.popleft(), rows, cosines)
        while asked:
            _take_in(*asked.popleft(), rows, cosines)

    def clusters(
        self, forest: Forest, weights: IntArray, min_cluster_size: int, ceiling: float, resolution: float
    ) -> IntArray:
        """`indexer.cluster.forest_clusters`, some trees with each of the others."""
        copies = np.minimum(weights, min_cluster_size)
        roots_count = do_roots_count(forest, copies, min_cluster_size, ceiling)
        bucket = forest.component % _BUCKETS
        asked = []
        for number in range(_BUCKETS):
            points, edges = np.flatnonzero(bucket == number), np.flatnonzero(bucket[forest.sources] == number)
            question = _Trees(
                np.searchsorted(points, forest.sources[edges]).tobytes(),
                np.searchsorted(points, forest.targets[edges]).tobytes(),
                forest.distances[edges].tobytes(),
                copies[points].tobytes(),
                min_cluster_size,
                ceiling,
                resolution,
                roots_count,
            )
            asked.append((points, question, self.asker.ask(msgspec.msgpack.encode(question))))
        labels = np.full(len(weights), NOISE, np.int64)
        clusters = 0
        for points, question, answer in asked:
            found = np.frombuffer(_answer_or_here(question, answer), np.int64)
            labels[points] = np.where(found == NOISE, NOISE, found + clusters)
            clusters += int(found.max(initial=NOISE)) + 1
        return renumbered(labels)


def answer(question: bytes) -> bytes:
    """What one of the others does."""
    return _answer(_QUESTIONS.decode(question))


def _answer(asked: _Visits | _Trees) -> bytes:
    if isinstance(asked, _Trees):
        return select_clusters(
            np.frombuffer(asked.sources, np.int64),
            np.frombuffer(asked.targets, np.int64),
            np.frombuffer(asked.distances, np.float64),
            np.frombuffer(asked.copies, np.int64),
            asked.min_cluster_size,
            asked.ceiling,
            asked.resolution,
            asked.roots_count,
        ).tobytes()
    vectors = np.frombuffer(asked.vectors, np.float32).reshape(-1, asked.dimension)
    rows = np.full((len(vectors), asked.k), MISSING, np.int32)
    cosines = np.full((len(vectors), asked.k), asked.least, np.float32)
    pairs = zip(asked.inside, asked.visiting, strict=True)
    with one_thread_a_product():
        compare_here(
            vectors, (Visit(*(np.frombuffer(each, np.int64) for each in pair)) for pair in pairs), rows, cosines
        )
    return rows.tobytes() + cosines.tobytes()


def _some_at_a_time(visits: Iterable[Visit]) -> Iterator[list[Visit]]:
    some: list[Visit] = []
    visitors = 0
    for visit in visits:
        some.append(visit)
        visitors += len(visit.visiting)
        if visitors >= _VISITORS:
            yield some
            some, visitors = [], 0
    if some:
        yield some


def _question_of(vectors: UnitRows, visits: list[Visit], k: int, least: float) -> tuple[IntArray, _Visits]:
    """The question of some visits, and the rows that its numbers stand for."""
    mine = np.unique(np.concatenate([each for visit in visits for each in (visit.inside, visit.visiting)]))
    sent = [
        [np.searchsorted(mine, each).tobytes() for each in side]
        for side in ([visit.inside for visit in visits], [visit.visiting for visit in visits])
    ]
    return mine, _Visits(vectors.shape[1], k, least, vectors[mine].tobytes(), *sent)


def _take_in(
    mine: IntArray,
    question: _Visits,
    answered: Callable[[], bytes | None],
    rows: RowArray,
    cosines: FloatArray,
) -> None:
    """Puts the lists of an answer into those of all rows."""
    told = _answer_or_here(question, answered)
    half = len(told) // 2
    found = np.frombuffer(told[:half], np.int32).reshape(len(mine), -1)
    near = np.frombuffer(told[half:], np.float32).reshape(found.shape)
    there = found != MISSING
    join_lists(mine, np.where(there, mine[found], MISSING).astype(np.int32), near, rows, cosines)


def _answer_or_here(question: _Visits | _Trees, answered: Callable[[], bytes | None]) -> bytes:
    told = answered()
    if told is None:
        _log.warning("nobody answered a question about the graph; it is worked out here")
        return _answer(question)
    return told
