"""How often `match` is wrong: realised against promised rates, on background traffic never seen.

A world is simulated, stored and indexed. Then ordinary users and look-alikes of other worlds, with other seeds,
send prompts, one of each account counting, and each is matched; a look-alike whose group is alarmed would count
against us. Prompts of the planted campaigns, kept out of the index, show what is recognised. Exit status 1 if the
share of matches is above the bound that every answer states.
"""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scipy.stats import beta

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import peers  # noqa: E402

from indexer.encode import load_encoder  # noqa: E402
from indexer.engine import Engine  # noqa: E402
from indexer.progress import SilentProgress  # noqa: E402
from indexer.reindex import reindex  # noqa: E402
from indexer.sample import Texts, load_texts  # noqa: E402
from indexer.settings import load_settings  # noqa: E402
from indexer.simulate import Cast, SimulatedEvent, WorldSpec, simulate  # noqa: E402
from indexer.store import Store  # noqa: E402
from indexer.varied import TESTED  # noqa: E402
from models.event import parse_event  # noqa: E402
from models.match import Decision, Match, Question  # noqa: E402
from models.mode import Mode  # noqa: E402

PROMISED = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 0.5)
HELD_OUT = 10  # one prompt of so many of the planted ones is kept out of the index
BATCH = 256


def unseen(texts: Texts, spec: WorldSpec, first_seed: int, wanted: int) -> Iterator[SimulatedEvent]:
    """The first prompt of each account of worlds without campaigns, `wanted` in all."""
    seed, left = first_seed, wanted
    while left:
        accounts: set[str] = set()
        for event in simulate(spec, texts, seed):
            unit = event.row.get("org_id") or event.row["account_id"]
            if left and unit not in accounts:
                accounts.add(unit)
                left -= 1
                yield event
        seed += 1


def answers(engine: Engine, events: list[SimulatedEvent]) -> list[Match]:
    """An answer for each."""
    latest, found = datetime.now(UTC), []
    for start in range(0, len(events), BATCH):
        prompts = [parse_event(each.row, latest).prompt for each in events[start : start + BATCH]]
        found += engine.match_all([Question(prompt, Mode.AUDIT, 1) for prompt in prompts])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench calibration", description=__doc__)
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--background", type=int, default=20_000, help="accounts whose first prompt is matched")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--texts", type=Path, help="folder of other texts than the shipped ones")
    parser.add_argument("--out", type=Path, default=Path("calibration"), help="makes OUT.json and OUT.png")
    options = parser.parse_args()
    texts = load_texts(options.texts)
    spec = WorldSpec(events=options.events, cast=Cast.VARIED, recipes=TESTED)
    planted: Counter[str] = Counter()
    indexed, held = [], []
    for event in simulate(spec, texts, options.seed):
        planted[event.kind] += 1
        hidden = event.kind.startswith("campaign:") and planted[event.kind] % HELD_OUT == 0
        (held if hidden else indexed).append(event)
    with TemporaryDirectory(prefix="stillwatch-bench-") as folder:
        settings = load_settings(Path(folder), os.environ)
        encoder, latest = load_encoder(settings.encoder, settings.weights), datetime.now(UTC)
        with Store.open(settings.database) as store:
            store.add_events([parse_event(each.row, latest) for each in indexed])
            reindex(settings, store, encoder, lambda: datetime.now(UTC), SilentProgress(), full=True)
        engine = Engine.open(settings, lambda: datetime.now(UTC))
        other = WorldSpec(events=options.events, cast=Cast.VARIED, recipes=())
        fresh = list(unseen(texts, other, 10_000 + options.seed, options.background))
        result = measured(answers(engine, fresh))
        result["held_out"] = recognised(held, answers(engine, held))
        engine.close()
    file = options.out.with_suffix(".json")
    file.write_text(json.dumps(result, indent=1) + "\n")
    peers.draw(file, options.out.with_suffix(".png"))
    for each in result["rates"]:
        print(f"promised {each['promised']:.4f}  realised {each['realised']:.5f}  ({each['hits']})")
    print(
        f"match: {result['matches']} of {result['background']}, {result['match_rate']:.5f}; "
        f"alpha {result['alpha']:.5f}, "
        f"stated bound {result['bound']:.5f} from {result['calibrated_on']} background prompts"
    )
    print("held out:", json.dumps(result["held_out"]))
    if result["match_rate"] > result["bound"]:
        print("FAILED: more matches than the stated bound", file=sys.stderr)
        return 1
    return 0


def measured(found: list[Match]) -> dict[str, Any]:
    """Realised rates; low, high: where 95 % of the realised rates lie if the promise is exact."""
    size, first = len(found), found[0]
    rates = []
    for promised in PROMISED:
        hits = sum(each.p_background <= promised for each in found)
        rates.append(
            {
                "promised": promised,
                "hits": hits,
                "realised": hits / size,
                "low": float(beta.ppf(0.025, promised * size + 1e-9, size)) if promised * size else 0.0,
                "high": float(beta.ppf(0.975, promised * size + 1, size)),
            }
        )
    matches = sum(each.decision is Decision.MATCH for each in found)
    return {
        "background": size,
        "rates": rates,
        "matches": matches,
        "match_rate": matches / size,
        "alpha": first.alpha,
        "bound": first.false_positive_bound,
        "calibrated_on": first.background_size,
    }


def recognised(events: list[SimulatedEvent], found: list[Match]) -> dict[str, dict[str, int]]:
    """Decisions about prompts of planted campaigns that the index has not seen, by kind."""
    kinds: dict[str, Counter[str]] = {}
    for event, answer in zip(events, found, strict=True):
        kinds.setdefault(event.kind, Counter())[answer.decision.value] += 1
    return {kind: dict(counts) for kind, counts in sorted(kinds.items())}


if __name__ == "__main__":
    sys.exit(main())
