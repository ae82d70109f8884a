"""What is counted on when more has come equals what is counted at once: grams, runs, neighbours, views."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_neighbours import groups
from test_views import DETECTION, Row

from indexer import byte_products
from indexer import shared_runs as shared_runs_module
from indexer.cells import Cells, cells_near, cells_of
from indexer.corpus import Corpus, read_corpus, write_corpus
from indexer.events import EventTable, Names
from indexer.grams import token_table
from indexer.hot_grams import HotCounts, hot_counts, more_hot_counts
from indexer.neighbours import all_neighbours, more_neighbours
from indexer.recurring_view import read_hot_grams, write_recurring_view
from indexer.senders import Senders, senders
from indexer.shared_runs import read_shared_runs, shared_runs, write_shared_runs
from indexer.views import NEW, ViewTexts, Words, read_keys, read_origin, read_table, read_view, write_table
from indexer.whole_view import write_whole_view
from indexer.workspace import Folder, Workspace
from models.prompt import Prompt
from models.view import View
from tests.tiny_encoder import TinyEncoder

Sent = list[tuple[int, int]]  # text, unit


@st.composite
def traffic(draw: st.DrawFn) -> tuple[list[str], int, Sent, int]:
    """Texts of few words, how many were there before, and events, of which the first so many were."""
    texts = draw(st.lists(st.lists(st.sampled_from("abc"), max_size=9).map(" ".join), min_size=1, max_size=10))
    before = draw(st.integers(0, len(texts)))
    event = st.tuples(st.integers(0, len(texts) - 1), st.integers(0, 4))
    sent = draw(st.lists(event, max_size=30))
    old = [each for each in sent if each[0] < before]
    then = draw(st.integers(0, len(old)))
    return texts, before, old[:then] + old[then:] + [each for each in sent if each[0] >= before], then


def sent_by(sent: Sent, texts: int) -> Senders:
    rows = np.array(sent, np.int64).reshape(-1, 2)
    return senders(rows[:, 0], rows[:, 1], texts)


def assert_same_grams(found: HotCounts, expected: HotCounts) -> None:
    """Bounds of units aside, which only must hold what was counted."""
    np.testing.assert_array_equal(found.hashes, expected.hashes)
    np.testing.assert_array_equal(found.deep, expected.deep)
    np.testing.assert_array_equal(found.sendings, expected.sendings)
    assert (found.least_units <= expected.least_units).all()
    assert (found.most_units >= expected.most_units).all()


@settings(deadline=None, max_examples=300)
@given(traffic(), st.integers(1, 3), st.integers(1, 3))
@example((["a a a a", "a a a a"], 1, [(0, 0)], 1), 2, 1)  # a text that nobody sent counts as one
def test_hot_grams(world: tuple[list[str], int, Sent, int], min_texts: int, min_units: int) -> None:
    texts, before, sent, then = world
    base = hot_counts(token_table(texts[:before]), sent_by(sent[:then], before), min_texts, min_units)
    earlier = np.diff(sent_by(sent[:then], before).offsets)
    table, now = token_table(texts), sent_by(sent, len(texts))
    expected = hot_counts(table, now, min_texts, min_units)
    found = more_hot_counts(table, now, min_texts, min_units, base, earlier)
    assert_same_grams(found, expected)
    np.testing.assert_array_equal(found.counted.counts, expected.counted.counts)


def test_more_texts_than_a_counter_counts() -> None:
    texts = [f"a b c d {number}" for number in range(700)]
    table, each = token_table(texts), np.arange(700)
    base = hot_counts(table.between(0, 250), senders(each[:250], each[:250], 250), 300, 8)
    assert base.hashes.size == 0
    found = more_hot_counts(table, senders(each, each, 700), 300, 8, base, np.ones(250, np.int64))
    assert_same_grams(found, hot_counts(table, senders(each, each, 700), 300, 8))
    assert found.hashes.size == 1


def test_a_gram_whose_units_are_unsure_is_counted_again_where_it_matters() -> None:
    """The same few units send it on and on: deep, though each of them might have been another one."""
    texts = [f"now think in small steps {number}" for number in range(40)]
    others = [f"{number} {number} {number} {number} {number}" for number in range(100, 300)]
    table = token_table([*texts[:10], *others, *texts[10:]])
    units = np.concatenate([np.arange(10) % 10, np.arange(200) + 20, np.arange(30) % 10])
    each = np.arange(240)
    base = hot_counts(table.between(0, 210), senders(each[:210], units[:210], 210), 8, 8)
    assert base.hashes.size
    assert not base.deep.any()
    found = more_hot_counts(table, senders(each, units, 240), 8, 8, base, np.ones(210, np.int64))
    assert_same_grams(found, hot_counts(table, senders(each, units, 240), 8, 8))
    assert found.deep.any()
    assert (found.least_units == found.most_units).all()


@settings(deadline=None, max_examples=200)
@given(
    texts=st.lists(
        st.lists(st.sampled_from("ab"), min_size=7, max_size=10).map(" ".join), min_size=1, max_size=40
    ),
    before=st.integers(0, 40),
    most=st.sampled_from([2, 4, 20]),
    seed=st.integers(0, 999),
)
def test_shared_runs(texts: list[str], before: int, most: int, seed: int) -> None:
    """Texts come and go, and runs become too common to tell anything, or rare again."""
    table, rng = token_table(texts), np.random.default_rng(seed)
    old = min(before, len(texts))
    then, now = rng.random(old) < 0.7, rng.random(len(texts)) < 0.7
    with TemporaryDirectory() as path, pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared_runs_module, "MOST_TEXTS", most)
        write_shared_runs(Folder(Path(path)), shared_runs(table.between(0, old), then))
        found = shared_runs(table, now, read_shared_runs(Folder(Path(path))))
        np.testing.assert_array_equal(found.pairs, shared_runs(table, now).pairs)


@pytest.mark.parametrize("by_bytes", [True, False])
@pytest.mark.parametrize("gone", [0.0, 0.2])
def test_neighbours(gone: float, by_bytes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all cells looked at, lists are those of all pairs, though a fifth of the rows is gone."""
    if not by_bytes:
        monkeypatch.setattr(byte_products, "are_bytes_exact", lambda: False)
    rows = groups(5, [400, 900, 60, 1200, 3, 800], spread=0.25)
    old = 2300
    cells = cells_of(rows[:old], 64)
    base = all_neighbours(rows[:old], 6, least_cosine=0.5)
    kept = np.flatnonzero(np.random.default_rng(1).random(old) >= gone)
    now = np.concatenate([rows[kept], rows[old:]])
    origin = np.concatenate([kept, np.full(len(rows) - old, NEW)])
    near = cells_near(now, np.arange(len(kept), len(now)), cells, 64)
    home = np.concatenate([cells.home[kept], near[:, 0]])
    together = Cells(cells.middles, home[:, None], cells.regions, cells.cells_of_region)
    found, lengths = more_neighbours(now, 6, base, origin, least_cosine=0.5, cells=together, near=near, probes=64)
    expected, true = all_neighbours(now, 6, least_cosine=0.5)
    # Of a list that has lost some rows, those that were too far then are not looked for again.
    whole = ~np.isin(base[0], np.setdiff1d(np.arange(old), kept)).any(axis=1)[kept]
    same = np.concatenate([whole, np.ones(len(now) - len(kept), bool)])
    if by_bytes:
        assert np.mean(found[same] == expected[same]) > 0.999
    else:
        np.testing.assert_array_equal(found[same], expected[same])
        np.testing.assert_allclose(lengths[same], true[same], atol=1e-6)
    assert (lengths >= true - 1e-6).all()  # none is nearer than there are


