"""Draws what detection.py and calibration.py measured: draw.py RESULT.json PICTURE.png."""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt


def detection(result: dict[str, Any], picture: Path) -> None:
    """A row for each sweep, a heat map of recall for each method."""
    sweeps, methods = result["sweeps"], list(result["methods"])
    figure, axes = plt.subplots(
        len(sweeps), len(methods), figsize=(3.1 * len(methods), 3.2 * len(sweeps)), squeeze=False
    )
    for row, sweep in enumerate(sweeps):
        for column, method in enumerate(methods):
            found, axis = sweep["methods"][method], axes[row][column]
            axis.imshow(found["recall"], vmin=0, vmax=1, cmap="viridis", aspect="auto")
            for y, line in enumerate(found["recall"]):
                for x, value in enumerate(line):
                    axis.text(x, y, f"{value:.2f}", ha="center", va="center", color="w" if value < 0.6 else "k")
            axis.set_xticks(range(len(sweep["columns"])), sweep["columns"])
            axis.set_yticks(range(len(sweep["rows"])), sweep["rows"])
            axis.set_title(f"{method}\nprecision {found['precision']:.3f}", fontsize=9)
            axis.set_xlabel(sweep["column"], fontsize=8)
            axis.set_ylabel(sweep["row"], fontsize=8)
    figure.tight_layout()
    figure.savefig(picture, dpi=110)


def calibration(result: dict[str, Any], picture: Path) -> None:
    """Realised against promised rates, with the band that chance explains."""
    figure, axis = plt.subplots(figsize=(5, 5))
    points = result["rates"]
    promised = [point["promised"] for point in points]
    axis.fill_between(promised, [p["low"] for p in points], [p["high"] for p in points], alpha=0.3)
    axis.plot(promised, [max(p["realised"], 1e-6) for p in points], "o-", label="p_background at most this")
    axis.plot(promised, promised, "k--", label="as promised")
    axis.plot([result["alpha"]], [max(result["match_rate"], 1e-6)], "r*", markersize=14, label="decision: match")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("promised")
    axis.set_ylabel(f"realised on {result['background']:,} prompts never seen")
    axis.legend()
    figure.tight_layout()
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    measured = json.loads(Path(sys.argv[1]).read_text())
    (detection if "sweeps" in measured else calibration)(measured, Path(sys.argv[2]))
