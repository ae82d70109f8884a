"""Reindexing: all events in, a published generation out."""

import logging
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from indexer import layout
from indexer.cache import VectorCache
from indexer.campaigns import NO_EARLIER, Earlier, campaigns_of
from indexer.cells import cells_of, read_cells, write_cells
from indexer.cluster import forest_clusters
from indexer.collapse import collapse_of
from indexer.corpus import Corpus, read_corpus, write_corpus
from indexer.crew import Crew, Engage, local_crew
from indexer.depot import Depot
from indexer.encode import Encoder
from indexer.encoders import Encoders, SharedEncoder
from indexer.event_columns import write_event_columns
from indexer.exemplars import ViewExemplars
from indexer.generation import FORMAT, Generation, GenerationWriter, current_id, open_current
from indexer.grams import HotGrams, TokenTable
from indexer.graph import chord, read_forest, spanning_forest, write_forest
from indexer.groups import UNGROUPED, Clustered, Groups, combine, with_more
from indexer.halves import Halves
from indexer.index import VectorIndex
from indexer.items import prompt_items
from indexer.lexical import join_templates
from indexer.lock import exclusive
from indexer.match import view_encoders
from indexer.meetings import meeting_prompts
from indexer.neighbours import EXACT_LIMIT
from indexer.pools import join_pools
from indexer.process import usable_cores, without_collecting
from indexer.progress import Progress, SilentProgress
from indexer.sample import load_texts
from indexer.settings import Detection, Settings
from indexer.stages import Stages
from indexer.static import StaticEncoder
from indexer.store import Store
from indexer.thresholds import ViewVectors, background_margins, extended, group_exemplars
from indexer.vectors import FloatArray
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
from models.campaign import Campaign
from models.errors import Collapsed, GenerationDamaged
from models.generation import Manifest
from models.report import ReindexReport
from models.space import EmbeddingSpace
from models.view import View

log = logging.getLogger(__name__)

IntArray = NDArray[np.int64]

LOCK_NAME: Final = "reindex.lock"
_CEILING_TEXTS: Final = 3000
_RECIPE: Final = 1  # raised whenever what a run leaves for the next one changes
_RECIPE_DIGITS: Final = 16
_NAME_FORMAT: Final = "%Y%m%dT%H%M%S.%fZ"


def reindex(
    settings: Settings,
    store: Store,
    encoder: Encoder,
    clock: Callable[[], datetime],
    progress: Progress,
    full: bool = False,
    force: bool = False,
    engage: Engage | None = None,
    stopwatch: Callable[[], float] = time.perf_counter,
) -> ReindexReport:
    """Builds and publishes a generation over all events stored so far.

    If nothing is new and no parameter changed, the current generation stays, unless `full`. Texts already
    encoded are never encoded again. What a run that was killed has done is not done again, unless `full`: it is
    gone on with over the events that there were then, and the next run takes up those that have come since. Raises
    Busy if another reindex runs on this data directory, and, unless `force`, Collapsed if what the current
    generation tells apart has run together, or is gone; Unreachable if it was published, but not left at the depot
    (the next call tries again). engage: gives who does the heavy work; all cores of this
    machine if it is None.
    """
    with exclusive(settings.data / LOCK_NAME):
        stages = Stages(progress, stopwatch)
        watermark = store.watermark()
        current = _current(settings)
        if current is not None and not full and _unchanged(current.manifest, watermark, settings, encoder):
            _push(settings, current)
            return _report(current.manifest, published=False, encoded=0, groups=0, stages=stages)
        work, watermark = _work(settings, store, encoder, watermark, full)
        writer = GenerationWriter(settings.generations)
        try:
            with without_collecting(), (engage or partial(local_crew, usable_cores()))() as crew:
                report = _build(
                    settings,
                    store,
                    encoder,
                    crew,
                    clock,
                    stages,
                    work,
                    watermark,
                    _earlier(current),
                    writer,
                    force,
                )
        finally:
            writer.abandon()
        work.remove()
        _push(settings, open_current(settings.generations))
        return report


def _push(settings: Settings, generation: Generation) -> None:
    """Leaves a generation for other machines, if there is a place for it; it is published here in any case."""
    if settings.depot:
        Depot(settings.depot).push(generation, settings.kept_generations)


def _work(settings: Settings, store: Store, encoder: Encoder, watermark: int, full: bool) -> tuple[Workspace, int]:
    """Where to work, and up to which event: what a killed run left, if it was over the same store in the same way,
    or a new place. Whatever else is there is removed.
    """
    spaces = {view: each.space.key for view, each in view_encoders(encoder).items()}
    recipe = sha256(msgspec.json.encode((_RECIPE, spaces, _parameters(settings)))).hexdigest()[:_RECIPE_DIGITS]
    mine = re.compile(f"([0-9]+)-([0-9a-f]+)-{recipe}")
    settings.work.mkdir(parents=True, exist_ok=True)
    found: tuple[Workspace, int] | None = None
    for path in sorted(settings.work.iterdir()):
        name = mine.fullmatch(path.name)
        if name and not full and found is None and _event(store, int(name[1])) == name[2]:
            found = Workspace(path), int(name[1])
        else:
            shutil.rmtree(path)
    return found or (Workspace(settings.work / f"{watermark}-{_event(store, watermark)}-{recipe}"), watermark)


