"""Which of growing groups a node is in (Tarjan, 1975), for compiled code."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.compiled import compiled, fetch

IntArray = NDArray[np.int64]
NodeArray = NDArray[np.int32]

AHEAD: Final = 16  # edges, some half a microsecond: more than memory takes, and little to keep


@compiled
def root_of(above: NodeArray, node: int) -> int:
    """The root of a node's group. above: (n,) the node above each, of a root any number below 0; what lies on the
    way is brought nearer to the root (path splitting), so that the next look is quick.
    """
    up = above[node]
    while up >= 0:
        if above[up] >= 0:
            above[node] = above[up]
        node = up
        up = above[node]
    return node


@compiled
def fetch_ahead(above: NodeArray, sources: IntArray, targets: IntArray, edge: int) -> tuple[int, int]:
    """Has the processor bring into its caches what edges further on than this one will look up in `above`: they
    come in no order of place, and to wait for memory at each would take most of the time.

    In two steps, as a node's entry says where the next is: those of the ends of the edge 2 * AHEAD on, and those
    above the ends of the edge AHEAD on, which have arrived by now. The latter are returned: most groups are flat
    enough for them to be the roots.
    """
    last = len(sources) - 1
    far, near = min(edge + 2 * AHEAD, last), min(edge + AHEAD, last)
    fetch(above, sources[far])
    fetch(above, targets[far])
    one, other = sources[near], targets[near]
    one = one if above[one] < 0 else above[one]
    other = other if above[other] < 0 else above[other]
    fetch(above, one)
    fetch(above, other)
    return one, other
