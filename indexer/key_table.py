"""Numbers for 16-byte keys, in the order in which they first came: a set of tens of millions that takes some 50
bytes a key.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.compiled import compiled
from models.text import FINGERPRINT_BYTES, fingerprint

IntArray = NDArray[np.int64]
KeyArray = NDArray[np.uint64]

UNKNOWN: Final = -1
_LEAST_SLOTS: Final = 1 << 12
_FULLEST: Final = 2  # slots for each key, at least


def text_keys(texts: Iterable[str]) -> KeyArray:
    """Keys (n, 2) of n texts: their fingerprints."""
    return keys_of(map(fingerprint, texts))


def keys_of(fingerprints: Iterable[bytes]) -> KeyArray:
    """Keys (n, 2) of n fingerprints. They are evenly spread already, so nothing more is hashed."""
    keys: KeyArray = np.frombuffer(b"".join(fingerprints), np.uint64).reshape(-1, FINGERPRINT_BYTES // 8)
    return keys


class KeyTable:
    """Distinct keys, numbered from 0."""

    def __init__(self) -> None:
        self._keys = np.empty((_LEAST_SLOTS // _FULLEST, 2), np.uint64)
        self._slots = np.full(_LEAST_SLOTS, UNKNOWN, np.int64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def keys(self) -> KeyArray:
        """The keys in the order of their numbers, (n, 2)."""
        return self._keys[: self._count]

    def find(self, keys: KeyArray) -> IntArray:
        """Number of each key (n, 2), (n,); UNKNOWN for one that is not there."""
        numbers = np.empty(len(keys), np.int64)
        _find(self._slots, self._keys, keys, numbers)
        return numbers

    def add(self, keys: KeyArray) -> IntArray:
        """Number of each key (n, 2), (n,). Those not there yet are given the next numbers, in their order."""
        self._make_room(self._count + len(keys))
        numbers = np.empty(len(keys), np.int64)
        self._count = _add(self._slots, self._keys, self._count, keys, numbers)
        return numbers

    def _make_room(self, keys: int) -> None:
        slots = len(self._slots)
        while slots < _FULLEST * keys:
            slots *= 2
        if slots == len(self._slots):
            return
        known = self._keys[: self._count]
        self._keys = np.empty((slots // _FULLEST, 2), np.uint64)
        self._slots = np.full(slots, UNKNOWN, np.int64)
        _add(self._slots, self._keys, 0, known, np.empty(len(known), np.int64))


@compiled
def _slot_of(slots: IntArray, known: KeyArray, key: KeyArray) -> int:
    """The slot that a key has, or would have."""
    mask = np.uint64(len(slots) - 1)
    slot = key[0] & mask
    while True:
        number = slots[slot]
        if number == UNKNOWN or (known[number, 0] == key[0] and known[number, 1] == key[1]):
            return int(slot)
        slot = (slot + np.uint64(1)) & mask


@compiled
def _find(slots: IntArray, known: KeyArray, keys: KeyArray, numbers: IntArray) -> None:
    for place in range(len(keys)):
        numbers[place] = slots[_slot_of(slots, known, keys[place])]


@compiled
def _add(slots: IntArray, known: KeyArray, count: int, keys: KeyArray, numbers: IntArray) -> int:
    """Sets `numbers`, and gives how many keys there are now."""
    for place in range(len(keys)):
        slot = _slot_of(slots, known, keys[place])
        if slots[slot] == UNKNOWN:
            known[count] = keys[place]
            slots[slot] = count
            count += 1
        numbers[place] = slots[slot]
    return count
