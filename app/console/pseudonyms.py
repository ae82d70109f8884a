"""Pseudonyms: what the console calls accounts and organisations, so that who reads a page need not know who they
are.

They are keyed hashes: the same for as long as the console's secret is, worth nothing outside, and nobody without
the secret can tell whether a name he knows is behind one.
"""

import re
import threading
from base64 import b32encode
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

_BYTES: Final = 8
_LETTERS: Final = 12  # five bits each: of a million accounts, two are called the same once in two million times
_SHIFT: Final = 8 * _BYTES - 5 * _LETTERS
_ACCOUNT: Final = re.compile(r"a-([a-z2-7]{12})")


class Pseudonyms:
    """Gives pseudonyms, and finds names again. Thread-safe; the places of one list of names are remembered."""

    def __init__(self, secret: bytes) -> None:
        """secret: at most 64 bytes."""
        self._secret = secret
        self._lock = threading.Lock()
        self._known: tuple[Sequence[str], NDArray[np.uint64], NDArray[np.int64]] | None = None

    def account(self, account_id: str) -> str:
        """What an account is called."""
        return f"a-{_written(self._digest(account_id, b'account'))}"

    def organisation(self, org_id: str) -> str:
        """What an organisation is called."""
        return f"o-{_written(self._digest(org_id, b'organisation'))}"

    def account_id(self, pseudonym: str, names: Sequence[str]) -> str | None:
        """Which of these accounts is called so, None if none is."""
        if not _ACCOUNT.fullmatch(pseudonym):
            return None
        digests, order = self._index(names)
        wanted = _read(pseudonym[2:])
        at = int(np.searchsorted(digests, wanted))
        return names[int(order[at])] if at < len(digests) and digests[at] == wanted else None

    def learn(self, names: Sequence[str]) -> None:
        """Makes the pseudonyms of all these beforehand."""
        self._index(names)

    def _index(self, names: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """The digests of all names, ascending, and whose each is."""
        with self._lock:
            if self._known is None or self._known[0] is not names:
                shift = np.uint64(_SHIFT)
                digests = np.fromiter((self._digest(each, b"account") for each in names), np.uint64, len(names))
                order = np.argsort(digests >> shift, kind="stable")
                self._known = (names, (digests >> shift)[order], order)
            return self._known[1], self._known[2]

    def _digest(self, name: str, kind: bytes) -> int:
        encoded = name.encode("utf-8", "surrogatepass")
        return int.from_bytes(blake2b(encoded, digest_size=_BYTES, key=self._secret, person=kind).digest(), "big")


def _written(digest: int) -> str:
    """The first 60 bits of 64, five a letter."""
    return b32encode(digest.to_bytes(_BYTES, "big"))[:_LETTERS].decode().lower()


def _read(letters: str) -> np.uint64:
    value = 0
    for letter in letters:
        value = value << 5 | "abcdefghijklmnopqrstuvwxyz234567".index(letter)
    return np.uint64(value)
