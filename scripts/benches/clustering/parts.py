"""The parts of `scripts/bench cluster`. Each takes the same options and gives a report."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clustering.methods import METHODS
from clustering.planted import FORESTS
from clustering.quality import agreement, quality, recall
from clustering.report import Report, Row, Verdict, ratio, told
from clustering.runs import HERE, Job, Runs, Setup, alternate, folder_of, python
from indexer.graph import DISTANCE_FLOOR, chord
from indexer.neighbours import CELL_ROWS, EXACT_LIMIT, PROBES
from indexer.settings import Detection

IntArray = NDArray[np.int64]

UNCUT = 2.0
WARM_ROWS = 3_000
WARM_EXACT_LIMIT = 1_000
SAMPLE = 5_000

FIT_SIZES = (10_000, 20_000, 50_000)
FIT_GOAL, FIT_GOAL_ROWS, FIT_AGREEMENT = 200.0, 50_000, 0.99
MILLION_SIZES = (1_000_000,)
MILLION_GOAL, MILLION_GOAL_ROWS = 3.0, 1_000_000
SLACK = 5e-4  # by which quality may be lower: it is told to three digits
TREE_SIZES = (100_000, 500_000, 1_000_000)
OURS = "stillwatch"  # what the names of our methods begin with
TREE_GOAL, TREE_GOAL_ROWS, MOST_AT_DOUBLE = 20.0, 1_000_000, 2.3
GROWTH_SIZES = (100_000, 1_000_000, 4_000_000)
MOST_GROWTH, GROWTH_GOAL_ROWS = 1.5, 1_000_000
NEIGHBOUR_SIZES = (200_000,)
LEAST_RECALL, NEIGHBOUR_GOAL, NEIGHBOUR_GOAL_ROWS = 0.95, 1.0, 200_000


def package(method: str) -> str:
    """What a method's name begins with."""
    return method.replace(",", "").split()[0]


@dataclass(frozen=True, slots=True)
class Options:
    """sizes: of the part, or those it has by itself. methods: only these peers; empty for all. folder: where data
    is made and kept. picture: what `growth` draws into.
    """

    sizes: tuple[int, ...]
    dimension: int | None
    methods: tuple[str, ...]
    seed: int
    setup: Setup
    folder: Path
    picture: Path | None

    def peers(self, *names: str) -> list[str]:
        return [name for name in names if not self.methods or package(name) in self.methods]

    def data(self, kind: str, rows: int, dimension: int = 0) -> Path:
        """Folder of planted data; made if it is not there."""
        folder = self.folder / f"{kind}-{rows}x{dimension}-seed{self.seed}"
        if not (folder / "done").exists():
            folder.mkdir(parents=True, exist_ok=True)
            command = [
                sys.executable,
                HERE / "planted.py",
                kind,
                str(rows),
                str(dimension),
                str(self.seed),
                folder,
            ]
            subprocess.run(command, check=True)
            (folder / "done").touch()
        return folder

    def parameters(self, rows: int, **more: Any) -> dict[str, Any]:
        """What methods get, unless `more` says otherwise; plain HDBSCAN, over the graph that the product makes."""
        shipped = Detection()
        usual = {
            "min_cluster_size": shipped.min_cluster_size,
            "min_samples": shipped.min_samples,
            "neighbours": shipped.neighbours,
            "probes": shipped.probes,
            "exact_limit": EXACT_LIMIT,
            "warm_exact_limit": WARM_EXACT_LIMIT if rows > EXACT_LIMIT else EXACT_LIMIT,
            "ceiling": UNCUT,
            "resolution": DISTANCE_FLOOR,
            "floor": DISTANCE_FLOOR,
            "threads": self.setup.threads,
        }
        return {**usual, **more}

    def as_shipped(self, rows: int) -> dict[str, Any]:
        """The same as the product sets it for recurring texts."""
        shipped = Detection()
        return self.parameters(
            rows,
            ceiling=chord(shipped.recurring_ceiling),
            resolution=chord(shipped.same_text),
        )


