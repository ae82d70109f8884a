"""One run of one method in a fresh process: worker.py METHOD PARAMETERS DATA WARM OUTPUT.

DATA and WARM are comma-separated folders of arrays. The method is imported, run on WARM, which makes it compile
what it compiles, and run on DATA; OUTPUT gets its arrays. Each step is told on standard output as a line of JSON
when it begins or has ended, so that whoever waits can end what takes too long.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(1, str(Path(__file__).resolve().parents[3]))

from clustering.methods import METHODS, Arrays


def tell(event: str, **what: Any) -> None:
    print(json.dumps({"event": event, **what}), flush=True)


def peak_mib() -> float | None:
    """Peak resident memory of this process. Not getrusage's, which counts what the parent held at the fork."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    return (
        next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    )


def arrays(folders: str, names: tuple[str, ...]) -> Arrays:
    """The named arrays from the first of the folders that has each."""
    places = [Path(folder) for folder in folders.split(",")]
    return {
        name: np.load(next(p for p in places if (p / f"{name}.npy").exists()) / f"{name}.npy") for name in names
    }


def main() -> None:
    name, given, data, warm, output = sys.argv[1:]
    method, parameters = METHODS[name], json.loads(given)
    began = time.perf_counter()
    fit = method.start(parameters)
    tell("imported", seconds=time.perf_counter() - began)
    sample = arrays(warm, method.inputs)
    # As the sample is small, our own method would compare all pairs in it, and cells not before it counts.
    began = time.perf_counter()
    small = {**parameters, "exact_limit": parameters["warm_exact_limit"]} if "exact_limit" in parameters else None
    found = (method.start(small) if small else fit)(sample)
    tell("warmed", seconds=time.perf_counter() - began)
    save(found, Path(output) / "warm")
    everything = arrays(data, method.inputs)
    tell("begins", input_mib=sum(each.nbytes for each in everything.values()) / 2**20)
    began = time.perf_counter()
    found = fit(everything)
    tell("fitted", seconds=time.perf_counter() - began, peak_mib=peak_mib())
    save(found, Path(output))


def save(found: Arrays, folder: Path) -> None:
    folder.mkdir(exist_ok=True, parents=True)
    for name, values in found.items():
        np.save(folder / f"{name}.npy", values)


if __name__ == "__main__":
    main()
