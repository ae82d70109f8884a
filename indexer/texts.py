"""Many texts, end to end in one array of bytes: a tenth of the memory that as many strings take, and none of it if
the array lies in a file that is mapped.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, overload

import numpy as np
from numpy.typing import NDArray

from indexer.batches import batch_ranges
from indexer.ranges import places_in

IntArray = NDArray[np.int64]
ByteArray = NDArray[np.uint8]

_BLOCK: Final = 4_096  # texts that are taken from the array at a time ...
_BLOCK_BYTES: Final = 1 << 24  # ... and until they have so many bytes


class Texts(Sequence[str]):
    """n texts. data: (bytes,) uint8, UTF-8 in which surrogates may stand. offsets: (n + 1,) int64; text i has the
    bytes offsets[i] to offsets[i + 1]. A slice shares the data.
    """

    def __init__(self, data: ByteArray, offsets: IntArray) -> None:
        self.data = data
        self.offsets = offsets

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Texts":
        """These texts."""
        encoded = [encode(text) for text in texts]
        return cls(np.frombuffer(b"".join(encoded), np.uint8), offsets_of(list(map(len, encoded))))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> "Texts": ...
    def __getitem__(self, place: int | slice) -> "str | Texts":
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            if step != 1:
                raise ValueError(f"texts are sliced one by one, not in steps of {step}")
            return Texts(self.data, self.offsets[start : max(start, stop) + 1])
        at = range(len(self))[place]
        return decode(self.data[self.offsets[at] : self.offsets[at + 1]].tobytes())

    @property
    def sizes(self) -> IntArray:
        """How many bytes each text has, (n,)."""
        return np.diff(self.offsets)

    def at(self, rows: IntArray) -> "Texts":
        """The texts at these places, in this order. It takes eight bytes for each of theirs while it works."""
        lengths = self.offsets[rows + 1] - self.offsets[rows]
        return Texts(self.data[places_in(self.offsets[rows], lengths)], offsets_of(lengths))

    def __iter__(self) -> Iterator[str]:
        for first, last in batch_ranges(self.sizes, _BLOCK_BYTES, _BLOCK):
            offsets = self.offsets[first : last + 1]
            block = self.data[offsets[0] : offsets[-1]].tobytes()
            borders = (offsets - offsets[0]).tolist()
            for at in range(len(borders) - 1):
                yield decode(block[borders[at] : borders[at + 1]])


def sizes_of(texts: Sequence[str]) -> IntArray:
    """About how many bytes each text has, (n,), found without taking one out of its array."""
    return texts.sizes if isinstance(texts, Texts) else np.fromiter(map(len, texts), np.int64, len(texts))


def taken(texts: Sequence[str], rows: IntArray) -> list[str]:
    """The texts at these places, in this order."""
    return [texts[row] for row in rows.tolist()]


def offsets_of(lengths: Sequence[int] | IntArray) -> IntArray:
    """Where each of n things begins that stand end to end, and where the last one ends, (n + 1,)."""
    offsets: IntArray = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return offsets


def encode(text: str) -> bytes:
    """The bytes of a text; surrogates, which no file should hold but some do, are kept."""
    return text.encode("utf-8", "surrogatepass")


def decode(data: bytes) -> str:
    """The text of these bytes, see `encode`."""
    return data.decode("utf-8", "surrogatepass")
