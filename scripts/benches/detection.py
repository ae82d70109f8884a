"""The detection frontier: recall over accounts x prompts, skeleton x paraphrase, mixing, against other methods.

Every cell is a campaign; the campaigns of a sweep share a few worlds, which are mostly ordinary users, every
look-alike there is, and people who paste the tasks that campaigns send. All methods see the same worlds. A group
of a peer counts as alarmed if it has at least 10 accounts and a median of at least m prompts each; a peer is run
with several settings and values of m, and held to the one that finds most among those as precise as it gets. Exit
status 1 if more than 1 % of what we alarm is benign, or if we find less than twice what the best peer does on
wrappers or mixed pools.
"""

import argparse
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import peers as peerhouse  # noqa: E402
from peers.operating import (  # noqa: E402
    DEPTHS,
    Point,
    Tally,
    alarmed_by_rule,
    at_best_precision,
    recall_at,
)
from peers.ours import found_in, index  # noqa: E402

from indexer.actors import BACKGROUND, Actor, Form, Place, Script  # noqa: E402
from indexer.axes import Axes, attacker  # noqa: E402
from indexer.calibration import load_calibration, q_values  # noqa: E402
from indexer.cast import DAILY_PROMPTS  # noqa: E402
from indexer.cluster import cluster  # noqa: E402
from indexer.encode import load_encoder  # noqa: E402
from indexer.evidence import take_part  # noqa: E402
from indexer.sample import Texts, load_texts  # noqa: E402
from indexer.score import alarms, is_wide_and_deep, most_rate, score_of  # noqa: E402
from indexer.settings import Settings, load_settings  # noqa: E402
from indexer.simulate import SimulatedEvent, play  # noqa: E402
from indexer.speech import Speech  # noqa: E402
from indexer.varied import LOOK_ALIKE_SHARE, LOOK_ALIKES_VARIED, varied_cast  # noqa: E402
from models.campaign import Campaign  # noqa: E402
from models.event import unit_of  # noqa: E402
from models.text import canonical  # noqa: E402
from models.view import View  # noqa: E402

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
PREFIXES = (40, 80, 160)  # characters
LEAST_CLUSTERS = (10, 30)  # HDBSCAN's min_cluster_size
OURS = "stillwatch"
PASTED_SHARE = 0.15  # of the events
SAME_PRECISION = 0.99  # at which the peers are asked for their recall as well


@dataclass(frozen=True, slots=True)
class Sweep:
    """A plane of axes. cells: for each world the axes of its campaigns, by (row, column)."""

    name: str
    row: str
    column: str
    rows: tuple[Any, ...]
    columns: tuple[Any, ...]
    worlds: tuple[dict[tuple[int, int], dict[str, Any]], ...]


def sweeps() -> list[Sweep]:
    """The planes."""
    accounts, prompts = (8, 12, 30, 100, 300), (2, 4, 8, 16)
    shares, levels = (0.02, 0.05, 0.1, 0.3), (0, 1, 2, 3)
    mixing, places = (0.0, 0.3, 0.6, 0.8, 0.95), (Place.HEAD, Place.MIDDLE, Place.TAIL)
    usual = {"accounts": 60, "prompts": 10.0}

    def near(share: float) -> tuple[float, float]:
        return share * 0.8, share * 1.2

    return [
        Sweep(
            "size",
            "accounts",
            "prompts of each",
            accounts,
            prompts,
            tuple(
                {(y, x): {"accounts": a, "prompts": float(p)} for y, a in enumerate(accounts)}
                for x, p in enumerate(prompts)
            ),
        ),
        Sweep(
            "wrapper",
            "share of fixed text",
            "paraphrase level",
            shares,
            levels,
            tuple(
                {(y, x): {**usual, "skeleton": near(share), "paraphrase": level} for y, share in enumerate(shares)}
                for x, level in enumerate(levels)
            ),
        ),
        Sweep(
            "mixing",
            "place of the fixed text",
            "share of other prompts",
            places,
            mixing,
            tuple(
                {
                    (y, x): {**usual, "mixing": each, "skeleton": (0.05, 0.15), "place": place}
                    for x, each in enumerate(mixing)
                }
                for y, place in enumerate(places)
            ),
        ),
    ]


