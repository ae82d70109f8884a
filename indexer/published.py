"""The campaigns of the current generation and who sent them, without an engine, since loading an encoder takes
seconds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from indexer import layout
from indexer.generation import Generation, first_good
from indexer.search import places_of
from indexer.traffic import Traffic
from models.campaign import Campaign
from models.errors import UnknownCampaign


@dataclass(frozen=True, slots=True)
class Published:
    """What a generation of this name tells: its campaigns, by number, and the traffic that they are found in.
    places: the number of each campaign by its id, and by those of campaigns that merged into it.
    """

    generation: str
    campaigns: tuple[Campaign, ...]
    traffic: Traffic
    places: Mapping[str, int]

    @classmethod
    def of(cls, generation: Generation, campaigns: tuple[Campaign, ...] | None = None) -> "Published":
        """What a generation holds. campaigns: its own, if somebody has read them. Raises GenerationDamaged."""
        if campaigns is None:
            campaigns = generation.value(layout.CAMPAIGNS, tuple[Campaign, ...])
        traffic = Traffic.of(generation, [each.campaign_id for each in campaigns])
        return cls(generation.manifest.generation, campaigns, traffic, places_of(campaigns))

    @classmethod
    def current(cls, generations: Path) -> "Published":
        """What is published. Raises NotReady without a generation, GenerationDamaged."""
        return first_good(generations, cls.of)

    def place(self, campaign_id: str) -> int:
        """Number of a campaign, by its id or by that of one that merged into it. Raises UnknownCampaign."""
        if campaign_id not in self.places:
            raise UnknownCampaign(f"no campaign {campaign_id} in generation {self.generation}")
        return self.places[campaign_id]

    def campaign(self, campaign_id: str) -> Campaign:
        """The campaign itself. Raises UnknownCampaign."""
        return self.campaigns[self.place(campaign_id)]


def urgent_first(campaigns: Iterable[Campaign]) -> tuple[Campaign, ...]:
    """Campaigns by level, score and size, the most urgent first."""
    return tuple(
        sorted(campaigns, key=lambda each: (-each.level.rank, -each.score, -each.events, each.campaign_id))
    )
