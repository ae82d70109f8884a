"""Finding groups: from all events to the views of their prompts, the vectors and clusters of each view, and
groups.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from indexer.cache import VectorCache
from indexer.cells import cells_of, read_cells, write_cells
from indexer.cluster import forest_clusters
from indexer.corpus import Corpus, read_corpus, write_corpus
from indexer.crew import Crew
from indexer.encode import Encoder
from indexer.encoders import Encoders, SharedEncoder
from indexer.exemplars import ViewExemplars
from indexer.grams import HotGrams, TokenTable
from indexer.graph import chord, read_forest, spanning_forest, write_forest
from indexer.groups import UNGROUPED, Clustered, Groups, combine, with_more
from indexer.halves import Halves
from indexer.lexical import join_templates
from indexer.match import view_encoders
from indexer.meetings import meeting_prompts
from indexer.neighbours import EXACT_LIMIT
from indexer.pools import join_pools
from indexer.progress import SilentProgress
from indexer.sample import load_texts
from indexer.settings import Detection, Settings
from indexer.stages import Stages
from indexer.static import StaticEncoder
from indexer.store import Store
from indexer.thresholds import ViewVectors, extended, group_exemplars
from indexer.views import (
    ViewTexts,
    Words,
    read_hot_grams,
    read_table,
    read_view,
    write_recurring_view,
    write_table,
    write_whole_view,
)
from indexer.workspace import Folder, Workspace
from models.view import View

_CEILING_TEXTS: Final = 3000


@dataclass(frozen=True, slots=True)
class Found:
    """What there is in the traffic up to an event. words: of the users' texts. hot: what recurs in each role.
    clustered: the groups that clustering found; groups: the same with prompts that a match would assign. encoded:
    how many texts had to be encoded.
    """

    corpus: Corpus
    words: Words
    hot: Mapping[View, HotGrams]
    views: Sequence[ViewVectors]
    clustered: Groups
    groups: Groups
    exemplars: Sequence[ViewExemplars]
    encoded: int


def find_groups(
    settings: Settings,
    store: Store,
    watermark: int,
    encoder: Encoder,
    caches: Mapping[str, VectorCache],
    crew: Crew,
    stages: Stages,
    work: Workspace,
) -> Found:
    """Groups of all events up to the watermark. caches: the vectors of each space, by its key."""
    detection = settings.detection
    encoders = _shared(view_encoders(encoder), encoder, crew.encoders, settings)

    def write_all(folder: Folder) -> None:
        write_corpus(folder, store.event_table(watermark), store.prompts(watermark))

    with stages.stage("read events and prompts"):
        corpus = read_corpus(work.made("corpus", write_all))
    with stages.stage("take texts apart"):
        words = Words(corpus.user, _tokens(work, "user words", corpus.user.texts, crew))
        system_words = Words(corpus.system, _tokens(work, "system words", corpus.system.texts, crew))
    with stages.stage("find recurring text"):
        recurring = _recurring(work, View.RECURRING, corpus, words, detection, crew)
        system = _recurring(work, View.SYSTEM, corpus, system_words, detection, crew)
    with stages.stage("cut long texts"):
        whole = work.made(View.WHOLE, lambda folder: write_whole_view(folder, corpus, encoders[View.WHOLE]))
    folders = {View.RECURRING: recurring, View.SYSTEM: system, View.WHOLE: whole}
    texts = [read_view(folder, view) for view, folder in folders.items()]
    vectors, encoded = _vectors_of(texts, encoders, caches, stages)
    with stages.stage("measure unrelated text"):
        ceilings = _ceilings(encoder, caches[encoder.space.key], detection)
    views: list[ViewVectors] = []
    for each in texts:
        with stages.stage(f"cluster {each.view} text"):
            views.append(_clustered(work, each, vectors[each.view], ceilings[each.view], detection, crew))
    with stages.stage("combine groups"):
        clustered = _combined(corpus, words, views, detection)
    with stages.stage("set thresholds"):
        exemplars = group_exemplars(views, clustered, ceilings, detection)
        groups = extended(views, clustered, exemplars)
    hot = {view: read_hot_grams(folders[view]) for view in (View.RECURRING, View.SYSTEM)}
    return Found(corpus, words, hot, views, clustered, groups, exemplars, encoded)


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


def _tokens(work: Workspace, name: str, texts: Sequence[str], crew: Crew) -> TokenTable:
    """The token table of texts."""
    return read_table(work.made(name, lambda folder: write_table(folder, texts, crew.encoders.token_tables)))


def _recurring(
    work: Workspace, view: View, corpus: Corpus, words: Words, detection: Detection, crew: Crew
) -> Folder:
    """Where the recurring text of one role is, see `write_recurring_view`."""
    return work.made(
        view, lambda folder: write_recurring_view(folder, view, corpus, words, detection, crew.encoders.cut_out)
    )


def _vectors_of(
    views: Sequence[ViewTexts], encoders: Mapping[View, Encoder], caches: Mapping[str, VectorCache], stages: Stages
) -> tuple[dict[View, Halves], int]:
    """Vectors of the texts of each view, and how many texts had to be encoded for it."""
    vectors: dict[View, Halves] = {}
    fresh = 0
    for texts in views:
        with stages.stage(f"encode {texts.view} text"):
            encoder = encoders[texts.view]
            encoded = caches[encoder.space.key].encode(texts.texts, encoder, stages.progress)
            vectors[texts.view] = encoded.vectors
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
    work: Workspace,
    texts: ViewTexts,
    vectors: Halves,
    ceiling: float,
    detection: Detection,
    crew: Crew,
) -> ViewVectors:
    """Clusters of one view; templates that share their words are one, except in whole texts."""
    longest, shortest = chord(ceiling), chord(detection.same_text)

    def link(folder: Folder) -> None:
        cells = cells_of(vectors, detection.probes) if len(vectors) > EXACT_LIMIT else None
        forest = spanning_forest(
            vectors,
            texts.weights,
            detection.neighbours,
            detection.min_samples,
            longest,
            shortest,
            cells=cells,
            compare=crew.graph.compare if crew.graph else None,
        )
        write_forest(folder, forest)
        if cells is not None:
            write_cells(folder, cells)

    linked = work.made(f"{texts.view} forest", link)
    forest = read_forest(linked)
    cells = read_cells(linked, vectors.shape[1]) if len(vectors) > EXACT_LIMIT else None

    def label(folder: Folder) -> None:
        cluster = crew.graph.clusters if crew.graph else forest_clusters
        labels = cluster(forest, texts.weights, detection.min_cluster_size, longest, shortest)
        if texts.view is not View.WHOLE:
            table = _tokens(work, f"{texts.view} tokens", texts.texts, crew)
            labels = join_templates(table, texts.weights, labels)
        folder.write("labels", labels)

    labels = work.made(f"{texts.view} labels", label).array("labels", np.int64)
    return ViewVectors(texts, vectors, labels, forest.alone, cells)


def _combined(corpus: Corpus, words: Words, views: Sequence[ViewVectors], detection: Detection) -> Groups:
    """Groups of all views, with pools that only meet, and those of one pool made one."""
    least = detection.min_units, detection.min_events
    grouped = combine(corpus, [Clustered(each.texts, each.labels) for each in views], *least)
    meeting = meeting_prompts(corpus, words.role, words.table, grouped.of_prompt == UNGROUPED)
    return join_pools(corpus, with_more(corpus, grouped, meeting, View.MEETINGS, *least))