def fit(options: Options) -> Report:
    """Plain HDBSCAN against packages that compare all pairs, at equal answers."""
    dimension = options.dimension or 384
    report = Report("fit", {"dimension": dimension, **_told(options, options.parameters(FIT_GOAL_ROWS))})
    sizes, peers = options.sizes or FIT_SIZES, options.peers("hdbscan", "scikit-learn")
    history: dict[str, dict[int, Runs]] = {name: {} for name in ("stillwatch", *peers)}
    hopeless: set[str] = set()
    for rows in sorted(sizes):
        data = options.data("distinct", rows, dimension)
        warm = options.data("distinct", WARM_ROWS, dimension)
        jobs = {name: Job(name, options.parameters(rows), (data,), (warm,)) for name in history}
        runs = alternate(options.setup, jobs, options.folder / f"fit-{rows}", hopeless)
        hopeless |= {name for name, each in runs.items() if each.timed_out}
        truth, mine = np.load(data / "truth.npy"), _labels(runs["stillwatch"])
        for name, each in runs.items():
            history[name][rows] = each
            found = _labels(each)
            figures: dict[str, float] = {} if found is None else quality(truth, found).figures()
            if name != "stillwatch":
                same = _same(mine, found)
                figures |= {} if same is None else {"ARI to ours": same}
                report.gates.append(_agree(same, FIT_AGREEMENT, f"{name} at {rows:,}", mine is not None))
            report.rows.append(Row(f"{rows:,}", name, each, figures))
    largest = max(sizes)
    for name in peers:
        if not any(each.finished for each in history[name].values()):
            report.goals.append(Verdict(f"{name} answered at no size, so there is nothing to be as good as", None))
            continue
        times = ratio(history[name][largest], history["stillwatch"][largest])
        what = f"{told(times, history[name][largest].timed_out)} {name} at {largest:,}, at least {FIT_GOAL:g}x"
        report.goals.append(_goal(what, times, FIT_GOAL, largest, FIT_GOAL_ROWS, history[name][largest].timed_out))
    for name, each in history.items():
        report.notes += _law(name, each)
    return report


def million(options: Options) -> Report:
    """Near-duplicates in great number, as shipped, against what is quick."""
    dimension = options.dimension or 256
    report = Report("million", {"dimension": dimension, **_told(options, options.as_shipped(MILLION_GOAL_ROWS))})
    ours = "stillwatch, copies joined"
    for rows in options.sizes or MILLION_SIZES:
        data, warm = options.data("copies", rows, dimension), options.data("copies", WARM_ROWS, dimension)
        output, parameters = options.folder / f"million-{rows}", options.as_shipped(rows)
        jobs = {ours: Job(ours, parameters, (data,), (warm,))}
        alone = options.peers("fast_hdbscan", "evoc")
        jobs |= {name: Job(name, parameters, (data,), (warm,)) for name in alone}
        graph_of: dict[str, str] = {}
        # Peers that need all to hang together do better on a graph without a ceiling, which is no graph of ours.
        for graph, ceiling in (("graph", parameters["ceiling"]), ("uncut graph", UNCUT)):
            names = options.peers("fast_hdbscan", "fast_plscan")
            if not names:
                continue
            jobs[graph] = Job("neighbour graph", {**parameters, "ceiling": ceiling}, (data,), (warm,))
            made = folder_of(output, graph)
            for name in (OURS, *names):
                fed = f"{name}, {graph}"
                jobs[fed] = Job(f"{name}, graph", parameters, (made, data), (made / "warm", warm))
                graph_of[fed] = graph
        runs = alternate(options.setup, jobs, output)
        truth = np.load(data / "truth.npy")
        mine = _quality(truth, runs[ours])
        fed_peers = [name for name in graph_of if package(name) != OURS]
        for name, each in runs.items():
            figures = {} if name in graph_of.values() else _quality(truth, each)
            added = runs[graph_of[name]].seconds if name in graph_of else None
            report.rows.append(Row(f"{rows:,}", name, each, figures, added))
            if name in {*alone, *fed_peers}:
                report.gates.append(_no_worse(mine, figures, f"{name} at {rows:,}"))
            elif name in graph_of:
                same = _same(_labels(runs[ours]), _labels(each))
                report.gates.append(_agree(same, 1.0, f"{name} at {rows:,}", False))
        report.goals += _quickest(rows, runs, alone, {}, "start from vectors")
        report.goals += _quickest(rows, runs, fed_peers, graph_of, "are fed our graph, its time counted")
    report.notes += [
        "f1 of planted clusters: of the found one that fits each best, weighted by size; noise_f1: of background",
        "graphs are ours, of the distinct rows; '+ s' is the time of the one that a peer was fed",
        "most of our own time is such a graph's: with it counted, no peer that is fed one can be much slower; "
        "'from there on' is against ours, fed the same graph",
        "fast_plscan gets weights, fast_hdbscan takes none; evoc is held to the best of its layers",
    ]
    return report


