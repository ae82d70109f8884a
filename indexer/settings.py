"""Settings: where things lie, and the numbers that shape what is found."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from math import inf
from pathlib import Path
from typing import Final, TypeVar

from models.errors import BadSettings
from models.mode import Mode

DEFAULT_DATA: Final = "stillwatch-data"
MIB: Final = 1 << 20
_HIGHEST_PORT: Final = 65_535

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class Detection:
    """What counts as recurring, as near, and as a group. A change makes the next reindex a full one.

    gram_texts, gram_units: a word 4-gram is hot from this many distinct texts and units of spread.
    min_cluster_size, min_samples, neighbours: HDBSCAN's, over points weighted by units; list length.
    probes: cells of the neighbour search that a text with anything near is compared with, or fewer if its list is
        full of the same text.
    whole_ceiling_rate: share of unrelated text pairs that may be nearer than the whole-text ceiling, which
        is measured for each encoder. recurring_ceiling: least cosine that may join two recurring texts.
    same_text: cosine from which two texts count as equally near, whatever more they share.
    min_units, min_events: smaller groups are dropped.
    exemplars: prompts that stand for a campaign in each view. background: prompts thresholds are set on.
    """

    gram_texts: int = 8
    gram_units: int = 8
    min_cluster_size: int = 10
    min_samples: int = 5
    neighbours: int = 16
    probes: int = 16
    whole_ceiling_rate: float = 1e-5
    recurring_ceiling: float = 0.70
    same_text: float = 0.98
    min_units: int = 8
    min_events: int = 20
    exemplars: int = 32
    background: int = 8000

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not 0 < value < inf:  # nan is neither
                raise BadSettings(f"{each.name} is {value}; it must be positive")
        if self.min_samples > self.neighbours:
            raise BadSettings(f"min_samples is {self.min_samples}, more than neighbours, {self.neighbours}")
        if not self.whole_ceiling_rate < 1:
            raise BadSettings(f"whole_ceiling_rate is {self.whole_ceiling_rate}; a share below 1 is needed")
        if not self.recurring_ceiling < 1:
            raise BadSettings(f"recurring_ceiling is {self.recurring_ceiling}; a cosine below 1 is needed")


KEPT_GENERATIONS: Final = 5


@dataclass(frozen=True, slots=True)
class Settings:
    """data: folder of everything stored. database: SQLAlchemy URL. encoder: "static", "minilm", "minilm-int8" or a
    folder. weights: where what `prepare` makes lies. max_prompt_chars: longest prompt a match call takes.
    max_body_bytes: longest HTTP request. mode: for match calls that name none. remember: whether the server stores
    prompts that it is asked about as events. kept_generations: how many stay on disk. depot: URL of the
    place where generations are left for other machines, "" for none. keep_work: whether a reindex leaves what the
    next one goes on from, which takes three or four times the disk of the store.
    """

    data: Path
    database: str
    encoder: str = "static"
    weights: Path = Path(sys.prefix) / "share" / "stillwatch"
    host: str = "127.0.0.1"
    port: int = 8765
    max_prompt_chars: int = MIB
    max_body_bytes: int = 8 * MIB
    mode: Mode = Mode.AUDIT
    remember: bool = False
    kept_generations: int = KEPT_GENERATIONS
    depot: str = ""
    keep_work: bool = True
    detection: Detection = field(default_factory=Detection)

    @property
    def generations(self) -> Path:
        return self.data / "generations"

    @property
    def vectors(self) -> Path:
        return self.data / "vectors"

    @property
    def work(self) -> Path:
        return self.data / "work"

    @property
    def maps(self) -> Path:
        return self.data / "maps"

    @property
    def jobs(self) -> Path:
        return self.data / "jobs"

    @property
    def rejects(self) -> Path:
        return self.data / "rejects"


def load_settings(data: Path | None, environ: Mapping[str, str], encoder: str | None = None) -> Settings:
    """Settings from the command line first, then the environment, then the defaults.

    Read from the environment: STILLWATCH_DATA, _DATABASE, _ENCODER, _WEIGHTS, _HOST, _PORT, _MODE, _REMEMBER,
    _KEPT_GENERATIONS, _DEPOT, _KEEP_WORK, and each field of Detection as STILLWATCH_GRAM_TEXTS and so on. Raises
    BadSettings naming the variable.
    """
    folder = (data or Path(environ.get("STILLWATCH_DATA") or DEFAULT_DATA)).absolute()
    settings = Settings(
        data=folder,
        database=environ.get("STILLWATCH_DATABASE") or f"sqlite:///{folder / 'stillwatch.db'}",
        encoder=encoder or environ.get("STILLWATCH_ENCODER") or "static",
        host=environ.get("STILLWATCH_HOST") or "127.0.0.1",
        port=_number(environ, "STILLWATCH_PORT", 8765, int),
        mode=_mode(environ),
        remember=_flag(environ, "STILLWATCH_REMEMBER"),
        kept_generations=_number(environ, "STILLWATCH_KEPT_GENERATIONS", KEPT_GENERATIONS, int),
        depot=environ.get("STILLWATCH_DEPOT") or "",
        keep_work=_flag(environ, "STILLWATCH_KEEP_WORK", "yes"),
        detection=_detection(environ),
    )
    if not 0 <= settings.port <= _HIGHEST_PORT:
        raise BadSettings(f"STILLWATCH_PORT is {settings.port}, not a port from 0 to {_HIGHEST_PORT}")
    if settings.kept_generations < 1:
        raise BadSettings(f"STILLWATCH_KEPT_GENERATIONS is {settings.kept_generations}, and one must be kept")
    weights = environ.get("STILLWATCH_WEIGHTS")
    return replace(settings, weights=Path(weights)) if weights else settings


def _detection(environ: Mapping[str, str]) -> Detection:
    default = Detection()
    values = {
        each.name: _number(
            environ,
            f"STILLWATCH_{each.name.upper()}",
            getattr(default, each.name),
            type(getattr(default, each.name)),
        )
        for each in fields(Detection)
    }
    return Detection(**values)


def _mode(environ: Mapping[str, str]) -> Mode:
    text = environ.get("STILLWATCH_MODE") or Mode.AUDIT
    if text not in set(Mode):
        raise BadSettings(f"STILLWATCH_MODE is {text!r}, not one of {', '.join(Mode)}")
    return Mode(text)


def _flag(environ: Mapping[str, str], name: str, default: str = "no") -> bool:
    text = environ.get(name) or default
    if text not in ("yes", "no"):
        raise BadSettings(f"{name} is {text!r}, neither yes nor no")
    return text == "yes"


def _number(environ: Mapping[str, str], name: str, default: Number, kind: type[Number]) -> Number:
    text = environ.get(name)
    if not text:
        return default
    try:
        return kind(text)
    except ValueError as error:
        raise BadSettings(f"{name} is {text!r}, not a number of type {kind.__name__}") from error
