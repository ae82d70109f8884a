"""Clustering against the best peers, at equal answers: time, memory, growth, and that it is right.

Parts: `fit` (plain HDBSCAN against hdbscan and scikit-learn), `million` (near-duplicates in great number against
fast_hdbscan, evoc and fast_plscan), `tree` (the hierarchy alone), `growth` (ours as rows grow), `neighbours`
(recall and time of the neighbour graph). All get the same vectors, from one seeded generator. Every run is a
process of its own, ours and the peers' in turns, with as many threads; importing and a first run on a small
sample, which compiles, are told apart. Ratios are told only where the answers are good. Exit status 1 if a gate
fails or a goal is missed; a goal is judged only at the size that it is set for.
"""

import argparse
import json
import os
import platform
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from clustering.parts import PARTS, PEERS, Options  # noqa: E402
from clustering.report import printed  # noqa: E402
from clustering.runs import Setup, cache, cache_state  # noqa: E402


def main() -> int:
    options = _options()
    if options.empty_caches:
        for ours in (True, False):
            shutil.rmtree(cache(ours), ignore_errors=True)
    compiled = cache_state()
    said = ", ".join(f"{count} files in {name}" for name, count in compiled.items())
    print(f"numba caches at the start: {said}; the first import and run of each method fill them", flush=True)
    started = {"platform": platform.platform(), "cores": os.cpu_count(), "numba_caches": compiled}
    reports = []
    with TemporaryDirectory(prefix="stillwatch-bench-") as aside:
        for name in options.part or list(PARTS):
            given = Options(
                tuple(options.sizes or ()),
                options.dimension,
                tuple(options.peer or ()),
                options.seed,
                Setup(options.threads, options.runs, options.limit),
                (options.data or Path(aside)).resolve(),
                options.picture and options.picture.resolve(),
            )
            reports.append(PARTS[name](given))
            print(printed(reports[-1]), flush=True)
            if options.output:  # after each part: a long run that is cut short has not been for nothing
                parts = [report.document() for report in reports]
                options.output.write_text(json.dumps({**started, "parts": parts}, indent=1) + "\n")
    failures = [f"{report.part}, {failure}" for report in reports for failure in report.failures]
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench cluster", description=__doc__)
    parser.add_argument("--part", action="append", choices=list(PARTS), help="only this one; may be repeated")
    parser.add_argument("--sizes", type=int, nargs="+", help="rows or points, instead of the part's own")
    parser.add_argument("--dimension", type=int, help="even; 384 for fit, else 256")
    parser.add_argument("--peer", action="append", choices=[*PEERS, "none"], help="only this one")
    parser.add_argument("--runs", type=int, default=3, help="of each method")
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds that one run may take")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, help="make vectors and answers here and keep them")
    parser.add_argument("--empty-caches", action="store_true", help="compile everything anew")
    parser.add_argument("--picture", type=Path, help="draw growth into this PNG or SVG file")
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    options = parser.parse_args()
    if options.sizes and len(options.part or PARTS) > 1:
        parser.error("--sizes is of one --part")
    return options


if __name__ == "__main__":
    sys.exit(main())
