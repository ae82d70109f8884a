"""The map of a generation: all campaigns and a sample of the other prompts on a plane, kept beside the
generations.

    maps/20260203T040506.123456Z/   prints.npy, xy.npy: fingerprints and places of its points

A map outlives its generation: points are known by their fingerprints, and belong to whatever campaign they are in
now.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer import layout
from indexer.generation import Generation, is_name
from indexer.match import Matcher
from indexer.progress import Progress
from indexer.projection import on_plane
from indexer.spacing import fair_share, spaced
from indexer.store import Store
from indexer.vectors import FloatArray
from models.errors import GenerationDamaged
from models.prompt import Prompt
from models.text import FINGERPRINT_BYTES

IntArray = NDArray[np.int64]
PrintArray = NDArray[np.uint8]

POINTS: Final = 100_000
SEED: Final = 7
_OF_CAMPAIGNS: Final = 0.5  # share of the points for prompts of campaigns, if there are so many
_BATCH: Final = 1_000
_DIMENSIONS: Final = 128
_PRINTS, _PLACES = "prints.npy", "xy.npy"
_ASIDE: Final = ".writing-"
_KEPT: Final = 2


@dataclass(frozen=True, slots=True)
class PromptMap:
    """A map as it was drawn. generation: that it was drawn of. prints: (n, 16) uint8, ascending. places: (n, 2)
    float32 in [0, 1].
    """

    generation: str
    prints: PrintArray
    places: FloatArray


@dataclass(frozen=True, slots=True)
class MappedPoints:
    """drawn: generation that the map was drawn of; it may be an earlier one. places: (n, 2) float32 in [0, 1], of
    the points whose prompts are still there. rows: (n,) int64, the prompt of each. campaigns: (n,) int64, the
    number of the campaign that it is in now, -1 for none.
    """

    drawn: str
    places: FloatArray
    rows: IntArray
    campaigns: IntArray


def chosen(group: IntArray, points: int) -> IntArray:
    """Rows of the prompts that a map shows, ascending: as many of each campaign as of any other as far as it has
    them, up to half of the points in all, and of the rest of the prompts as many as there is room for, evenly
    spaced. group: (prompts,) campaign number or -1.
    """
    inside, outside = np.flatnonzero(group >= 0), np.flatnonzero(group < 0)
    room = max(int(points * _OF_CAMPAIGNS), points - len(outside))
    sizes = np.bincount(group[inside], minlength=1)
    most = fair_share(sizes, room)
    rows = [outside[spaced(len(outside), points - int(np.minimum(sizes, most).sum()))]]
    order = inside[np.argsort(group[inside], kind="stable")]
    for members in np.split(order, np.cumsum(sizes)[:-1]):
        rows.append(members[spaced(len(members), most)])
    return np.sort(np.concatenate(rows))


def draw(
    generation: Generation,
    matcher: Matcher,
    store: Store,
    maps: Path,
    progress: Progress,
    points: int = POINTS,
    project: Callable[[FloatArray, int], FloatArray] = on_plane,
) -> PromptMap:
    """Draws the map of a generation and puts it among the maps, of which the newest two are kept.

    A point's vector is what the views show of its prompt: whole, recurring and system text side by side, since a
    wrapper is near to its like by the second and by nothing else. They are thinned to 128 dimensions by a random
    projection, which keeps distances (Johnson and Lindenstrauss, 1984).
    """
    rows = chosen(np.asarray(generation.array(layout.GROUP), np.int64), points)
    ids = np.asarray(generation.array(layout.PROMPT_IDS), np.int64)[rows]
    random = np.random.default_rng(SEED)
    thin: FloatArray | None = None
    vectors = np.empty((len(rows), _DIMENSIONS), np.float32)
    progress.stage("read and encode prompts", len(rows))
    for start in range(0, len(rows), _BATCH):
        some = store.prompts_by_id(ids[start : start + _BATCH].tolist())
        seen = matcher.side_by_side([Prompt(each.system, each.user) for each in some])
        if thin is None:
            thin = (random.standard_normal((seen.shape[1], _DIMENSIONS)) / np.sqrt(_DIMENSIONS)).astype(np.float32)
        vectors[start : start + len(some)] = seen @ thin
        progress.advance(len(some))
    progress.stage("lay out on a plane", None)
    prints = np.asarray(generation.array(layout.FINGERPRINTS), np.uint8)[rows]
    drawn = PromptMap(generation.manifest.generation, prints, project(vectors, SEED))
    _write(drawn, maps)
    return drawn


def newest(maps: Path) -> PromptMap | None:
    """The map that was drawn last, None for none. Raises GenerationDamaged if its files are none of ours."""
    for folder in sorted(_drawn(maps), reverse=True)[:1]:
        try:
            prints, places = (np.load(folder / name, allow_pickle=False) for name in (_PRINTS, _PLACES))
        except (OSError, ValueError, EOFError) as error:
            raise GenerationDamaged(f"the map of generation {folder.name} cannot be read") from error
        if prints.shape != (len(places), FINGERPRINT_BYTES) or places.shape != (len(prints), 2):
            raise GenerationDamaged(f"the map of generation {folder.name} has {prints.shape} and {places.shape}")
        return PromptMap(folder.name, prints, places)
    return None


def rows_now(prints: PrintArray, among: PrintArray) -> IntArray:
    """The row of each fingerprint, (n, 16), among those of a generation, (m, 16), both ascending; -1 where it has
    none.
    """
    high, wanted = (
        np.ascontiguousarray(each[:, :8]).view(">u8").ravel().astype(np.uint64) for each in (among, prints)
    )
    first, last = (np.searchsorted(high, wanted, side) for side in ("left", "right"))
    found = np.full(len(prints), -1, np.int64)
    for further in range(int((last - first).max(initial=0))):  # one, unless two fingerprints begin alike
        here = np.flatnonzero(first + further < last)
        row = first[here] + further
        same = (among[row] == prints[here]).all(axis=1)
        found[here[same]] = row[same]
    return found


def _write(drawn: PromptMap, maps: Path) -> None:
    maps.mkdir(parents=True, exist_ok=True)
    for leftover in maps.glob(f"{_ASIDE}*"):
        shutil.rmtree(leftover)
    aside = maps / f"{_ASIDE}{os.getpid()}"
    aside.mkdir()
    np.save(aside / _PRINTS, drawn.prints)
    np.save(aside / _PLACES, drawn.places)
    target = maps / drawn.generation
    if target.exists():
        shutil.rmtree(target)
    aside.rename(target)
    for old in sorted(_drawn(maps), reverse=True)[_KEPT:]:
        shutil.rmtree(old)


def _drawn(maps: Path) -> list[Path]:
    return [path for path in maps.glob("*Z") if is_name(path.name) and path.is_dir()]
