"""Reindexing: all events in, a published generation out."""

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer import layout
from indexer.cache import VectorCache
from indexer.campaigns import NO_EARLIER, Earlier, campaigns_of
from indexer.collapse import collapse_of
from indexer.crew import Crew, Engage, local_crew
from indexer.depot import Depot
from indexer.encode import Encoder
from indexer.finding import Found, find_groups
from indexer.generation import FORMAT, Generation, GenerationWriter, current_id, open_current
from indexer.lock import exclusive
from indexer.match import view_encoders
from indexer.process import usable_cores, without_collecting
from indexer.progress import Progress, SilentProgress
from indexer.publish import generation_name, publish, write_found
from indexer.replication import Replication
from indexer.resume import Workplace, Workplaces
from indexer.settings import Settings
from indexer.stages import Stages
from indexer.store import Store
from indexer.thresholds import background_margins
from indexer.vectors import FloatArray
from models.campaign import Campaign
from models.errors import Collapsed, GenerationDamaged, Unreachable
from models.generation import Manifest
from models.report import ReindexReport
from models.space import EmbeddingSpace
from models.view import View

log = logging.getLogger(__name__)

IntArray = NDArray[np.int64]

LOCK_NAME: Final = "reindex.lock"
_REPEATED: Final = "repeated.json"


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
    encoded are never encoded again, and only new events are read, taken apart and linked to what the last run
    left, unless they are many. What a run that was killed has done is not done again: it is gone on with over the
    events that there were then, if nothing published covers them, and the next run takes up those that have come
    since. With `full` all is done anew. engage: gives who does the heavy work; all cores of this machine if it is
    None.

    Raises Busy if another reindex runs on this data directory; Collapsed, unless `force`, if what the current
    generation tells apart has run together, or is gone; Unreachable if it was published, but not left at the depot
    (the next call tries again).
    """
    with exclusive(settings.data / LOCK_NAME):
        stages = Stages(progress, stopwatch)
        watermark = store.watermark()
        current = _current(settings)
        spaces = {view: each.space for view, each in view_encoders(encoder).items()}
        way = {**_parameters(settings), **{f"space of {view}": space.key for view, space in spaces.items()}}
        workplaces = Workplaces(settings.work, store, way)
        if current is not None and not full and _unchanged(current.manifest, watermark, settings, spaces):
            workplaces.keep_current(current.manifest.generation if settings.keep_work else "")
            _push(settings, current)
            return _report(current.manifest, None, stages)
        workplace = workplaces.next(
            watermark, _covered(current, settings, spaces), current.manifest.generation if current else None, full
        )
        earlier = _earlier(current, workplace)
        caches = {space.key: VectorCache(settings.vectors, space) for space in spaces.values()}
        with without_collecting(), (engage or partial(local_crew, usable_cores()))() as crew:
            found = find_groups(settings, store, encoder, caches, crew, stages, workplace)
            reason = collapse_of(found.groups.of_prompt, earlier.group_of(found.corpus.fingerprints))
            if reason and not force:
                workplace.work.remove()  # or the next run would come to the same, whatever has come since
                raise Collapsed(f"not published: {reason}; `stillwatch reindex --force` publishes it nevertheless")
            created_at = clock()
            about = Manifest(
                format=FORMAT,
                generation=generation_name(created_at, settings.generations, _elsewhere(settings)),
                parent=earlier.generation,
                created_at=created_at,
                watermark=workplace.watermark,
                spaces=spaces,
                parameters=_parameters(settings),
                counts={},
                files=(),
            )
            judge = partial(_judged, settings, found, store, earlier, about, encoder, caches, crew)
            manifest = _published(settings, found, judge, about, workplace, stages)
        _push(settings, open_current(settings.generations))
        if settings.keep_work:
            workplaces.keep_published(workplace)
        else:
            workplaces.keep([])
        return _report(manifest, found, stages)


@dataclass(frozen=True, slots=True)
class _Judged:
    """campaigns. repeated: what the items of each show, by id. reference: the greatest margin of each background
    prompt to those that are alarmed, ascending.
    """

    campaigns: list[Campaign]
    repeated: dict[str, Replication]
    reference: FloatArray


def _judged(
    settings: Settings,
    found: Found,
    store: Store,
    earlier: Earlier,
    about: Manifest,
    encoder: Encoder,
    caches: Mapping[str, VectorCache],
    crew: Crew,
) -> _Judged:
    campaigns, repeated = campaigns_of(
        found,
        store,
        earlier,
        about.generation,
        about.created_at,
        lambda texts: caches[encoder.space.key].encode(texts, encoder, SilentProgress()).vectors[:],
        crew.encoders.templates,
    )
    alarmed = np.array([campaign.level.is_alarm for campaign in campaigns], bool)
    senders, background = found.corpus.first_sender(), settings.detection.background
    margins = background_margins(found.views, found.clustered, found.exemplars, alarmed, senders, background)
    return _Judged(campaigns, repeated, margins)


def _published(
    settings: Settings,
    found: Found,
    judge: Callable[[], _Judged],
    about: Manifest,
    workplace: Workplace,
    stages: Stages,
) -> Manifest:
    """Writes what was found while it is judged: the one is files and compiled code, the other Python."""
    writer = GenerationWriter(settings.generations)
    try:
        with ThreadPoolExecutor(1) as beside:
            written = beside.submit(write_found, writer, found)
            with stages.stage("judge groups"):
                judged = judge()
            with stages.stage("publish"):
                written.result()
                workplace.work.write_value(_REPEATED, judged.repeated)
                workplace.done(about.generation, len(found.corpus.events))
                return publish(writer, found, judged.campaigns, judged.reference, about, settings.kept_generations)
    finally:
        writer.abandon()


def _elsewhere(settings: Settings) -> str:
    """The generation that other machines have, "" if there is none or nobody knows."""
    try:
        return (Depot(settings.depot).current() or "") if settings.depot else ""
    except Unreachable as error:
        log.warning("depot_unknown reason=%s", error)
        return ""


def _push(settings: Settings, generation: Generation) -> None:
    """Leaves a generation for other machines, if there is a place for it; it is published here in any case."""
    if settings.depot:
        Depot(settings.depot).push(generation, settings.kept_generations)


def _current(settings: Settings) -> Generation | None:
    """The generation that serves; None if there is none, or none that can still be read."""
    if current_id(settings.generations) is None:
        return None
    try:
        return open_current(settings.generations)
    except GenerationDamaged as error:
        log.error("earlier_generations_lost reason=%s", error)
        return None


def _earlier(current: Generation | None, workplace: Workplace) -> Earlier:
    if current is None:
        return NO_EARLIER
    campaigns = current.value(layout.CAMPAIGNS, list[Campaign])
    group = np.asarray(current.array(layout.GROUP), np.int64)
    fingerprints = np.asarray(current.array(layout.FINGERPRINTS), np.uint8)
    known = {each.campaign_id: each for each in campaigns}
    repeated = (workplace.base.work.value(_REPEATED, dict[str, Replication]) if workplace.base else None) or {}
    return Earlier(current.manifest.generation, known, np.ascontiguousarray(fingerprints), group, repeated)


def _unchanged(
    manifest: Manifest, watermark: int, settings: Settings, spaces: Mapping[View, EmbeddingSpace]
) -> bool:
    return manifest.watermark == watermark and _is_alike(manifest, settings, spaces)


def _is_alike(manifest: Manifest, settings: Settings, spaces: Mapping[View, EmbeddingSpace]) -> bool:
    """Whether a generation was made in the way in which one would be made now."""
    made = manifest.format, manifest.parameters, manifest.spaces
    return made == (FORMAT, _parameters(settings), spaces)


def _covered(current: Generation | None, settings: Settings, spaces: Mapping[View, EmbeddingSpace]) -> int:
    """The last event up to which nothing is left to do; in another way there is, up to the same one."""
    if current is None:
        return -1
    return current.manifest.watermark - (not _is_alike(current.manifest, settings, spaces))


def _parameters(settings: Settings) -> dict[str, str]:
    return {
        "encoder": settings.encoder,
        **{name: repr(value) for name, value in asdict(settings.detection).items()},
    }


def _report(manifest: Manifest, found: Found | None, stages: Stages) -> ReindexReport:
    """found: what was published; None if nothing was."""
    return ReindexReport(
        generation=manifest.generation,
        published=found is not None,
        events=manifest.counts["events"],
        prompts=manifest.counts["prompts"],
        accounts=manifest.counts["accounts"],
        encoded=found.encoded if found else 0,
        groups=len(found.groups) if found else 0,
        campaigns=manifest.counts["campaigns"],
        alarms=manifest.counts["alarms"],
        encoder=manifest.spaces[View.WHOLE].key,
        stages=tuple(stages.finished),
        seconds=stages.seconds(),
    )
