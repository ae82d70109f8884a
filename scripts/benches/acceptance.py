"""What must hold of detection: planted worlds by kind of campaign, and benign worlds without one alarm.

Every world is simulated with texts that may be kept apart from the shipped ones (--texts), or read from folders
made elsewhere (--world: events.jsonl and truth.jsonl). Prints for each planted campaign how much of it was
grouped, alarmed and in one piece, and the look-alikes that come nearest to an alarm. Exit status 1 if the recall
over all campaigns but the small one is below 0.95 in any planted world, the precision below 0.99, a campaign in
pieces, the small one not even watched, or if a world without campaigns has an alarm.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from peers.ours import Found, found_in, index  # noqa: E402

from indexer.sample import Texts, load_texts  # noqa: E402
from indexer.simulate import Cast, SimulatedEvent, WorldSpec, simulate  # noqa: E402
from indexer.varied import TESTED  # noqa: E402

RECALL, PRECISION, WHOLE = 0.95, 0.99, 0.9
SMALL = "campaign:small"
SHOWN = 4  # look-alikes


def main() -> int:
    options = _options()
    failures, results = [], []
    for name, events in _worlds(options, load_texts(options.texts)):
        print(f"== {name}: {len(events)} events", flush=True)
        folder = options.keep / name if options.keep else None
        if folder and folder.exists():
            sys.exit(f"{folder} holds another world already")
        with TemporaryDirectory(prefix="stillwatch-bench-") as aside:
            settings = index(events, folder or Path(aside))
            result = judged(events, found_in(events, settings))
        results.append({"world": name, **result})
        show(result)
        failures += [f"{name}: {each}" for each in failed(result)]
    if options.output:
        options.output.write_text(json.dumps(results, indent=1) + "\n")
    for each in failures:
        print(f"FAILED: {each}", file=sys.stderr)
    return 1 if failures else 0


def judged(events: Sequence[SimulatedEvent], found: Found) -> dict[str, Any]:
    """Figures of one world. grouped: share of a campaign's events in any group; alarmed: in alarmed ones; whole:
    share of the grouped ones that is in the largest group.
    """
    alarmed = found.alarmed()
    groups: dict[str, Counter[int]] = {}
    kinds: dict[int, Counter[str]] = {}
    for event, label in zip(events, found.labels, strict=True):
        groups.setdefault(event.kind, Counter())[label] += 1
        kinds.setdefault(label, Counter())[event.kind] += 1
    campaigns = []
    for kind in sorted(each for each in groups if each.startswith("campaign:")):
        counts = groups[kind]
        total, inside = counts.total(), {place: count for place, count in counts.items() if place >= 0}
        grouped, best = sum(inside.values()), max(inside, key=lambda place: inside[place], default=-1)
        row: dict[str, Any] = {"kind": kind, "events": total, "grouped": grouped / total}
        row["alarmed"] = sum(count for place, count in inside.items() if place in alarmed) / total
        row["whole"] = inside.get(best, 0) / max(1, grouped)
        row |= _said_of(found, best) if best >= 0 else {}
        campaigns.append(row)
    planted = {kind for kind in groups if kind.startswith("campaign:")}
    large = planted - {SMALL}
    right = sum(count for kind in planted for place, count in groups[kind].items() if place in alarmed)
    hits = sum(count for kind in large for place, count in groups[kind].items() if place in alarmed)
    flagged = sum(kinds[place].total() for place in alarmed if place in kinds)
    benign = []
    for place, mine in kinds.items():
        if place >= 0 and sum(count for kind, count in mine.items() if kind in planted) < 0.5 * mine.total():
            benign.append({"kind": mine.most_common(1)[0][0], "events": mine.total(), **_said_of(found, place)})
    benign.sort(key=lambda each: (not each["is_alarm"], each["p_value"], -each["score"]))
    return {
        "recall": hits / sum(groups[kind].total() for kind in large) if large else 1.0,
        "precision": right / max(1, flagged) if flagged else 1.0,
        "campaigns": campaigns,
        "false_alarms": [each for each in benign if each["is_alarm"]],
        "nearest": [each for each in benign if not each["is_alarm"]][:SHOWN],
    }


def _said_of(found: Found, place: int) -> dict[str, Any]:
    campaign = found.campaigns[place]
    return {
        "level": campaign.level.value,
        "is_alarm": campaign.level.is_alarm,
        "score": campaign.score,
        "p_value": campaign.p_value,
        "units": campaign.units,
        "evidence": {each.name: round(each.weight, 2) for each in campaign.evidence},
    }


def show(result: dict[str, Any]) -> None:
    """Prints one world."""
    print(f"  recall {result['recall']:.4f}  precision {result['precision']:.4f}")
    for each in result["campaigns"]:
        print(
            f"  {each['kind']:24}{each['events']:6}  grouped {each['grouped']:.3f}  alarmed {each['alarmed']:.3f}"
            f"  whole {each['whole']:.3f}  {_verdict(each) if 'level' in each else 'no group'}"
        )
    for name in ("false_alarms", "nearest"):
        for each in result[name]:
            print(f"  {name:12} {each['kind']:24}{each['events']:6}  {_verdict(each)}")
    sys.stdout.flush()


def _verdict(each: dict[str, Any]) -> str:
    lines = " ".join(f"{name} {weight:+.1f}" for name, weight in each["evidence"].items() if abs(weight) >= 0.3)
    return f"{each['level']:7} {each['score']:.3f} p {each['p_value']:.1e} {each['units']} units: {lines}"


def failed(result: dict[str, Any]) -> Iterator[str]:
    """What does not hold."""
    if result["false_alarms"] and not result["campaigns"]:
        yield f"{len(result['false_alarms'])} alarms without a campaign"
    if not result["campaigns"]:
        return
    if result["recall"] < RECALL:
        yield f"recall {result['recall']:.4f}"
    if result["precision"] < PRECISION:
        yield f"precision {result['precision']:.4f}"
    for each in result["campaigns"]:
        if each["grouped"] and each["whole"] < WHOLE:
            yield f"{each['kind']} in pieces, the largest {each['whole']:.3f}"
        if each["kind"] == SMALL and each["grouped"] < 0.5:
            yield "the small campaign is not watched"


def _worlds(options: argparse.Namespace, texts: Texts) -> Iterator[tuple[str, list[SimulatedEvent]]]:
    for seed in options.planted:
        spec = WorldSpec(events=60_000, days=options.days, cast=Cast.VARIED, recipes=tuple(options.recipes))
        yield f"planted-{seed}", list(simulate(spec, texts, seed))
    for seed in options.benign:
        spec = WorldSpec(events=100_000, days=options.days, cast=Cast.VARIED, recipes=())
        yield f"benign-{seed}", list(simulate(spec, texts, seed))
    for folder in options.world:
        truth = [json.loads(line) for line in (folder / "truth.jsonl").open(encoding="utf-8")]
        kind = {each["event_id"]: each["kind"] for each in truth}
        rows = [json.loads(line) for line in (folder / "events.jsonl").open(encoding="utf-8")]
        yield folder.name, [SimulatedEvent(row, kind[row["event_id"]]) for row in rows]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench acceptance", description=__doc__)
    parser.add_argument("--planted", type=int, nargs="*", default=[], metavar="SEED", help="60,000 events each")
    parser.add_argument("--benign", type=int, nargs="*", default=[], metavar="SEED", help="100,000 events each")
    parser.add_argument("--world", type=Path, action="append", default=[], help="folder of a world made elsewhere")
    parser.add_argument("--recipes", nargs="*", default=[*TESTED, "small"], help="campaigns of planted worlds")
    parser.add_argument("--days", type=float, default=1.0)
    parser.add_argument("--texts", type=Path, help="folder of other texts than the shipped ones")
    parser.add_argument("--keep", type=Path, help="keep what is stored and indexed here, by world")
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
