"""View.RECURRING and View.SYSTEM: what recurs in users' words, and in system prompts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.corpus import Corpus, numbered
from indexer.grams import HotGrams, TokenTable, look_up
from indexer.hot_grams import HotCounts, hot_counts, more_hot_counts
from indexer.kept import kept_in_corpus, texts_with
from indexer.occurrences import RunCounts
from indexer.ranges import any_in, places_in
from indexer.recurring import cut_out
from indexer.senders import Senders
from indexer.settings import Detection
from indexer.texts import Texts, sizes_of, taken
from indexer.views import NEW, Words, known_texts, parts_of, write_points
from indexer.workspace import Folder
from models.view import View

IntArray = NDArray[np.int64]
CutOut = Callable[[Sequence[str], TokenTable, NDArray[np.bool_]], list[str]]

_NOTHING: Final = -1  # number of a text in which nothing recurs


def write_recurring_view(
    folder: Folder,
    view: View,
    corpus: Corpus,
    words: Words,
    detection: Detection,
    cut: CutOut = cut_out,
    base: Folder | None = None,
) -> None:
    """Puts recurring text of the user's words (View.RECURRING) or of the system prompt (View.SYSTEM) into a
    folder, and the hot grams that decide what recurs. cut: does what `cut_out` does. base: where the view of the
    corpus before is; only texts that it lacks are cut, and those of which something else recurs now.
    """
    role, table = words.role, words.table
    sent_by = corpus.senders_of(role.text_of_prompt, len(role.texts))
    earlier = _Shown.nothing() if base is None else _Shown.read(base)
    hot = _hot_counts(table, sent_by, view, detection, earlier)
    stale = np.concatenate([_stale(table, hot, earlier), np.arange(len(earlier.numbers), len(role.texts))])
    number = np.concatenate([earlier.numbers, np.full(len(role.texts) - len(earlier.numbers), _NOTHING)])
    known = known_texts(base)
    with folder.texts_writer("fresh") as texts:
        for first, last in parts_of(sizes_of(role.texts)[stale]):
            rows, pieces = _pieces(role.texts, table, stale[first:last], hot.grams, cut)
            number[stale[first:last]] = _NOTHING
            number[rows], fresh = numbered(pieces, known)
            texts.append(fresh)
    used = np.unique(number[number != _NOTHING])  # a text that no prompt shows any more is dropped
    with folder.texts_writer("texts") as texts:
        begin = 0
        for some in (earlier.texts, folder.texts("fresh")):
            mine = used[slice(*np.searchsorted(used, [begin, begin + len(some)]))] - begin
            for first, last in parts_of(some.sizes[mine]):
                texts.append_all(some.at(mine[first:last]))
            begin += len(some)
    folder.drop_texts("fresh")
    place = np.full(len(known) + 1, _NOTHING)
    place[used] = np.arange(len(used))
    number = place[number]
    for name, array in (
        ("hot.hashes", hot.hashes),
        ("hot.deep", hot.deep),
        ("hot.sendings", hot.sendings),
        ("hot.least_units", hot.least_units),
        ("hot.most_units", hot.most_units),
        ("hot.counted", hot.counted.counts),
        ("senders", np.diff(sent_by.offsets)),
        ("numbers", number),
        ("keys", known.keys[used]),
        ("origin", np.where(used < len(earlier.texts), used, NEW)),
    ):
        folder.write(name, array)
    shows = number != _NOTHING
    write_points(folder, corpus, role.text_of_prompt, shows.astype(np.int64), number[shows], len(used))


def read_hot_grams(folder: Folder) -> HotGrams:
    """The hot grams that `write_recurring_view` put there."""
    return _read_counts(folder).grams


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the view of the corpus before shows. numbers: (texts then,) which of `texts` each shows, or _NOTHING.
    senders: (texts then,) how many units had sent each. hot: the hot grams, None if there was no view.
    """

    texts: Texts
    numbers: IntArray
    senders: IntArray
    hot: HotCounts | None

    @classmethod
    def nothing(cls) -> "_Shown":
        return cls(Texts.of([]), np.zeros(0, np.int64), np.zeros(0, np.int64), None)

    @classmethod
    def read(cls, folder: Folder) -> "_Shown":
        numbers, sent = (folder.array(name, np.int64) for name in ("numbers", "senders"))
        return cls(folder.texts("texts"), numbers, sent, _read_counts(folder))


def _read_counts(folder: Folder) -> HotCounts:
    return HotCounts(
        folder.array("hot.hashes", np.uint64),
        folder.array("hot.deep", np.bool_),
        folder.array("hot.sendings", np.int64),
        folder.array("hot.least_units", np.int64),
        folder.array("hot.most_units", np.int64),
        RunCounts(folder.array("hot.counted", np.uint8)),
    )


def _hot_counts(
    table: TokenTable, sent_by: Senders, view: View, detection: Detection, earlier: _Shown
) -> HotCounts:
    """Hot grams, counted on from those there were."""
    min_texts = 1 if view is View.SYSTEM else detection.gram_texts  # a fixed system prompt is one text
    if earlier.hot is None:
        return hot_counts(table, sent_by, min_texts, detection.gram_units)
    return more_hot_counts(table, sent_by, min_texts, detection.gram_units, earlier.hot, earlier.senders)


def _stale(table: TokenTable, hot: HotCounts, earlier: _Shown) -> IntArray:
    """The earlier texts that show something else now: of those that hold a gram which has become hot or deep, or
    is deep no more, the ones of which other tokens are kept.
    """
    if earlier.hot is None:
        return np.zeros(0, np.int64)
    before = look_up(earlier.hot.hashes, hot.hashes)[1]
    same = before.copy()
    same[before] = earlier.hot.deep == hot.deep[before]
    found = [np.zeros(0, np.int64)]
    touched = np.flatnonzero(texts_with(table.between(0, len(earlier.numbers)), hot.hashes[~same]))
    for first, last in parts_of(np.diff(table.offsets)[touched] * table.hashes.itemsize):
        mine = table.select(touched[first:last])
        other = kept_in_corpus(mine, earlier.hot.grams) != kept_in_corpus(mine, hot.grams)
        found.append(touched[first:last][any_in(other, mine.offsets)])
    return np.concatenate(found)


def _pieces(
    texts: Sequence[str], table: TokenTable, rows: IntArray, hot: HotGrams, cut: CutOut
) -> tuple[IntArray, list[str]]:
    """Those of the rows that show anything, and what they show."""
    mine = table.select(rows)
    kept = kept_in_corpus(mine, hot)
    some = np.flatnonzero(any_in(kept, mine.offsets))
    tokens = places_in(mine.offsets[some], np.diff(mine.offsets)[some])
    return rows[some], cut(taken(texts, rows[some]), mine.select(some), kept[tokens])
