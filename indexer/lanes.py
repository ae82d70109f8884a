"""Work on row numbers, done side by side on two cores by threads.

It pays where the work is compiled or a big numpy step, which need no interpreter's lock. The lanes are two,
however many cores there are, so that results never depend on the machine.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Final, TypeVar

import numpy as np

LANES: Final = 2

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_lanes(count: int, work: Callable[[int, int], None]) -> None:
    """Calls `work(first, last)` for ranges of row numbers that together are 0 to count."""
    borders = np.linspace(0, count, LANES + 1).astype(int).tolist()
    each_in_lanes(list(pairwise(borders)), lambda part: work(*part))


def each_in_lanes(items: Sequence[Item], work: Callable[[Item], Result]) -> list[Result]:
    """`work` of each item, in the order of the items; the first error of any is raised."""
    with ThreadPoolExecutor(LANES) as pool:
        return list(pool.map(work, items))
