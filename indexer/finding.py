"""Finding groups: from all events to the views of their prompts, the vectors and clusters of each view, and
groups.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.cache import VectorCache
from indexer.cells import FIRST_PROBES, Cells, cells_near, cells_of, read_cells, write_cells
from indexer.cluster import forest_clusters
from indexer.corpus import Corpus, read_corpus, write_corpus
from indexer.crew import Crew
from indexer.encode import Encoder
from indexer.encoders import Encoders, SharedEncoder
from indexer.exemplars import ViewExemplars
from indexer.grams import HotGrams, TokenTable
from indexer.graph import chord, forest_of, read_forest, write_forest
from indexer.groups import UNGROUPED, Clustered, Groups, combine, with_more
from indexer.halves import Halves
from indexer.lexical import join_templates
from indexer.match import view_encoders
from indexer.meetings import meeting_prompts
from indexer.neighbours import (
    CROWDED_ROWS,
    EXACT_LIMIT,
    Compare,
    Lists,
    all_neighbours,
    more_neighbours,
    read_lists,
    write_lists,
)
from indexer.pools import join_pools
from indexer.progress import SilentProgress
from indexer.recurring_view import read_hot_grams, write_recurring_view
from indexer.resume import Workplace
from indexer.sample import load_texts
from indexer.settings import Detection, Settings
from indexer.shared_runs import read_shared_runs, shared_runs, write_shared_runs
from indexer.stages import Stages
from indexer.standing import NOTHING_LOOKED, looked_at, read_looked, standing, write_looked
from indexer.static import StaticEncoder
from indexer.store import Store
from indexer.thresholds import Reach, ViewVectors, extended, group_exemplars, reach_of
from indexer.views import NEW, Words, read_keys, read_origin, read_table, read_view, write_table
from indexer.whole_view import write_whole_view
from indexer.workspace import Folder, Workspace
from models.view import View

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_CEILING_TEXTS: Final = 3000
_LOOKED: Final = "looked"


@dataclass(frozen=True, slots=True)
class Found:
    """What there is in the traffic up to an event. words: of the users' texts. hot: what recurs in each role.
    clustered: the groups that clustering found; groups: the same with prompts that a match would assign. reach:
    how near those outside came to a group. was: (groups,) the group of the base that each still is, see
    `indexer.standing`. encoded: how many texts had to be encoded.
    """

    corpus: Corpus
    words: Words
    hot: Mapping[View, HotGrams]
    views: Sequence[ViewVectors]
    clustered: Groups
    groups: Groups
    exemplars: Sequence[ViewExemplars]
    reach: Reach
    was: IntArray
    encoded: int


def find_groups(
    settings: Settings,
    store: Store,
    encoder: Encoder,
    caches: Mapping[str, VectorCache],
    crew: Crew,
    stages: Stages,
    workplace: Workplace,
) -> Found:
    """Groups of all events up to the watermark of the workplace. caches: the vectors of each space, by its key."""
    detection, making = (
        settings.detection,
        _Making(workplace.work, workplace.base.work if workplace.base else None, crew),
    )
    encoders = _shared(view_encoders(encoder), encoder, crew.encoders, settings)
    with stages.stage("read events and prompts"):
        corpus = read_corpus(making.made("corpus", partial(_write_corpus, store, workplace)))
    with stages.stage("take texts apart"):
        words = Words(corpus.user, making.tokens("user words", corpus.user.texts))
        system_words = Words(corpus.system, making.tokens("system words", corpus.system.texts))
    with stages.stage("find recurring text"):
        recurring = _recurring(making, View.RECURRING, corpus, words, detection)
        system = _recurring(making, View.SYSTEM, corpus, system_words, detection)
    with stages.stage("cut long texts"):
        whole = making.made(
            View.WHOLE, lambda folder, base: write_whole_view(folder, corpus, encoders[View.WHOLE], base)
        )
    folders = {View.RECURRING: recurring, View.SYSTEM: system, View.WHOLE: whole}
    vectors, encoded = _vectors_of(folders, encoders, caches, stages)
    with stages.stage("measure unrelated text"):
        ceilings = _ceilings(encoder, caches[encoder.space.key], detection)
    views: list[ViewVectors] = []
    for view, folder in folders.items():
        with stages.stage(f"cluster {view} text"):
            views.append(_clustered(making, folder, view, vectors[view], ceilings[view], detection))
    with stages.stage("combine groups"):
        clustered = _combined(making, corpus, words, views, detection)
    with stages.stage("set thresholds"):
        exemplars = group_exemplars(views, clustered, ceilings, detection)
        reach = reach_of(views, clustered, exemplars)
        groups = extended(clustered, reach)
    then = read_looked(workplace.base.work.folder(_LOOKED)) if workplace.base else NOTHING_LOOKED
    was = standing(corpus, groups, then)
    workplace.work.made(_LOOKED, lambda folder: write_looked(folder, looked_at(corpus, groups, was, then)))
    hot = {view: read_hot_grams(folders[view]) for view in (View.RECURRING, View.SYSTEM)}
    return Found(corpus, words, hot, views, clustered, groups, exemplars, reach, was, encoded)


@dataclass(frozen=True, slots=True)
class _Making:
    """work: where folders are made. base: where an earlier run has made the same ones of fewer events, if any
    has.
    """

    work: Workspace
    base: Workspace | None
    crew: Crew

    def made(self, name: str, make: Callable[[Folder, Folder | None], None]) -> Folder:
        """The folder of a name; `make` fills it, given the earlier one."""
        base = self.base.folder(name) if self.base else None
        return self.work.made(name, lambda folder: make(folder, base))

    def tokens(self, name: str, texts: Sequence[str], origin: IntArray | None = None) -> TokenTable:
        """The token table of texts, of which the first are those before, or those of `origin`."""
        tables = self.crew.encoders.token_tables
        return read_table(self.made(name, lambda folder, base: write_table(folder, texts, tables, base, origin)))


def _shared(
    encoders: Mapping[View, Encoder], encoder: Encoder, helpers: Encoders, settings: Settings
) -> Mapping[View, Encoder]:
    """The encoders of the views, with their work shared among processes if they are Python for the most part; the
    others keep all cores busy by themselves.
    """
    if not isinstance(encoder, StaticEncoder):
        return encoders
    name, weights = settings.encoder, settings.weights
    return {view: SharedEncoder(each, helpers, name, weights) for view, each in encoders.items()}


def _write_corpus(store: Store, workplace: Workplace, folder: Folder, base: Folder | None) -> None:
    if base is None or workplace.base is None:
        write_corpus(folder, store.event_table(workplace.watermark), store.prompts(workplace.watermark))
        return
    events = store.event_table(workplace.watermark, after=workplace.base.watermark)
    known = base.array("prompt_ids", np.int64)
    write_corpus(folder, events, store.prompts_among(np.setdiff1d(events.prompt, known)), base)


def _recurring(making: _Making, view: View, corpus: Corpus, words: Words, detection: Detection) -> Folder:
    """Where the recurring text of one role is, see `write_recurring_view`."""
    cut = making.crew.encoders.cut_out
    return making.made(
        view, lambda folder, base: write_recurring_view(folder, view, corpus, words, detection, cut, base)
    )


def _vectors_of(
    folders: Mapping[View, Folder],
    encoders: Mapping[View, Encoder],
    caches: Mapping[str, VectorCache],
    stages: Stages,
) -> tuple[dict[View, Halves], int]:
    """Vectors of the texts of each view, and how many texts had to be encoded for it."""
    vectors: dict[View, Halves] = {}
    fresh = 0
    for view, folder in folders.items():
        with stages.stage(f"encode {view} text"):
            encoder, texts = encoders[view], read_view(folder, view).texts
            encoded = caches[encoder.space.key].encode(texts, encoder, stages.progress, read_keys(folder))
            vectors[view] = encoded.vectors
            fresh += encoded.fresh
    return vectors, fresh


def _ceilings(encoder: Encoder, cache: VectorCache, detection: Detection) -> dict[View, float]:
    """Least cosine that may join two texts, by view. Every encoder has its own floor of similarity (0.5 for
    MiniLM, 0.8 for a static one), so the whole-text one is measured on shipped text that is unrelated.
    """
    texts = sorted({each.text for each in load_texts().background})[:_CEILING_TEXTS]
    vectors = cache.encode(texts, encoder, SilentProgress()).vectors[:]
    cosines = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    whole = float(np.quantile(cosines, 1 - detection.whole_ceiling_rate))
    return {
        View.WHOLE: whole,
        View.RECURRING: detection.recurring_ceiling,
        View.SYSTEM: detection.recurring_ceiling,
    }


def _clustered(
    making: _Making, folder: Folder, view: View, vectors: Halves, ceiling: float, detection: Detection
) -> ViewVectors:
    """Clusters of one view; templates that share their words are one, except in whole texts."""
    texts, graph = read_view(folder, view), making.crew.graph
    longest, shortest = chord(ceiling), chord(detection.same_text)

    def link(linked: Folder, base: Folder | None) -> None:
        compare = graph.compare if graph else None
        lists, cells = _neighbours(vectors, detection, longest, read_origin(folder), base, compare)
        write_lists(linked, lists)
        write_forest(linked, forest_of(vectors, texts.weights, *lists, detection.min_samples, longest, shortest))
        if cells is not None:
            write_cells(linked, cells)

    linked = making.made(f"{view} forest", link)
    forest = read_forest(linked)
    cells = read_cells(linked, vectors.shape[1]) if len(vectors) > EXACT_LIMIT else None

    def label(labelled: Folder, _: Folder | None) -> None:
        cluster = graph.clusters if graph else forest_clusters
        labels = cluster(forest, texts.weights, detection.min_cluster_size, longest, shortest)
        if view is not View.WHOLE:
            table = making.tokens(f"{view} tokens", texts.texts, read_origin(folder))
            labels = join_templates(table, texts.weights, labels)
        labelled.write("labels", labels)

    labels = making.made(f"{view} labels", label).array("labels", np.int64)
    return ViewVectors(texts, vectors, labels, forest.alone, cells)


def _neighbours(
    vectors: Halves,
    detection: Detection,
    longest: float,
    origin: IntArray,
    base: Folder | None,
    compare: Compare | None,
) -> tuple[Lists, Cells | None]:
    """Neighbour lists, and the cells where there are many rows: those of the base, as long as none of them becomes
    so crowded that it would be compared in parts.
    """
    k, least, probes = detection.neighbours, 1 - longest**2 / 2, detection.probes
    if len(vectors) <= EXACT_LIMIT:
        return all_neighbours(vectors, k, least_cosine=least), None
    if base is not None and base.has("middles"):
        before, fresh = read_cells(base, vectors.shape[1]), np.flatnonzero(origin == NEW)
        near = cells_near(vectors, fresh, before, min(probes, FIRST_PROBES))
        home = np.concatenate([before.home[origin[origin != NEW]], near[:, 0]])
        cells = replace(before, near=home[:, None])
        was, is_now = (np.bincount(each, minlength=len(cells)) > CROWDED_ROWS for each in (before.home, home))
        if not (is_now & ~was).any():
            known = read_lists(base, k)
            lists = more_neighbours(
                vectors, k, known, origin, least_cosine=least, cells=cells, near=near, probes=probes
            )
            return lists, cells
    cells = cells_of(vectors)
    lists = all_neighbours(
        vectors,
        k,
        least_cosine=least,
        same_cosine=detection.same_text,
        probes=probes,
        cells=cells,
        compare=compare,
    )
    return lists, cells


def _combined(
    making: _Making, corpus: Corpus, words: Words, views: Sequence[ViewVectors], detection: Detection
) -> Groups:
    """Groups of all views, with pools that only meet, and those of one pool made one."""
    least = detection.min_units, detection.min_events
    grouped = combine(corpus, [Clustered(each.texts, each.labels) for each in views], *least)

    def share(chosen: BoolArray) -> IntArray:
        def write(folder: Folder, base: Folder | None) -> None:
            known = read_shared_runs(base) if base else None
            write_shared_runs(folder, shared_runs(words.table, chosen, known))

        return read_shared_runs(making.made("shared runs", write)).pairs

    meeting = meeting_prompts(corpus, words.role, grouped.of_prompt == UNGROUPED, share)
    return join_pools(corpus, with_more(corpus, grouped, meeting, View.MEETINGS, *least))