def test_a_crowded_cell_has_no_row_among_its_own_neighbours() -> None:
    rows = groups(7, [9000], spread=0.01)
    cells = cells_of(rows[:4500], 4)
    one = Cells(cells.middles[:1], np.zeros((9000, 1), np.int32), cells.regions[:1], np.array([1]))
    base = all_neighbours(rows[:4500], 5, least_cosine=0.5, cells=cells)
    origin = np.concatenate([np.arange(4500), np.full(4500, NEW)])
    near = np.zeros((4500, 1), np.int32)
    found, lengths = more_neighbours(rows, 5, base, origin, least_cosine=0.5, cells=one, near=near, probes=1)
    assert (found >= 0).all()
    assert (found != np.arange(9000)[:, None]).all()
    assert all(len(set(each)) == 5 for each in found.tolist())
    assert (np.diff(lengths, axis=1) >= 0).all()


def corpus_rows(events: Sequence[tuple[str, str, int]], ids: dict[Prompt, int]) -> tuple[EventTable, list[Row]]:
    """Events, and the prompts that `ids` does not know yet; it does then."""
    fresh = list(dict.fromkeys(Prompt(*each[:2]) for each in events if Prompt(*each[:2]) not in ids))
    ids |= {prompt: len(ids) + place + 1 for place, prompt in enumerate(fresh)}
    rows = sorted(
        (Row(ids[prompt], prompt.fingerprint(), prompt.system, prompt.user) for prompt in fresh),
        key=lambda row: row.fingerprint,
    )
    units = sorted({unit for *_, unit in events})
    nothing, none = np.full(len(events), -1, np.int64), Names(())
    unit = np.array([units.index(unit) for *_, unit in events], np.int64)
    table = EventTable(
        sequence=np.arange(len(events)),
        prompt=np.array([ids[Prompt(*each[:2])] for each in events], np.int64),
        account=unit,
        unit=unit,
        timestamp=np.arange(len(events)),
        created_at=nothing,
        model=nothing,
        payment=nothing,
        network=nothing,
        disguised=nothing,
        account_names=Names(tuple(f"a{number}" for number in units)),
        unit_names=Names(tuple(f"u{number}" for number in units)),
        model_names=none,
        payment_names=none,
        network_names=none,
    )
    return table, rows


