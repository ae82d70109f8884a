"""What providers tell one another of a campaign: nothing of its text but hashes, and until when it counts."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SharedCampaign:
    """source: the provider that tells of it. campaign_id: what it is called there. aim: "" if not known.

    salt: hex, that its hashes were made with. hashes: see `indexer.template_hashes`. until: when it is to be
    forgotten.
    """

    source: str
    campaign_id: str
    aim: str
    first_seen: datetime
    last_seen: datetime
    salt: str
    hashes: tuple[str, ...]
    until: datetime


@dataclass(frozen=True, slots=True)
class BankEntry:
    """A campaign that another provider told of, as it lies in the bank. number: of the entry. added_by: who put it
    there, and when.
    """

    number: int
    campaign: SharedCampaign
    added_by: str
    added_at: datetime


@dataclass(frozen=True, slots=True)
class Resemblance:
    """What a campaign of ours has in common with an entry: so many of the shorter template's hashes. least: how
    many the shorter one has, of those that neither left out.
    """

    campaign_id: str
    common: int
    least: int

    @property
    def share(self) -> float:
        """Of the shorter one's hashes those in common, in [0, 1]."""
        return self.common / self.least if self.least else 0.0
