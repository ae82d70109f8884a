"""Clusters of prompts by other near-duplicate finders: cluster.py METHOD MODEL < texts.json > labels.json.

Runs in the environment of requirements.txt, started by detection.py. Texts come as a JSON list of distinct
prompts; labels go out as a list of numbers, equal for prompts of one cluster.
"""

import json
import re
import sys
from collections.abc import Callable

SHINGLE, PERMUTATIONS, JACCARD, COSINE = 3, 128, 0.5, 0.85


class Sets:
    """Disjoint sets of the numbers below `size`."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def find(self, item: int) -> int:
        while self._parent[item] != item:
            self._parent[item] = self._parent[self._parent[item]]
            item = self._parent[item]
        return item

    def join(self, one: int, other: int) -> None:
        self._parent[self.find(one)] = self.find(other)

    def labels(self) -> list[int]:
        return [self.find(item) for item in range(len(self._parent))]


def minhash(texts: list[str], _: str) -> list[int]:
    """MinHash LSH over word 3-grams, Jaccard 0.5 (datasketch)."""
    from datasketch import MinHash, MinHashLSH

    lsh, sets = MinHashLSH(threshold=JACCARD, num_perm=PERMUTATIONS), Sets(len(texts))
    for number, text in enumerate(texts):
        words = re.findall(r"\w+", text.lower())
        sketch = MinHash(num_perm=PERMUTATIONS)
        sketch.update_batch(
            [" ".join(words[i : i + SHINGLE]).encode() for i in range(max(1, len(words) - SHINGLE + 1))]
        )
        for other in lsh.query(sketch):
            sets.join(number, int(other))
        lsh.insert(str(number), sketch)
    return sets.labels()


def semhash(texts: list[str], model: str) -> list[int]:
    """Semantic near-duplicates, cosine 0.85, with the static encoder that the product uses (semhash)."""
    from model2vec import StaticModel
    from semhash import SemHash

    found = SemHash.from_records(texts, model=StaticModel.from_pretrained(model))
    places = {text: place for place, text in enumerate(texts)}
    sets = Sets(len(texts))
    for each in found.self_deduplicate(threshold=COSINE).filtered:
        sets.join(places[each.record], places[each.duplicate_of])
    return sets.labels()


METHODS: dict[str, Callable[[list[str], str], list[int]]] = {"minhash": minhash, "semhash": semhash}

if __name__ == "__main__":
    json.dump(METHODS[sys.argv[1]](json.load(sys.stdin), sys.argv[2]), sys.stdout)
