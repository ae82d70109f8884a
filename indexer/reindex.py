"""Reindexing: all events in, a published generation out."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer import layout
from indexer.cache import VectorCache
from indexer.campaigns import Earlier, campaigns_of
from indexer.cells import cells_of
from indexer.cluster import forest_clusters
from indexer.corpus import Corpus, build_corpus
from indexer.encode import Encoder
from indexer.encoders import Encoders, SharedEncoder
from indexer.exemplars import ViewExemplars
from indexer.generation import FORMAT, Generation, GenerationWriter, current_id, open_current
from indexer.grams import HotGrams
from indexer.graph import chord, spanning_forest
from indexer.groups import UNGROUPED, Clustered, Groups, combine, with_more
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
from indexer.views import ViewTexts, Words, recurring_view, whole_view, words_of
from models.campaign import Campaign
from models.errors import GenerationDamaged
from models.generation import Manifest
from models.report import ReindexReport
from models.space import EmbeddingSpace
from models.text import FINGERPRINT_BYTES
from models.view import View

log = logging.getLogger(__name__)

IntArray = NDArray[np.int64]

LOCK_NAME: Final = "reindex.lock"
_CEILING_TEXTS: Final = 3000
_NAME_FORMAT: Final = "%Y%m%dT%H%M%S.%fZ"


def reindex(
    settings: Settings,
    store: Store,
    encoder: Encoder,
    clock: Callable[[], datetime],
    progress: Progress,
    full: bool = False,
    stopwatch: Callable[[], float] = time.perf_counter,
) -> ReindexReport:
    """Builds and publishes a generation over all events stored so far.

    If nothing is new and no parameter changed, the current generation stays, unless `full`. Texts already
    encoded are never encoded again. Raises Busy if another reindex runs on this data directory.
    """
    with exclusive(settings.data / LOCK_NAME):
        stages = Stages(progress, stopwatch)
        watermark = store.watermark()
        current = _current(settings)
        if current is not None and not full and _unchanged(current.manifest, watermark, settings, encoder):
            return _report(current.manifest, published=False, encoded=0, groups=0, stages=stages)
        writer = GenerationWriter(settings.generations)
        try:
            with without_collecting(), Encoders(usable_cores()) as helpers:
                return _build(
                    settings, store, encoder, helpers, clock, stages, watermark, _earlier(current), writer
                )
        finally:
            writer.abandon()


def _build(
    settings: Settings,
    store: Store,
    encoder: Encoder,
    helpers: Encoders,
    clock: Callable[[], datetime],
    stages: Stages,
    watermark: int,
    earlier: Earlier,
    writer: GenerationWriter,
) -> ReindexReport:
    detection = settings.detection
    encoders = _shared(view_encoders(encoder), encoder, helpers, settings)
    caches = {each.space.key: VectorCache(settings.vectors, each.space) for each in encoders.values()}
    with stages.stage("read events and prompts"):
        corpus = build_corpus(store.event_table(watermark), store.prompts(watermark))
    with stages.stage("find recurring text"):
        words = words_of(corpus.user, helpers.token_table)
        system_words = words_of(corpus.system, helpers.token_table)
        recurring, hot = recurring_view(View.RECURRING, corpus, words, detection, helpers.cut_out)
        system, hot_system = recurring_view(View.SYSTEM, corpus, system_words, detection, helpers.cut_out)
    with stages.stage("cut long texts"):
        whole = whole_view(corpus, encoders[View.WHOLE])
    texts = (recurring, system, whole)
    vectors, encoded = _vectors_of(texts, encoders, caches, stages)
    with stages.stage("measure unrelated text"):
        ceilings = _ceilings(encoder, caches[encoder.space.key], detection)
    views: list[ViewVectors] = []
    for each in texts:
        with stages.stage(f"cluster {each.view} text"):
            views.append(_clustered(each, vectors[each.view], ceilings[each.view], detection))
    with stages.stage("combine groups"):
        clustered = _combined(corpus, words, views, detection)
    with stages.stage("set thresholds"):
        exemplars = group_exemplars(views, clustered, ceilings, detection)
        groups = extended(views, clustered, exemplars)
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
            lambda texts: whole_texts.encode(texts, encoder, SilentProgress()).vectors,
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
            {View.RECURRING: hot, View.SYSTEM: hot_system},
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
            )
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


def _vectors_of(
    views: Sequence[ViewTexts], encoders: Mapping[View, Encoder], caches: Mapping[str, VectorCache], stages: Stages
) -> tuple[dict[View, FloatArray], int]:
    """Vectors of the texts of each view, and how many texts had to be encoded for it."""
    vectors: dict[View, FloatArray] = {}
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


def _clustered(texts: ViewTexts, vectors: FloatArray, ceiling: float, detection: Detection) -> ViewVectors:
    """Clusters of one view; templates that share their words are one, except in whole texts."""
    cells = cells_of(vectors, detection.probes) if len(vectors) > EXACT_LIMIT else None
    longest, shortest = chord(ceiling), chord(detection.same_text)
    forest = spanning_forest(
        vectors, texts.weights, detection.neighbours, detection.min_samples, longest, shortest, cells=cells
    )
    labels = forest_clusters(forest, texts.weights, detection.min_cluster_size, longest, shortest)
    if texts.view is not View.WHOLE:
        labels = join_templates(texts, labels)
    return ViewVectors(texts, vectors, labels, forest.alone, cells)


def _ceilings(encoder: Encoder, cache: VectorCache, detection: Detection) -> dict[View, float]:
    """Least cosine that may join two texts, by view. Every encoder has its own floor of similarity (0.5 for
    MiniLM, 0.8 for a static one), so the whole-text one is measured on shipped text that is unrelated.
    """
    texts = sorted({each.text for each in load_texts().background})[:_CEILING_TEXTS]
    vectors = cache.encode(texts, encoder, SilentProgress()).vectors
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
    fingerprints = np.frombuffer(b"".join(corpus.fingerprints), np.uint8)
    writer.array(layout.FINGERPRINTS, fingerprints.reshape(len(corpus), FINGERPRINT_BYTES))
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
    rows = whole.vectors[whole.texts.points]
    if whole.cells is None:
        index = VectorIndex.build(rows)
    else:
        index = VectorIndex.build(rows, whole.cells.middles, whole.cells.home[whole.texts.points])
    writer.index(layout.WHOLE_INDEX, index)
    writer.array(layout.WHOLE_PROMPT, whole.texts.prompts)


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
        return Earlier(None, {}, {})
    campaigns = current.value(layout.CAMPAIGNS, list[Campaign])
    group = np.asarray(current.array(layout.GROUP), np.int64)
    fingerprints = np.asarray(current.array(layout.FINGERPRINTS), np.uint8)
    prompts = {
        campaign.campaign_id: frozenset(row.tobytes() for row in fingerprints[group == number])
        for number, campaign in enumerate(campaigns)
    }
    return Earlier(current.manifest.generation, {each.campaign_id: each for each in campaigns}, prompts)


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
