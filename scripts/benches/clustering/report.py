"""One shape of report for every part: rows of figures, gates, goals, notes; as a table and as JSON.

No ratio is told unless every gate of its part holds: what is quick and wrong is not quick.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from clustering.runs import Run, Runs


@dataclass(frozen=True, slots=True)
class Row:
    """A method on an input. figures: its quality, by name; empty if it did not finish. added_s: time of what it
    was fed, which is not in its own.
    """

    case: str
    method: str
    runs: Runs
    figures: dict[str, float]
    added_s: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """holds: None where it could not be judged, as too little was run."""

    what: str
    holds: bool | None


@dataclass(slots=True)
class Report:
    """What a part measured. goals are judged only where the gates hold. notes: what else is to be known."""

    part: str
    settings: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    gates: list[Verdict] = field(default_factory=list)
    goals: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def gates_hold(self) -> bool:
        return all(gate.holds is not False for gate in self.gates)

    @property
    def failures(self) -> list[str]:
        """Gates that fail and, if none does, goals that are missed."""
        if not self.gates_hold:
            return [f"gate: {gate.what}" for gate in self.gates if gate.holds is False]
        return [f"goal: {goal.what}" for goal in self.goals if goal.holds is False]

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "part": self.part,
            "settings": self.settings,
            "rows": [
                {
                    "case": row.case,
                    "method": row.method,
                    "median_s": row.runs.seconds,
                    "limit_s": row.runs.limit_s,
                    "timed_out": row.runs.timed_out,
                    "added_s": row.added_s,
                    "figures": row.figures,
                    "runs": [asdict(run) for run in row.runs.each],
                }
                for row in self.rows
            ],
            "gates": [asdict(gate) for gate in self.gates],
            "goals": [asdict(goal) for goal in self.goals] if self.gates_hold else [],
            "notes": self.notes,
        }


def printed(report: Report) -> str:
    """The report as a table and lines below it."""
    names = list(dict.fromkeys(name for row in report.rows for name in row.figures))
    head = ["", "method", "fit s (least to most)", "import s", "first run s", "peak MiB", "input MiB", *names]
    lines = [
        [row.case, row.method, *_costs(row), *(_figure(row.figures.get(name)) for name in names)]
        for row in report.rows
    ]
    widths = [max(len(line[column]) for line in [head, *lines]) for column in range(len(head))]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [head, *lines]
    ]
    settings = ", ".join(f"{name} {value}" for name, value in report.settings.items())
    said = [f"== {report.part}: {settings}", *table, *(f"  {note}" for note in report.notes)]
    said += [f"  gate {_holds(gate.holds)}: {gate.what}" for gate in report.gates]
    if report.gates_hold:
        said += [f"  goal {_holds(goal.holds)}: {goal.what}" for goal in report.goals]
    else:
        said.append("  no ratios: a gate fails")
    return "\n".join(said)


def ratio(theirs: Runs, mine: Runs, added_s: float = 0.0) -> float | None:
    """How many times as long a peer took, at least, if it ran into its limit; None if either failed."""
    if theirs.at_least is None or not mine.seconds:
        return None
    return (theirs.at_least + added_s) / mine.seconds


def told(what: float | None, least: bool, digits: int = 1) -> str:
    """A ratio in words. least: whether it is a bound, as the peer did not finish."""
    return "failed" if what is None else f"{'> ' if least else ''}{what:,.{digits}f}x"


def _costs(row: Row) -> list[str]:
    each = row.runs.each
    return [
        _fit(row),
        _first_and_later(each, [run.import_s for run in each]),
        _first_and_later(each, [run.warm_s for run in each]),
        _most([run.peak_mib for run in each]),
        _most([run.input_mib for run in each]),
    ]


def _fit(row: Row) -> str:
    runs = row.runs
    if runs.timed_out:
        return f"> {runs.limit_s:g}"
    if runs.seconds is None:
        return next((run.ended for run in runs.each if run.ended), "not run")
    fed = f" + {row.added_s:.3g}" if row.added_s is not None else ""
    return f"{runs.seconds:.3f} ({min(runs.times):.3f} to {max(runs.times):.3f}){fed}"


def _first_and_later(each: Sequence[Run], values: Sequence[float | None]) -> str:
    known = [f"{value:.1f}" for value in values if value is not None]
    return " / ".join([known[0], *known[-1:]] if len(each) > 1 and len(known) > 1 else known) or "-"


def _most(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{max(known):,.0f}" if known else "-"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _holds(holds: bool | None) -> str:
    return {True: "holds", False: "FAILS", None: "not judged"}[holds]
