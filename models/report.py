"""What the jobs report when they are done."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IngestReport:
    """read = stored + duplicate + rejected. rejects: path of the file with the refused rows, None if none."""

    read: int
    stored: int
    duplicate: int
    rejected: int
    rejects: str | None
    reasons: dict[str, int]
    seconds: float


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a job: wall time, and the process's peak memory when it ended."""

    name: str
    seconds: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class ReindexReport:
    """published: whether a new generation came out (not if nothing was new). encoded: texts newly encoded."""

    generation: str
    published: bool
    events: int
    prompts: int
    accounts: int
    encoded: int
    groups: int
    campaigns: int
    alarms: int
    encoder: str
    stages: tuple[Stage, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """A count of successes out of a total."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        """hits / total; 1 when there was nothing to get right."""
        return self.hits / self.total if self.total else 1.0


@dataclass(frozen=True, slots=True)
class PlantedCampaign:
    """How one planted campaign came out.

    recall: share of its events that lie inside an alarm, whichever. found_as: alarms that hold at least a
        tenth of its events, largest part first (two or more mean it was split).
    """

    name: str
    events: int
    recall: float
    found_as: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FalseAlarm:
    """An alarm of which less than half the events were planted, by whatever campaigns.

    events: all its events. mostly: the kind that most of them are, as in the truth file.
    """

    campaign_id: str
    level: str
    events: int
    mostly: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Alarms (level likely or strong) against planted truth.

    event_recall: of the planted events, those inside an alarm. event_precision: of the events inside alarms,
        those planted. account_recall, account_precision: the same over accounts; an account is flagged if any
        of its events is in an alarm, and planted if any of its events is.
    campaigns: by name. false_alarms: largest first. split: campaigns found as two or more alarms.
    merged: alarms that hold at least a tenth of two or more planted campaigns.
    missing_events: rows of the truth that were never assigned, not even to "no campaign"; they count as not found.
    """

    event_recall: Ratio
    event_precision: Ratio
    account_recall: Ratio
    account_precision: Ratio
    campaigns: tuple[PlantedCampaign, ...]
    false_alarms: tuple[FalseAlarm, ...]
    split: int
    merged: int
    missing_events: int


@dataclass(frozen=True, slots=True)
class MapReport:
    """What a drawing of the map came to: of which generation, with how many points."""

    generation: str
    points: int
