"""Our methods and the peers', each of which runs in a process of its own (worker.py).

A method is a function that imports what it needs and gives a function from arrays to arrays; so that import, and
compiling on a first small input, can be measured apart. Ours run in the product's environment, the peers in
theirs. All get min_samples in hdbscan's sense, the min_samples-th other point; scikit-learn counts the point
itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = dict[str, Array]
Fit = Callable[[Mapping[str, Array]], Arrays]
Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Method:
    """inputs: names of the arrays that it reads. start: imports, and gives the function that is timed."""

    inputs: tuple[str, ...]
    start: Callable[[Parameters], Fit]
    ours: bool = False


def _distinct(vectors: Array) -> tuple[Array, Array, Array]:
    """Places of the distinct rows, the number of its distinct row for each row, and how many rows each has. The
    product does this by the text, before a text is encoded; here all there is are vectors.
    """
    factors = np.random.default_rng(0).integers(1, 2**63, vectors.shape[1] // 2, np.uint64) * 2 + 1
    keys = np.concatenate(
        [(vectors[at : at + 50_000].view(np.uint64) * factors).sum(1) for at in _starts(vectors)]
    )
    _, first, number, weights = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    for at in _starts(vectors):
        block = slice(at, at + 50_000)
        if not np.array_equal(vectors[block], vectors[first[number[block]]]):
            raise ValueError("two unlike rows have the same key")
    return first, number, weights


@dataclass(frozen=True, slots=True)
class _Rows:
    """Unit rows left where they are, as the product's are. array: (N, d) float32. places: (n,) int64, where in it
    each row stands.
    """

    array: Array
    places: Array

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.places), self.array.shape[1]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: Any) -> Array:
        return self.array[self.places[rows]]


def _starts(vectors: Array) -> range:
    return range(0, len(vectors), 50_000)


def _product(parameters: Parameters) -> dict[str, Any]:
    """What `indexer.cluster.cluster` is called with."""
    names = ("min_cluster_size", "min_samples", "neighbours", "ceiling", "resolution", "probes", "exact_limit")
    return {name: parameters[name] for name in names}


def ours(parameters: Parameters) -> Fit:
    from indexer.cluster import cluster

    def fit(given: Mapping[str, Array]) -> Arrays:
        weights = np.ones(len(given["vectors"]), np.int64)
        return {"labels": cluster(given["vectors"], weights, **_product(parameters))}

    return fit


def ours_with_copies(parameters: Parameters) -> Fit:
    """Copies become one row of their weight first, on our time."""
    from indexer.cluster import cluster

    def fit(given: Mapping[str, Array]) -> Arrays:
        first, number, weights = _distinct(given["vectors"])
        return {"labels": cluster(_Rows(given["vectors"], first), weights, **_product(parameters))[number]}

    return fit


def graph(parameters: Parameters) -> Fit:
    """Our neighbour graph of the distinct rows, for the peers that can be fed one."""
    from indexer.neighbours import all_neighbours

    def fit(given: Mapping[str, Array]) -> Arrays:
        first, number, weights = _distinct(given["vectors"])
        least = 1 - parameters["ceiling"] ** 2 / 2
        rows, lengths = all_neighbours(
            _Rows(given["vectors"], first),
            parameters["neighbours"],
            least_cosine=least,
            same_cosine=1 - parameters["resolution"] ** 2 / 2,
            probes=parameters["probes"],
            exact_limit=parameters["exact_limit"],
        )
        return {"rows": rows, "lengths": lengths, "first": first, "number": number, "weights": weights}

    return fit


def ours_from_graph(parameters: Parameters) -> Fit:
    """What comes after the graph, as for the peers that are fed it; of the rows only some are looked at."""
    from indexer.cluster import forest_clusters
    from indexer.graph import forest_of

    def fit(given: Mapping[str, Array]) -> Arrays:
        weights, limits = given["weights"], (parameters["ceiling"], parameters["resolution"])
        rows, size = _Rows(given["vectors"], given["first"]), parameters["min_cluster_size"]
        forest = forest_of(rows, weights, given["rows"], given["lengths"], parameters["min_samples"], *limits)
        return {"labels": forest_clusters(forest, weights, size, *limits)[given["number"]]}

    return fit


def hdbscan(parameters: Parameters) -> Fit:
    from hdbscan import HDBSCAN

    def fit(given: Mapping[str, Array]) -> Arrays:
        sizes = {name: parameters[name] for name in ("min_cluster_size", "min_samples")}
        return {"labels": HDBSCAN(**sizes, core_dist_n_jobs=parameters["threads"]).fit(given["vectors"]).labels_}

    return fit


def scikit_learn(parameters: Parameters) -> Fit:
    from sklearn.cluster import HDBSCAN

    def fit(given: Mapping[str, Array]) -> Arrays:
        model = HDBSCAN(
            min_cluster_size=parameters["min_cluster_size"],
            min_samples=parameters["min_samples"] + 1,
            n_jobs=parameters["threads"],
            copy=False,
        )
        return {"labels": model.fit(given["vectors"]).labels_}

    return fit


def fast_hdbscan(parameters: Parameters) -> Fit:
    from fast_hdbscan import HDBSCAN

    def fit(given: Mapping[str, Array]) -> Arrays:
        sizes = {name: parameters[name] for name in ("min_cluster_size", "min_samples")}
        return {"labels": HDBSCAN(**sizes).fit(given["vectors"]).labels_}

    return fit


def fast_hdbscan_from_graph(parameters: Parameters) -> Fit:
    """It takes no weights with a graph, so here each distinct row counts once."""
    from fast_hdbscan import HDBSCAN
    from scipy.sparse import csr_array

    def fit(given: Mapping[str, Array]) -> Arrays:
        rows, lengths = given["rows"], given["lengths"]
        near = rows >= 0
        ends = np.concatenate([[0], np.cumsum(near.sum(1))])
        shape = (len(rows), len(rows))
        distances = csr_array((np.maximum(lengths[near], parameters["floor"]), rows[near], ends), shape)
        sizes = {name: parameters[name] for name in ("min_cluster_size", "min_samples")}
        return {"labels": HDBSCAN(**sizes, metric="precomputed").fit(distances).labels_[given["number"]]}

    return fit


def fast_plscan_from_graph(parameters: Parameters) -> Fit:
    """Weighted; a weight may not exceed min_cluster_size. Missing neighbours are -1 for both of us. Distances are
    floored, since it drops those that are zero.
    """
    from fast_plscan import PLSCAN

    def fit(given: Mapping[str, Array]) -> Arrays:
        model = PLSCAN(metric="precomputed", num_threads=parameters["threads"], **_sizes_of(parameters))
        weights = np.minimum(given["weights"], parameters["min_cluster_size"])
        lengths = np.maximum(given["lengths"], np.float32(parameters["floor"]))
        return {"labels": model.fit((lengths, given["rows"]), sample_weights=weights).labels_[given["number"]]}

    return fit


def _sizes_of(parameters: Parameters) -> dict[str, int]:
    return {name: parameters[name] for name in ("min_cluster_size", "min_samples")}


def evoc(parameters: Parameters) -> Fit:
    """Beside the layer that it picks it gives all others, so that it can be held to its best."""
    from evoc import EVoC

    def fit(given: Mapping[str, Array]) -> Arrays:
        model = EVoC(base_min_cluster_size=parameters["min_cluster_size"], min_samples=parameters["min_samples"])
        labels = model.fit_predict(given["vectors"])
        layers = {f"labels-{place}": layer for place, layer in enumerate(model.cluster_layers_)}
        return {"labels": labels, **layers}

    return fit


def our_tree(parameters: Parameters) -> Fit:
    from indexer.hierarchy import select_clusters

    def fit(given: Mapping[str, Array]) -> Arrays:
        distances = given["distances"]
        points = len(distances) + 1
        labels = select_clusters(
            given["sources"],
            given["targets"],
            distances,
            np.ones(points, np.int64),
            parameters["min_cluster_size"],
            parameters["ceiling"],
            parameters["resolution"],
            roots_count=False,  # as the package has it
        )
        return {"labels": labels}

    return fit


def hdbscan_tree(parameters: Parameters) -> Fit:
    from hdbscan._hdbscan_linkage import label
    from hdbscan.hdbscan_ import _tree_to_labels

    def fit(given: Mapping[str, Array]) -> Arrays:
        edges = np.column_stack([given["sources"], given["targets"], given["distances"]]).astype(np.float64)
        found = _tree_to_labels(None, label(edges), min_cluster_size=parameters["min_cluster_size"])
        return {"labels": found[0]}

    return fit


def our_neighbours(parameters: Parameters) -> Fit:
    from indexer.neighbours import all_neighbours

    def fit(given: Mapping[str, Array]) -> Arrays:
        rows, _ = all_neighbours(
            given["vectors"],
            parameters["neighbours"],
            least_cosine=parameters["least_cosine"],
            probes=parameters["probes"],
            exact_limit=parameters["exact_limit"],
        )
        return {"rows": rows}

    return fit


def faiss_ivf(parameters: Parameters) -> Fit:
    """Trains, adds and searches; as many rows a cell, and cells a row, as ours."""
    import faiss

    faiss.omp_set_num_threads(parameters["threads"])

    def fit(given: Mapping[str, Array]) -> Arrays:
        vectors, k = given["vectors"], parameters["neighbours"]
        cells = max(1, len(vectors) // parameters["cell_rows"])
        index = faiss.IndexIVFFlat(
            faiss.IndexFlatIP(vectors.shape[1]), vectors.shape[1], cells, faiss.METRIC_INNER_PRODUCT
        )
        index.train(vectors)
        index.add(vectors)
        index.nprobe = min(cells, parameters["probes"])
        return {"rows": _without_self(index.search(vectors, k + 1)[1])}

    return fit


def pynndescent(parameters: Parameters) -> Fit:
    from pynndescent import NNDescent

    def fit(given: Mapping[str, Array]) -> Arrays:
        found = NNDescent(
            given["vectors"], metric="euclidean", n_neighbors=parameters["neighbours"] + 1, random_state=0
        )
        return {"rows": _without_self(found.neighbor_graph[0])}

    return fit


def _without_self(rows: Array) -> Array:
    """Lists without the row that each is of; where copies have crowded it out, without the last, (n, k - 1)."""
    own = rows == np.arange(len(rows))[:, None]
    own[~own.any(1), -1] = True
    return rows[~own].reshape(len(rows), -1)


def exact_neighbours(parameters: Parameters) -> Fit:
    """The cosine of the k-th nearest other row of some rows, and which rows: what recall is counted against."""
    import faiss

    def fit(given: Mapping[str, Array]) -> Arrays:
        vectors, k = given["vectors"], parameters["neighbours"]
        count = min(len(vectors), parameters["sample"])
        sample = np.sort(np.random.default_rng(parameters["seed"]).choice(len(vectors), count, replace=False))
        cosines, _ = faiss.knn(vectors[sample], vectors, k + 1, faiss.METRIC_INNER_PRODUCT)
        return {"sample": sample, "cosines": cosines[:, 1:]}

    return fit


METHODS = {
    "stillwatch": Method(("vectors",), ours, ours=True),
    "stillwatch, copies joined": Method(("vectors",), ours_with_copies, ours=True),
    "neighbour graph": Method(("vectors",), graph, ours=True),
    "stillwatch, graph": Method(
        ("rows", "lengths", "first", "number", "weights", "vectors"), ours_from_graph, ours=True
    ),
    "hdbscan": Method(("vectors",), hdbscan),
    "scikit-learn": Method(("vectors",), scikit_learn),
    "fast_hdbscan": Method(("vectors",), fast_hdbscan),
    "fast_hdbscan, graph": Method(("rows", "lengths", "number"), fast_hdbscan_from_graph),
    "fast_plscan, graph": Method(("rows", "lengths", "number", "weights"), fast_plscan_from_graph),
    "evoc": Method(("vectors",), evoc),
    "stillwatch, tree": Method(("sources", "targets", "distances"), our_tree, ours=True),
    "hdbscan, tree": Method(("sources", "targets", "distances"), hdbscan_tree),
    "stillwatch, neighbours": Method(("vectors",), our_neighbours, ours=True),
    "faiss IVF": Method(("vectors",), faiss_ivf),
    "pynndescent": Method(("vectors",), pynndescent),
    "exact": Method(("vectors",), exact_neighbours),
}