def _quickest(
    rows: int, runs: Mapping[str, Runs], names: Sequence[str], graph_of: Mapping[str, str], which: str
) -> list[Verdict]:
    """The goal against the quickest of some peers that ends: what does not has no answer to be as good as.
    graph_of: the graphs to be counted.
    """
    mine, bars = runs["stillwatch, copies joined"], []
    for name in names:
        times = ratio(runs[name], mine, (runs[graph_of[name]].seconds or 0.0) if name in graph_of else 0.0)
        if times is not None and runs[name].finished:
            fed = runs[f"{OURS}, {graph_of[name]}"] if name in graph_of else None
            apart = f" ({told(ratio(runs[name], fed), False)} from there on)" if fed and fed.finished else ""
            bars.append((times, f"{told(times, False)} {name}{apart}"))
    if not bars:
        return [Verdict(f"none of those that {which} ends at {rows:,}", None)] if names else []
    least, what = min(bars)
    others = "; ".join(said for _, said in sorted(bars)[1:])
    what = f"{what}, the quickest of those that {which}, at {rows:,}, at least {MILLION_GOAL:g}x"
    return [_goal(f"{what}; {others}" if others else what, least, MILLION_GOAL, rows, MILLION_GOAL_ROWS, False)]


def tree(options: Options) -> Report:
    """From a sorted spanning tree to labels."""
    parameters = options.parameters(TREE_GOAL_ROWS)
    report = Report("tree", _told(options, parameters))
    peers = options.peers("hdbscan, tree")
    sizes = sorted(options.sizes or TREE_SIZES)
    for kind in FORESTS:
        history: dict[int, Runs] = {}
        hopeless: set[str] = set()
        compared = False
        for points in sizes:
            data, warm = options.data(kind, points), options.data(kind, WARM_ROWS)
            jobs = {name: Job(name, parameters, (data,), (warm,)) for name in ("stillwatch, tree", *peers)}
            runs = alternate(options.setup, jobs, options.folder / f"tree-{kind}-{points}", hopeless)
            hopeless |= {name for name, each in runs.items() if each.timed_out}
            mine = _labels(runs["stillwatch, tree"])
            history[points] = runs["stillwatch, tree"]
            for name, each in runs.items():
                found = _labels(each)
                same = _same(mine, found)
                figures: dict[str, float] = {} if same is None else {"ARI to ours": same}
                if found is not None:
                    figures |= {"clusters": int(found.max() + 1) if name in peers else len(set(found[found >= 0]))}
                report.rows.append(Row(f"{kind} {points:,}", name, each, figures))
                if name in peers:
                    report.gates.append(_agree(same, 1.0, f"{name}, {kind} at {points:,}", mine is not None))
                    compared |= same is not None
                    if points == sizes[-1] and not compared:
                        what = f"{kind}: {name} answered at no size, so there is nothing to be as good as"
                        report.goals.append(Verdict(what, None))
                    elif points == sizes[-1]:
                        times = ratio(each, history[points])
                        what = (
                            f"{kind}: {told(times, each.timed_out)} {name} at {points:,}, at least {TREE_GOAL:g}x"
                        )
                        goal = _goal(what, times, TREE_GOAL, points, TREE_GOAL_ROWS, each.timed_out)
                        report.goals.append(goal)
        double = _at_double(history)
        what = f"{kind}: {double or 0:.2f} times as long for twice as many, at most {MOST_AT_DOUBLE:g}"
        judged = double is not None and sizes[-1] >= TREE_GOAL_ROWS
        report.goals.append(Verdict(what, double is not None and double <= MOST_AT_DOUBLE if judged else None))
    return report


