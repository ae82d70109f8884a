"""Which of growing groups a node is in (Tarjan, 1975), for compiled code."""

import numpy as np
from numpy.typing import NDArray

from indexer.compiled import compiled


@compiled
def root_of(above: NDArray[np.int32], node: int) -> int:
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
