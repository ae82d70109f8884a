"""Draws how the whole of clustering grows: draw.py RESULT.json PICTURE. The peers' environment has matplotlib."""

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt


def main() -> None:
    points = json.loads(Path(sys.argv[1]).read_text())
    figure, axes = plt.subplots(1, 2, figsize=(9, 4))
    rows = [point["rows"] for point in points]
    for axis, key, name in zip(axes, ("seconds", "peak_mib"), ("seconds", "peak MiB"), strict=True):
        values = [point[key] for point in points]
        axis.loglog(rows, values, "o-", label="measured")
        axis.loglog(rows, [values[0] * row / rows[0] for row in rows], "k:", label="in proportion to the rows")
        axis.set_xlabel("rows")
        axis.set_ylabel(name)
        axis.legend()
    figure.tight_layout()
    figure.savefig(sys.argv[2], dpi=110)


if __name__ == "__main__":
    main()