def growth(options: Options) -> Report:
    """The whole of ours as rows grow."""
    dimension = options.dimension or 256
    report = Report("growth", {"dimension": dimension, **_told(options, options.as_shipped(GROWTH_GOAL_ROWS))})
    ours, points, history = "stillwatch, copies joined", [], {}
    for rows in options.sizes or GROWTH_SIZES:
        data, warm = options.data("copies", rows, dimension), options.data("copies", WARM_ROWS, dimension)
        jobs = {ours: Job(ours, options.as_shipped(rows), (data,), (warm,))}
        each = alternate(options.setup, jobs, options.folder / f"growth-{rows}")[ours]
        figures = _quality(np.load(data / "truth.npy"), each)
        report.rows.append(Row(f"{rows:,}", ours, each, figures))
        report.gates.append(
            Verdict(f"f1 at {rows:,} is at least {LEAST_RECALL}", figures.get("f1", 0) >= LEAST_RECALL)
        )
        history[rows] = each
        if each.seconds is not None:
            peak = max((run.peak_mib or 0.0 for run in each.each), default=0.0)
            points.append({"rows": rows, "seconds": each.seconds, "peak_mib": peak})
    report.notes += _law(ours, history)
    if (exponent := _exponent({rows: each.seconds for rows, each in history.items()})) is not None:
        judged = max(history) >= GROWTH_GOAL_ROWS
        what = f"time grows with rows to the power of {exponent:.2f}, at most {MOST_GROWTH:g}"
        report.goals.append(Verdict(what, exponent <= MOST_GROWTH if judged else None))
    if options.picture and points:
        figures_file = options.folder / "growth.json"
        figures_file.write_text(json.dumps(points))
        subprocess.run([python(False), HERE / "draw.py", figures_file, options.picture], check=True)
        report.notes.append(f"drawn into {options.picture}")
    return report


def neighbours(options: Options) -> Report:
    """The neighbour graph alone."""
    dimension, least = options.dimension or 256, Detection().recurring_ceiling
    usual = options.parameters(NEIGHBOUR_GOAL_ROWS, least_cosine=-1.0, cell_rows=CELL_ROWS, probes=PROBES)
    report = Report("neighbours", {"dimension": dimension, **_told(options, usual), "least_cosine": least})
    ours, within = "stillwatch", f"stillwatch, cosine from {least:g}"
    for rows in options.sizes or NEIGHBOUR_SIZES:
        data, warm = options.data("distinct", rows, dimension), options.data("distinct", WARM_ROWS, dimension)
        given = options.parameters(rows, least_cosine=-1.0, cell_rows=CELL_ROWS, probes=PROBES)
        jobs = {ours: Job("stillwatch, neighbours", given, (data,), (warm,))}
        jobs[within] = Job("stillwatch, neighbours", {**given, "least_cosine": least}, (data,), (warm,))
        jobs |= {name: Job(name, given, (data,), (warm,)) for name in options.peers("faiss IVF", "pynndescent")}
        output = options.folder / f"neighbours-{rows}"
        once = Setup(options.setup.threads, 1, options.setup.limit_s)
        exact = {"exact": Job("exact", {**given, "sample": SAMPLE, "seed": options.seed}, (data,), (warm,))}
        truth = alternate(once, exact, output)["exact"]
        runs = alternate(options.setup, jobs, output)
        if not truth.finished:
            report.gates.append(Verdict(f"the exact search ends at {rows:,}", False))
            continue
        sample, cosines = np.load(truth.output / "sample.npy"), np.load(truth.output / "cosines.npy")
        vectors = np.load(data / "vectors.npy", mmap_mode="r")
        recalls = {}
        for name, each in runs.items():
            figures: dict[str, float] = {}
            if each.finished:
                found = np.load(each.output / "rows.npy", mmap_mode="r")
                figures["recall near"] = recall(vectors, found, sample, cosines, least)
                if name != within:
                    figures["recall"] = recalls[name] = recall(vectors, found, sample, cosines)
            report.rows.append(Row(f"{rows:,}", name, each, figures))
            mark = figures.get("recall near" if name == within else "recall", 0.0)
            if name in (ours, within):
                what = f"{name} at {rows:,}: recall {mark:.4f}, at least {LEAST_RECALL}"
                report.gates.append(Verdict(what, mark >= LEAST_RECALL))
        for name, each in runs.items():
            if name in (ours, within):
                continue
            times = ratio(each, runs[ours])
            what = f"{told(times, each.timed_out)} {name} at {rows:,}, at least {NEIGHBOUR_GOAL:g}x"
            what += f" (recall {recalls.get(name, 0):.4f}, ours {recalls.get(ours, 0):.4f})"
            report.goals.append(_goal(what, times, NEIGHBOUR_GOAL, rows, NEIGHBOUR_GOAL_ROWS, each.timed_out))
    report.notes.append(f"recall near: of true neighbours with a cosine of {least:g} or more")
    return report