def world(
    cells: dict[tuple[int, int], dict[str, Any]], texts: Texts, seed: int, size: int
) -> list[SimulatedEvent]:
    """The events of one world, `size` or so; the kind of a campaign names its cell."""
    speech = Speech(texts, hop=0.12, change=0.5, rng=Random(f"{seed}/speech"))
    payloads = tuple(each.text for each in texts.payloads)
    planted = []
    for (y, x), traits in cells.items():
        rng = Random(f"{seed}/{y}/{x}")
        drawn = attacker(rng, 1.0)
        base = Axes(
            task=drawn.task,
            words=(20, 60),
            skeleton=(0.1, 0.5),
            load=drawn.load,
            sigma=drawn.sigma,
            clock=drawn.clock,
            age=drawn.age,
            sharing=drawn.sharing,
            networks=drawn.networks,
            place=drawn.place,
            fillings=payloads,
        )
        planted.append(replace(replace(base, **traits).actor(rng), kind=f"campaign:{y}/{x}"))
    pasting = people_who_paste(round(PASTED_SHARE * size), payloads, speech, Random(f"{seed}/pasted"))
    benign = size - sum(actor.events for actor in (*planted, pasting))
    crowd = varied_cast(benign, 1.0, (), tuple(LOOK_ALIKES_VARIED), LOOK_ALIKE_SHARE, texts, speech, seed)
    return list(play([*crowd, pasting, *planted], speech, BEGIN, 1.0, seed))


