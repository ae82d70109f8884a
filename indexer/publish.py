"""A generation written, named and published."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer import layout
from indexer.corpus import Corpus, PrintArray
from indexer.event_columns import write_event_columns
from indexer.finding import Found
from indexer.generation import GenerationWriter, is_name
from indexer.index import VectorIndex
from indexer.shortlist import codes_of
from indexer.threads import one_thread_of_openmp
from indexer.thresholds import ViewVectors, near_misses
from indexer.vectors import FloatArray
from models.campaign import Campaign
from models.generation import Manifest
from models.view import View

IntArray = NDArray[np.int64]

_NAME_FORMAT: Final = "%Y%m%dT%H%M%S.%fZ"


def publish(
    writer: GenerationWriter,
    found: Found,
    campaigns: Sequence[Campaign],
    reference: FloatArray,
    about: Manifest,
    keep: int,
) -> Manifest:
    """Adds what was judged to a generation that `write_found` has begun, and switches to it; gives its manifest as
    written.

    reference: greatest margin of each background prompt, ascending. about: the manifest but for counts and files.
    """
    writer.value(layout.CAMPAIGNS, campaigns)
    writer.array(layout.BACKGROUND, reference)
    return writer.publish(replace(about, counts=_counts(found.corpus, campaigns)), keep)


def generation_name(at: datetime, generations: Path, elsewhere: str) -> str:
    """Name of a generation made at a time, beside those in a folder and the newest one elsewhere ("" for none):
    UTC time, so that names sort by age. A clock
    that was set back must not bring an old generation to the front, so a name that would not sort behind all there
    are is the microsecond after the newest of them.
    """
    known = [path.name for path in generations.glob("*Z") if is_name(path.name)]
    newest = max([*known, elsewhere if is_name(elsewhere) else ""])
    name = at.astimezone(UTC).strftime(_NAME_FORMAT)
    if name > newest:
        return name
    return (datetime.strptime(newest, _NAME_FORMAT) + timedelta(microseconds=1)).strftime(_NAME_FORMAT)


def write_found(writer: GenerationWriter, found: Found) -> None:
    """Writes what was found, beside other work."""
    with one_thread_of_openmp():
        _write_found(writer, found)


def _write_found(writer: GenerationWriter, found: Found) -> None:
    corpus, groups = found.corpus, found.groups
    order, place = _by_fingerprint(corpus.fingerprints)
    writer.array(layout.PROMPT_IDS, corpus.prompt_ids[order])
    writer.array(layout.FINGERPRINTS, corpus.fingerprints[order])
    writer.array(layout.GROUP, groups.of_prompt[order])
    writer.array(layout.STRAND, groups.strand[order])
    for view, grams in found.hot.items():
        writer.array(layout.hot_grams_file(view), grams.hashes)
        writer.array(layout.deep_grams_file(view), grams.deep)
    for each in found.exemplars:
        writer.array(layout.exemplar_vectors_file(each.view), each.vectors)
        writer.array(layout.exemplar_owners_file(each.view), each.owners)
        codes = codes_of(each, len(groups))
        if codes is not None:
            writer.index(layout.exemplar_codes_file(each.view), codes)
    whole = next(each for each in found.views if each.texts.view is View.WHOLE)
    writer.index(layout.WHOLE_INDEX, _search_index(whole))
    writer.array(layout.WHOLE_PROMPT, place[whole.texts.prompts])
    write_event_columns(writer, corpus.events, place[corpus.event_prompt], groups.of_prompt[corpus.event_prompt])
    near = near_misses(found.reach)
    writer.array(layout.NEAR_PROMPT, place[near].astype(np.int32))
    writer.array(layout.NEAR_CAMPAIGN, found.reach.group[near].astype(np.int32))
    writer.weigh()


def _by_fingerprint(fingerprints: PrintArray) -> tuple[IntArray, IntArray]:
    """The prompts in the order of their fingerprints (n,), in which a generation has them, and the place of each
    in it.
    """
    order = np.lexsort(np.ascontiguousarray(fingerprints).view(">u8").T[::-1])
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return order, place


def _search_index(whole: ViewVectors) -> VectorIndex:
    points = whole.texts.points
    rows = whole.vectors.at(points)
    if whole.cells is None:
        return VectorIndex.build(rows)
    # In the order of the file: it may be larger than the memory that is left, and from a disk each row that lies
    # elsewhere brings megabytes with it, which take the place of those that are wanted next.
    as_stored = np.argsort(rows.places, kind="stable")
    return VectorIndex.build(rows, whole.cells.middles, whole.cells.home[points], as_stored)


def _counts(corpus: Corpus, campaigns: Sequence[Campaign]) -> dict[str, int]:
    return {
        "events": len(corpus.events),
        "prompts": len(corpus),
        "accounts": len(corpus.events.account_names.values),
        "campaigns": len(campaigns),
        "alarms": sum(campaign.level.is_alarm for campaign in campaigns),
    }