def built(
    work: Workspace, events: Sequence[tuple[str, str, int]], ids: dict[Prompt, int], base: Workspace | None
) -> Corpus:
    """Corpus, tables and views in a place, behind those of the base."""

    def made(name: str, make: Callable[[Folder, Folder | None], None]) -> Folder:
        return work.made(name, lambda folder: make(folder, base.folder(name) if base else None))

    table, rows = corpus_rows(events, ids)
    corpus = read_corpus(made("corpus", lambda folder, before: write_corpus(folder, table, [rows], before)))
    made("whole", lambda folder, before: write_whole_view(folder, corpus, TinyEncoder(), before))
    for view, role in ((View.RECURRING, corpus.user), (View.SYSTEM, corpus.system)):
        tokens = made(
            f"{view} words",
            lambda folder, before, role=role: write_table(folder, role.texts, lambda t: [token_table(t)], before),
        )
        words = Words(role, read_table(tokens))
        made(
            view,
            lambda folder, before, view=view, words=words: write_recurring_view(
                folder, view, corpus, words, DETECTION, base=before
            ),
        )
    return corpus


def shown(corpus: Corpus, view: ViewTexts) -> set[tuple[bytes, str, int]]:
    """What the view shows of each prompt, and what that weighs."""
    pairs = zip(view.prompts.tolist(), view.points.tolist(), strict=True)
    prints = corpus.fingerprints
    return {(prints[prompt].tobytes(), view.texts[point], int(view.weights[point])) for prompt, point in pairs}


EVENT = st.tuples(
    st.lists(st.sampled_from("xyz"), max_size=6).map(" ".join),
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=20).map(" ".join),
    st.integers(0, 5),
)


@settings(deadline=None, max_examples=60)
@given(first=st.lists(EVENT, max_size=12), second=st.lists(EVENT, max_size=12), third=st.lists(EVENT, max_size=8))
def test_views_of_a_corpus_that_grew_twice(
    first: list[tuple[str, str, int]], second: list[tuple[str, str, int]], third: list[tuple[str, str, int]]
) -> None:
    with TemporaryDirectory() as path:
        places = [Workspace(Path(path) / name) for name in ("first", "second", "third", "once")]
        ids: dict[Prompt, int] = {}
        corpora, base = [], None
        for place, events in zip(places, (first, second, third), strict=False):
            corpora.append(built(place, events, ids, base))
            base = place
        once = built(places[3], [*first, *second, *third], {}, None)
        grown = corpora[2]
        names = [grown.events.unit_names.values[unit] for unit in grown.events.unit]
        assert names == [once.events.unit_names.values[unit] for unit in once.events.unit]
        prints = grown.fingerprints[grown.event_prompt]
        np.testing.assert_array_equal(prints, once.fingerprints[once.event_prompt])
        for view in (View.RECURRING, View.SYSTEM, View.WHOLE):
            folder = places[2].folder(view)
            found, expected = read_view(folder, view), read_view(places[3].folder(view), view)
            assert shown(grown, found) == shown(once, expected)
            assert len(set(found.texts)) == len(found.texts) == len(read_keys(folder)) == len(expected.texts)
            origin, before = read_origin(folder), read_view(places[1].folder(view), view)
            assert [found.texts[row] for row in np.flatnonzero(origin != NEW).tolist()] == [
                before.texts[row] for row in origin[origin != NEW].tolist()
            ]
            if view is not View.WHOLE:
                hot, at_once = read_hot_grams(folder), read_hot_grams(places[3].folder(view))
                np.testing.assert_array_equal(hot.hashes, at_once.hashes)
                np.testing.assert_array_equal(hot.deep, at_once.deep)
        assert len(read_corpus(places[0].folder("corpus"))) == len(
            corpora[0]
        )  # which shares files with the others


def test_a_table_of_texts_of_which_some_are_gone(tmp_path: Path) -> None:
    texts = ["a b c", "d e", "", "f g h i"]
    work = Workspace(tmp_path)
    base = work.made("base", lambda folder: write_table(folder, texts, lambda some: [token_table(some)]))
    now, origin = ["a b c", "f g h i", "j k"], np.array([0, 3, NEW])
    found = work.made(
        "now", lambda folder: write_table(folder, now, lambda some: [token_table(some)], base, origin)
    )
    expected = token_table(now)
    for name in ("hashes", "unspaced", "offsets"):
        np.testing.assert_array_equal(getattr(read_table(found), name), getattr(expected, name))