def people_who_paste(events: int, payloads: Sequence[str], speech: Speech, rng: Random) -> Actor:
    """Ordinary users with the tasks that campaigns send, and with texts as long as those that wrappers hold: else
    a topic, or length alone, would give a campaign away.
    """
    said = tuple(
        f"{rng.choice(payloads)}\n\n{speech.passage(rng, round(rng.lognormvariate(5.0, 1.0)))}"
        if rng.random() < 0.7
        else rng.choice(payloads)
        for _ in range(events)
    )
    accounts = max(1, events // DAILY_PROMPTS)
    return Actor(BACKGROUND, accounts, events / accounts, Script((Form(("", "")),), said))


def text_of(event: SimulatedEvent) -> str:
    """All that was said, in canonical form."""
    turns = event.row.get("messages") or [{"content": event.row["prompt"]}]
    return canonical(" ".join(turn["content"] for turn in turns))


def peers(events: Sequence[SimulatedEvent], settings: Settings, model: Path) -> dict[tuple[str, str], list[int]]:
    """Cluster of each event, -1 for none, by (other method, setting)."""
    said = [text_of(each) for each in events]
    distinct = sorted(set(said))
    place = {text: number for number, text in enumerate(distinct)}
    vectors = load_encoder(settings.encoder, settings.weights).encode(distinct)
    once = np.ones(len(distinct), np.int64)
    found: dict[tuple[str, str], list[int]] = {}
    for length in PREFIXES:
        numbers = {prefix: number for number, prefix in enumerate(sorted({text[:length] for text in distinct}))}
        found["prefix hash", f"{length} characters"] = [numbers[text[:length]] for text in distinct]
    for least in LEAST_CLUSTERS:
        plain = cluster(vectors, once, min_cluster_size=least, min_samples=5, neighbours=16, ceiling=2.0)
        found["embedding + HDBSCAN", f"min_cluster_size {least}"] = plain.tolist()
    for name, method in (("MinHash LSH", "minhash"), ("semhash", "semhash")):
        for setting, labels in peerhouse.labels(method, model, distinct).items():
            found[name, setting] = labels
    return {key: [labels[place[text]] for text in said] for key, labels in found.items()}


def run_sweep(sweep: Sweep, texts: Texts, seed: int, size: int, model: Path) -> tuple[dict[str, Any], list[Any]]:
    """Recall of every cell and precision, by method; and what the ablation needs."""
    tallies: dict[str, dict[str, Tally]] = defaultdict(lambda: defaultdict(Tally))
    totals: Counter[str] = Counter()
    kept = []
    for number, cells in enumerate(sweep.worlds):
        events = world(cells, texts, 100 * seed + number, size)
        totals.update(each.kind for each in events)
        with TemporaryDirectory(prefix="stillwatch-bench-") as folder:
            settings = index(events, Path(folder))
            found = found_in(events, settings)
            tallies[OURS]["as shipped"].add(events, found.labels, found.alarmed())
            kept.append((events, found.labels, found.campaigns))
            for (name, setting), theirs in peers(events, settings, model).items():
                for depth in DEPTHS:
                    alarmed = alarmed_by_rule(events, theirs, depth)
                    tallies[name][f"{setting}, median >= {depth}"].add(events, theirs, alarmed)
        print(f"  world {number + 1} of {len(sweep.worlds)}: {len(events)} events", flush=True)
    planted = sum(count for kind, count in totals.items() if kind.startswith("campaign:"))
    methods = {}
    for name, by_setting in tallies.items():
        points = [Point(setting, tally) for setting, tally in by_setting.items()]
        best = at_best_precision(points, planted)
        methods[name] = {
            "recall": [
                [
                    best.tally.found[f"campaign:{y}/{x}"] / max(1, totals[f"campaign:{y}/{x}"])
                    for x in range(len(sweep.columns))
                ]
                for y in range(len(sweep.rows))
            ],
            "event_recall": best.tally.right / planted,
            "precision": best.tally.precision(),
            "wrong": dict(best.tally.wrong.most_common()),
            "setting": best.setting,
            "recall_at_same_precision": recall_at(points, SAME_PRECISION, planted),
            "points": [
                {
                    "setting": each.setting,
                    "recall": each.tally.right / planted,
                    "precision": each.tally.precision(),
                }
                for each in points
            ],
        }
    head = {"name": sweep.name, "row": sweep.row, "column": sweep.column, "planted": planted}
    head["events"] = totals.total()
    return {**head, "rows": sweep.rows, "columns": sweep.columns, "methods": methods}, kept


def ablation(kept: Sequence[tuple[Sequence[SimulatedEvent], list[int], list[Campaign]]]) -> dict[str, Any]:
    """Recall and precision of what would be alarmed without one component of the evidence, or one view.

    A group that only the view left out found is taken away; one that others found as well stays as it is.
    """
    names = [each.name for each in kept[0][2][0].evidence]
    tallies: dict[str, Tally] = defaultdict(Tally)
    planted = 0
    for events, labels, campaigns in kept:
        planted += sum(each.kind.startswith("campaign:") for each in events)
        units = _events_of_units(events, labels, len(campaigns))
        alarmed = _alarmed_without(campaigns, units, None)
        tallies["everything"].add(events, labels, alarmed)
        for name in names:
            tallies[f"without {name}"].add(events, labels, _alarmed_without(campaigns, units, name))
        for view in View:
            left = {
                place
                for place in alarmed
                if (seen := set(campaigns[place].views)) - {view, View.EXACT}
                or (seen == {View.EXACT} and view is not View.EXACT)
            }
            tallies[f"without the {view} view"].add(events, labels, left)
    return {
        name: {"recall": each.right / planted, "precision": each.precision()} for name, each in tallies.items()
    }


def _events_of_units(
    events: Sequence[SimulatedEvent], labels: Sequence[int], campaigns: int
) -> list[NDArray[np.int64]]:
    """Events of each unit of spread that takes part in a campaign, by campaign."""
    counts: list[Counter[str]] = [Counter() for _ in range(campaigns)]
    for event, label in zip(events, labels, strict=True):
        if label >= 0:
            counts[label][unit_of(event.row["account_id"], event.row.get("org_id"))] += 1
    found = [np.array(list(each.values()), np.int64) for each in counts]
    return [each[take_part(each)] for each in found]


def _alarmed_without(
    campaigns: Sequence[Campaign], units: Sequence[NDArray[np.int64]], name: str | None
) -> set[int]:
    calibration = load_calibration()
    tested = [place for place, counts in enumerate(units) if is_wide_and_deep(counts)]
    totals = [sum(line.weight for line in campaigns[place].evidence if line.name != name) for place in tested]
    widths = [len(units[place]) for place in tested]
    rates = q_values([calibration.p_value(total, width) for total, width in zip(totals, widths, strict=True)])
    most = [most_rate(width, campaigns[place].views) for width, place in zip(widths, tested, strict=True)]
    alarmed = alarms([score_of(total) for total in totals], rates, most)
    return {place for place, alarm in zip(tested, alarmed, strict=True) if alarm}


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench detection", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events", type=int, default=40_000, help="of each world")
    names = [sweep.name for sweep in sweeps()]
    parser.add_argument("--sweep", action="append", choices=names, help="only this one; may be given again")
    parser.add_argument("--texts", type=Path, help="folder of other texts than the shipped ones")
    parser.add_argument("--out", type=Path, default=Path("detection"), help="makes OUT.json and OUT.png")
    options = parser.parse_args()
    texts = load_texts(options.texts)
    weights = load_settings(Path("unused"), os.environ).weights
    model = next(path for path in sorted(weights.iterdir()) if path.is_dir())
    done, kept = [], []
    for sweep in sweeps():
        if options.sweep and sweep.name not in options.sweep:
            continue
        print(f"== {sweep.name}: {sweep.row} x {sweep.column}", flush=True)
        found, more = run_sweep(sweep, texts, options.seed, options.events, model)
        done.append(found)
        kept += more
        for name, each in found["methods"].items():
            print(
                f"  {name:22}recall {each['event_recall']:.4f} precision {each['precision']:.4f} "
                f"({each['setting']}); at precision {SAME_PRECISION} {each['recall_at_same_precision']:.4f}",
                flush=True,
            )
            wrong = [f"{kind} {count}" for kind, count in list(each["wrong"].items())[:4]]
            print(f"    alarmed but benign: {', '.join(wrong) or 'nothing'}")
            for label, line in zip(sweep.rows, each["recall"], strict=True):
                print(f"    {label!s:>10} " + " ".join(f"{value:5.2f}" for value in line))
    table = ablation(kept)
    for name, each in table.items():
        print(f"{name:32}recall {each['recall']:.4f} precision {each['precision']:.4f}")
    result = {"seed": options.seed, "methods": list(done[0]["methods"]), "sweeps": done, "ablation": table}
    file = options.out.with_suffix(".json")
    file.write_text(json.dumps(result, indent=1) + "\n")
    peerhouse.draw(file, options.out.with_suffix(".png"))
    return _verdict(done)


def _verdict(done: Sequence[dict[str, Any]]) -> int:
    failed = 0
    for sweep in done:
        mine = sweep["methods"][OURS]
        best = max(each["event_recall"] for name, each in sweep["methods"].items() if name != OURS)
        if mine["precision"] < 0.99:
            print(f"FAILED: {sweep['name']}: precision {mine['precision']:.4f}", file=sys.stderr)
            failed = 1
        if sweep["name"] in ("wrapper", "mixing") and mine["event_recall"] < 2 * best:
            print(f"FAILED: {sweep['name']}: {mine['event_recall']:.4f}, peer {best:.4f}", file=sys.stderr)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