PEERS = sorted({package(name) for name, method in METHODS.items() if not method.ours} - {"exact"})
PARTS = {"fit": fit, "million": million, "tree": tree, "growth": growth, "neighbours": neighbours}


def _told(options: Options, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Settings for the head of a report."""
    names = ("min_cluster_size", "min_samples", "neighbours", "probes", "ceiling", "resolution", "threads")
    return {**{name: parameters[name] for name in names}, "runs": options.setup.runs, "seed": options.seed}


def _labels(runs: Runs) -> IntArray | None:
    """What a job found, or None if it did not finish."""
    return np.load(runs.output / "labels.npy").astype(np.int64) if runs.finished else None


def _quality(truth: IntArray, runs: Runs) -> dict[str, float]:
    """Of what a job found, and the best of its other layers if it gives any."""
    found = _labels(runs)
    if found is None:
        return {}
    figures = quality(truth, found).figures()
    layers = [quality(truth, np.load(file).astype(np.int64)) for file in sorted(runs.output.glob("labels-*.npy"))]
    if layers:
        figures["best layer f1"] = max(layer.f1 for layer in layers)
        figures["best layer ari"] = max(layer.ari for layer in layers)
    return figures


def _same(mine: IntArray | None, theirs: IntArray | None) -> float | None:
    """The agreement of two answers, or None if one is missing."""
    return None if mine is None or theirs is None else agreement(mine, theirs)


def _agree(same: float | None, least: float, what: str, ours_finished: bool) -> Verdict:
    """Whether two answers are the same; not judged where the peer gave none."""
    if same is None:
        return Verdict(f"{what}: no answer to compare", None if ours_finished else False)
    return Verdict(f"{what}: ARI {same:.6f}, at least {least:g}", same >= least - 1e-12)


def _no_worse(mine: Mapping[str, float], theirs: Mapping[str, float], what: str) -> Verdict:
    """Whether our planted f1 and ARI are no lower than a peer's, at its best."""
    if not mine:
        return Verdict(f"{what}: ours did not finish", False)
    if not theirs:
        return Verdict(f"{what}: no answer to compare", None)
    said, holds = [], True
    for name in ("f1", "ari"):
        best = max(theirs[name], theirs.get(f"best layer {name}", 0.0))
        said.append(f"{name} {mine[name]:.4f} against {best:.4f}")
        holds &= mine[name] >= best - SLACK
    return Verdict(f"{what}: {', '.join(said)}", holds)


def _goal(what: str, times: float | None, least: float, rows: int, least_rows: int, bound: bool) -> Verdict:
    """A goal, which is set for least_rows. bound: the peer did not finish, so `times` is the least it can be."""
    if rows < least_rows:
        return Verdict(f"{what}; set for {least_rows:,}", None)
    if times is None or (bound and times < least):
        return Verdict(f"{what}; a longer --limit would tell", None)
    return Verdict(what, times >= least)


def _exponent(seconds: Mapping[int, float | None]) -> float | None:
    """By least squares over the logarithms; None for fewer than two."""
    known = [(log(rows), log(each)) for rows, each in seconds.items() if each]
    if len(known) < 2:
        return None
    return float(np.polyfit(*np.array(known).T, 1)[0])


def _at_double(history: Mapping[int, Runs]) -> float | None:
    """How much longer twice as many take, by the two largest."""
    known = [(rows, each.seconds) for rows, each in sorted(history.items()) if each.seconds]
    if len(known) < 2:
        return None
    (few, short), (many, long) = list(pairwise(known))[-1]
    return float(2 ** (log(long / short) / log(many / few)))


def _law(name: str, history: Mapping[int, Runs]) -> list[str]:
    """How a method grows, and where that would lead for what was too slow to be measured."""
    exponent = _exponent({rows: each.seconds for rows, each in history.items()})
    if exponent is None:
        return []
    notes = [f"{name}: time grows with rows to the power of {exponent:.2f}"]
    known: Sequence[tuple[int, float]] = [(rows, each.seconds) for rows, each in history.items() if each.seconds]
    rows, seconds = max(known)
    for beyond in sorted({*(size for size, each in history.items() if each.timed_out), 1_000_000}):
        if beyond > rows and not name.startswith("stillwatch"):  # ours is measured at such sizes, in other parts
            guess = seconds * (beyond / rows) ** exponent
            notes.append(f"{name}: EXTRAPOLATED from {rows:,} to {beyond:,}: {guess:,.0f} s")
    return notes
