"""Projection: many dimensions laid out on a plane, so that what is near stays near. The only door to umap.

UMAP (McInnes et al., 2018), by its own package: it is the best known, and compiled with numba as we are. Its
distances between far islands mean nothing, which whoever reads the picture is told.
"""

import warnings
from typing import Final

import numpy as np

from indexer.vectors import FloatArray

NEIGHBOURS: Final = 15
_MIN_DISTANCE: Final = 0.1
_EPOCHS: Final = 200
_LEAST: Final = NEIGHBOURS + 1
_MARGIN: Final = 0.001  # share of the points on each side that may lie beyond the frame


def on_plane(vectors: FloatArray, seed: int) -> FloatArray:
    """Places of rows (n, d) on a plane, (n, 2) float32 in [0, 1]; the same for the same seed. Fewer than 16 rows
    stand in a circle: too few to have neighbours.
    """
    count = len(vectors)
    if count < _LEAST:
        angle = 2 * np.pi * np.arange(count) / max(1, count)
        return (0.5 + 0.4 * np.stack([np.cos(angle), np.sin(angle)], axis=1)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a seed leaves one core: we chose it
        import umap  # takes seconds, which only who draws should wait for

        model = umap.UMAP(
            n_neighbors=NEIGHBOURS, min_dist=_MIN_DISTANCE, n_epochs=_EPOCHS, init="pca", random_state=seed
        )
        placed = np.asarray(model.fit_transform(vectors), np.float32)
    low, high = np.quantile(placed, [_MARGIN, 1 - _MARGIN], axis=0)
    framed: FloatArray = np.clip((placed - low) / np.maximum(high - low, 1e-9), 0, 1).astype(np.float32)
    return framed
