"""Which of growing groups a node is in (Tarjan, 1975), for compiled code."""

import numpy as np
from numpy.typing import NDArray

from indexer.compiled import compiled


@compiled
def root_of(above: NDArray[np.int64], node: int) -> int:
    """The root of a node's group. above: (n,) the node above each, a root's its own; what lies on the way is
    brought nearer to the root (path halving), so that the next look is quick.
    """
    while above[node] != node:
        above[node] = above[above[node]]
        node = above[node]
    return node