def _event(store: Store, sequence: int) -> str:
    """Tells the event of a sequence number from that of another store."""
    return (store.digest_at(sequence) or b"\0").hex()


def _build(
    settings: Settings,
    store: Store,
    encoder: Encoder,
    crew: Crew,
    clock: Callable[[], datetime],
    stages: Stages,
    work: Workspace,
    watermark: int,
    earlier: Earlier,
    writer: GenerationWriter,
    force: bool,
) -> ReindexReport:
    detection, helpers = settings.detection, crew.encoders
    encoders = _shared(view_encoders(encoder), encoder, helpers, settings)
    caches = {each.space.key: VectorCache(settings.vectors, each.space) for each in encoders.values()}
    with stages.stage("read events and prompts"):
        corpus = read_corpus(
            work.made(
                "corpus",
                lambda folder: write_corpus(folder, store.event_table(watermark), store.prompts(watermark)),
            )
        )
    with stages.stage("take texts apart"):
        words = Words(corpus.user, _tokens(work, "user words", corpus.user.texts, helpers))
        system_words = Words(corpus.system, _tokens(work, "system words", corpus.system.texts, helpers))
    with stages.stage("find recurring text"):
        recurring = _recurring(work, View.RECURRING, corpus, words, detection, helpers)
        system = _recurring(work, View.SYSTEM, corpus, system_words, detection, helpers)
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
    reason = collapse_of(groups.of_prompt, earlier.group_of(corpus.fingerprints))
    if reason and not force:
        raise Collapsed(f"not published: {reason}; `stillwatch reindex --force` publishes it nevertheless")
    with stages.stage("judge groups"):
        created_at = clock()
        name = _generation_name(created_at, settings)
        whole_texts = caches[encoder.space.key]
        campaigns = campaigns_of(
            corpus,
            store,
            groups,
            views,
            exemplars,
            earlier,
            name,
            created_at,
            lambda texts: whole_texts.encode(texts, encoder, SilentProgress()).vectors[:],
            prompt_items(words, groups.of_prompt),
        )
        alarmed = np.array([campaign.level.is_alarm for campaign in campaigns], bool)
        reference = background_margins(
            views, clustered, exemplars, alarmed, corpus.first_sender(), detection.background
        )
    with stages.stage("publish"):
        _write(
            writer,
            corpus,
            groups,
            views,
            exemplars,
            campaigns,
            reference,
            {view: read_hot_grams(folders[view]) for view in (View.RECURRING, View.SYSTEM)},
        )
        manifest = writer.publish(
            Manifest(
                format=FORMAT,
                generation=name,
                parent=earlier.generation,
                created_at=created_at,
                watermark=watermark,
                spaces={view: each.space for view, each in encoders.items()},
                parameters=_parameters(settings),
                counts=_counts(corpus, campaigns),
                files=(),
            ),
            settings.kept_generations,
        )
    return _report(manifest, published=True, encoded=encoded, groups=len(groups), stages=stages)


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


def _tokens(work: Workspace, name: str, texts: Sequence[str], helpers: Encoders) -> TokenTable:
    """The token table of texts."""
    return read_table(work.made(name, lambda folder: write_table(folder, texts, helpers.token_tables)))


