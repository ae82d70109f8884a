"""Clusters of prompts by other near-duplicate finders: cluster.py METHOD MODEL < texts.json > labels.json.

Runs in the environment of requirements.txt, started by detection.py. Texts come as a JSON list of distinct
prompts; out goes an object with, for each setting of the method, a list of numbers, equal for prompts of one
cluster.
"""

import json
import re
import sys
from collections.abc import Callable

SHINGLE, PERMUTATIONS = 3, 128
JACCARDS = (0.3, 0.5, 0.7)
COSINES = (0.8, 0.9, 0.95)

Found = dict[str, list[int]]


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


def minhash(texts: list[str], _: str) -> Found:
    """MinHash LSH over word 3-grams (datasketch)."""
    from datasketch import MinHash, MinHashLSH

    sketches = []
    for text in texts:
        words = re.findall(r"\w+", text.lower())
        sketch = MinHash(num_perm=PERMUTATIONS)
        sketch.update_batch(
            [" ".join(words[i : i + SHINGLE]).encode() for i in range(max(1, len(words) - SHINGLE + 1))]
        )
        sketches.append(sketch)
    found = {}
    for jaccard in JACCARDS:
        lsh, sets = MinHashLSH(threshold=jaccard, num_perm=PERMUTATIONS), Sets(len(texts))
        for number, sketch in enumerate(sketches):
            for other in lsh.query(sketch):
                sets.join(number, int(other))
            lsh.insert(str(number), sketch)
        found[f"Jaccard {jaccard}"] = sets.labels()
    return found


def semhash(texts: list[str], model: str) -> Found:
    """Semantic near-duplicates with the static encoder that the product uses (semhash)."""
    from model2vec import StaticModel
    from semhash import SemHash

    index = SemHash.from_records(texts, model=StaticModel.from_pretrained(model))
    places = {text: place for place, text in enumerate(texts)}
    found = {}
    for cosine in COSINES:
        sets = Sets(len(texts))
        for each in index.self_deduplicate(threshold=cosine).filtered:
            sets.join(places[each.record], places[each.duplicate_of])
        found[f"cosine {cosine}"] = sets.labels()
    return found


METHODS: dict[str, Callable[[list[str], str], Found]] = {"minhash": minhash, "semhash": semhash}

if __name__ == "__main__":
    json.dump(METHODS[sys.argv[1]](json.load(sys.stdin), sys.argv[2]), sys.stdout)
