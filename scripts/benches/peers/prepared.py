"""Exemplars with their vectors, so that no server spends a quarter of an hour on encoding what all of them hold.

The vectors are MiniLM's, of the very weights that each peer then encodes the prompts with that it is asked about.
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def pairs(folder: Path) -> list[tuple[str, str]]:
    """(campaign, text) of each exemplar."""
    return [(campaign, text) for campaign, text in json.loads((folder / "exemplars.json").read_text())]


def vectors(folder: Path) -> NDArray[np.float32]:
    """Unit vectors of the exemplars, (exemplars, 384)."""
    found: NDArray[np.float32] = np.load(folder / "vectors.npy")
    return found


def by_text(folder: Path) -> dict[str, NDArray[np.float32]]:
    """Vector of each exemplar's text."""
    return {text: vector for (_, text), vector in zip(pairs(folder), vectors(folder), strict=True)}