def _recurring(
    work: Workspace, view: View, corpus: Corpus, words: Words, detection: Detection, helpers: Encoders
) -> Folder:
    """Where the recurring text of one role is, see `write_recurring_view`."""
    return work.made(
        view, lambda folder: write_recurring_view(folder, view, corpus, words, detection, helpers.cut_out)
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


def _combined(corpus: Corpus, words: Words, views: Sequence[ViewVectors], detection: Detection) -> Groups:
    """Groups of all views, with pools that only meet, and those of one pool made one."""
    least = detection.min_units, detection.min_events
    grouped = combine(corpus, [Clustered(each.texts, each.labels) for each in views], *least)
    meeting = meeting_prompts(corpus, words.role, words.table, grouped.of_prompt == UNGROUPED)
    return join_pools(corpus, with_more(corpus, grouped, meeting, View.MEETINGS, *least))


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
    cluster = crew.graph.clusters if crew.graph else forest_clusters
    labels = cluster(forest, texts.weights, detection.min_cluster_size, longest, shortest)
    if texts.view is not View.WHOLE:
        table = _tokens(work, f"{texts.view} tokens", texts.texts, crew.encoders)
        labels = join_templates(table, texts.weights, labels)
    return ViewVectors(texts, vectors, labels, forest.alone, cells)


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


def _write(
    writer: GenerationWriter,
    corpus: Corpus,
    groups: Groups,
    views: Sequence[ViewVectors],
    exemplars: Sequence[ViewExemplars],
    campaigns: Sequence[Campaign],
    reference: FloatArray,
    hot: Mapping[View, HotGrams],
) -> None:
    writer.value(layout.CAMPAIGNS, campaigns)
    writer.array(layout.PROMPT_IDS, corpus.prompt_ids)
    writer.array(layout.FINGERPRINTS, corpus.fingerprints)
    writer.array(layout.GROUP, groups.of_prompt)
    writer.array(layout.STRAND, groups.strand)
    writer.array(layout.BACKGROUND, reference)
    for view, grams in hot.items():
        writer.array(layout.hot_grams_file(view), grams.hashes)
        writer.array(layout.deep_grams_file(view), grams.deep)
    for each in exemplars:
        writer.array(layout.exemplar_vectors_file(each.view), each.vectors)
        writer.array(layout.exemplar_owners_file(each.view), each.owners)
    whole = next(each for each in views if each.texts.view is View.WHOLE)
    writer.index(layout.WHOLE_INDEX, _search_index(whole))
    writer.array(layout.WHOLE_PROMPT, whole.texts.prompts)
    write_event_columns(writer, corpus.events, corpus.event_prompt)


def _search_index(whole: ViewVectors) -> VectorIndex:
    points = whole.texts.points
    rows = whole.vectors.at(points)
    if whole.cells is None:
        return VectorIndex.build(rows)
    return VectorIndex.build(rows, whole.cells.middles, whole.cells.home[points])


def _counts(corpus: Corpus, campaigns: Sequence[Campaign]) -> dict[str, int]:
    return {
        "events": len(corpus.events),
        "prompts": len(corpus),
        "accounts": len(corpus.events.account_names.values),
        "campaigns": len(campaigns),
        "alarms": sum(campaign.level.is_alarm for campaign in campaigns),
    }


def _current(settings: Settings) -> Generation | None:
    """The generation that serves; None if there is none, or none that can still be read."""
    if current_id(settings.generations) is None:
        return None
    try:
        return open_current(settings.generations)
    except GenerationDamaged as error:
        log.error("earlier_generations_lost reason=%s", error)
        return None


def _earlier(current: Generation | None) -> Earlier:
    if current is None:
        return NO_EARLIER
    campaigns = current.value(layout.CAMPAIGNS, list[Campaign])
    group = np.asarray(current.array(layout.GROUP), np.int64)
    fingerprints = np.asarray(current.array(layout.FINGERPRINTS), np.uint8)
    prompts = {
        campaign.campaign_id: frozenset(row.tobytes() for row in fingerprints[group == number])
        for number, campaign in enumerate(campaigns)
    }
    known = {each.campaign_id: each for each in campaigns}
    return Earlier(current.manifest.generation, known, prompts, np.ascontiguousarray(fingerprints), group)


def _unchanged(manifest: Manifest, watermark: int, settings: Settings, encoder: Encoder) -> bool:
    spaces: dict[View, EmbeddingSpace] = {view: e.space for view, e in view_encoders(encoder).items()}
    return (
        manifest.watermark == watermark
        and manifest.parameters == _parameters(settings)
        and manifest.spaces == spaces
    )


def _parameters(settings: Settings) -> dict[str, str]:
    return {
        "encoder": settings.encoder,
        **{name: repr(value) for name, value in asdict(settings.detection).items()},
    }


def _generation_name(at: datetime, settings: Settings) -> str:
    """UTC time, so that names sort by age. A clock that was set back must not bring an old generation to the
    front, so a name that would not sort behind all there are is the microsecond after the newest of them.
    """
    newest = max((path.name for path in settings.generations.glob("*Z")), default="")
    name = at.astimezone(UTC).strftime(_NAME_FORMAT)
    if name > newest:
        return name
    return (datetime.strptime(newest, _NAME_FORMAT) + timedelta(microseconds=1)).strftime(_NAME_FORMAT)


def _report(manifest: Manifest, published: bool, encoded: int, groups: int, stages: Stages) -> ReindexReport:
    return ReindexReport(
        generation=manifest.generation,
        published=published,
        events=manifest.counts["events"],
        prompts=manifest.counts["prompts"],
        accounts=manifest.counts["accounts"],
        encoded=encoded,
        groups=groups,
        campaigns=manifest.counts["campaigns"],
        alarms=manifest.counts["alarms"],
        encoder=manifest.spaces[View.WHOLE].key,
        stages=tuple(stages.finished),
        seconds=stages.seconds(),
    )
