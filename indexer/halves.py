"""Unit rows that are kept as float16, in memory or in a file that is mapped, and made float32 where they are used:
half of the memory, and none of it if the file is.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.compiled import compiled_sums
from indexer.vectors import FloatArray

IntArray = NDArray[np.int64]
HalfArray = NDArray[np.float16]
BitArray = NDArray[np.uint16]

_SCALE: Final = np.float32(2.0**112)  # between the exponents of float32 and float16


@dataclass(frozen=True, slots=True)
class Halves:
    """n unit rows. halves: (N, d) float16. places: (n,) int64, where in it each row stands."""

    halves: HalfArray
    places: IntArray

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        return len(self.places), self.halves.shape[1]

    def __len__(self) -> int:
        return len(self.places)

    def at(self, rows: IntArray) -> "Halves":
        """These rows, left where they are."""
        return Halves(self.halves, self.places[rows])

    def __getitem__(self, rows: IntArray | slice) -> FloatArray:
        """These rows, (m, d), normalised again as `indexer.vectors.stored_precision` does."""
        places = self.places[rows]
        found = np.empty((len(places), self.halves.shape[1]), np.float32)
        _take(self.halves.view(np.uint16), places, found, found.view(np.uint32))
        return found


@compiled_sums
def _take(halves: BitArray, places: IntArray, rows: FloatArray, bits: NDArray[np.uint32]) -> None:
    """Fills rows, (m, d), whose bits are `bits`. The exponent of a float16 is put where float32 has its own, and a
    product with a power of two makes up for where each counts from; that is exact, for subnormal numbers too.
    """
    for row in range(len(places)):
        place = places[row]
        for axis in range(halves.shape[1]):
            half = np.uint32(halves[place, axis])
            bits[row, axis] = ((half & np.uint32(0x8000)) << np.uint32(16)) | (
                (half & np.uint32(0x7FFF)) << np.uint32(13)
            )
        total = np.float32(0)
        for axis in range(halves.shape[1]):
            rows[row, axis] *= _SCALE
            total += rows[row, axis] * rows[row, axis]
        if total > 0:
            scale = np.float32(1) / np.sqrt(total)
            for axis in range(halves.shape[1]):
                rows[row, axis] *= scale
        else:
            rows[row, 0] = np.float32(1)
