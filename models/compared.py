"""A stored prompt held against a campaign."""

from dataclasses import dataclass

from models.match import ViewSimilarity, nearest_view
from models.search import SearchHit
from models.view import View


@dataclass(frozen=True, slots=True)
class Compared:
    """hit: the prompt, its similarity that of the view where it comes nearest. margin: that similarity minus the
    threshold it needs there, in [-2, 2]; 0 for a prompt of a campaign that has none, as of one repeated prompt.
    views: what each view shows that can tell. whole: whether all of it was compared, and not both its ends only.
    """

    hit: SearchHit
    margin: float
    views: tuple[ViewSimilarity, ...]
    whole: bool

    @property
    def view(self) -> View | None:
        """Where it comes nearest, None if no view can tell."""
        nearest = nearest_view(self.views)
        return nearest.view if nearest else None


@dataclass(frozen=True, slots=True)
class ComparedPage:
    """Some of the prompts that were compared with a campaign. compared: how many were, out of `total`."""

    prompts: tuple[Compared, ...]
    compared: int
    total: int


@dataclass(frozen=True, slots=True)
class LabSample:
    """What a campaign's thresholds can be tried on: some of its own prompts, prompts outside of every campaign
    that come near, and prompts of other campaigns that do, with how many of its own there are.
    """

    own: tuple[Compared, ...]
    outside: tuple[Compared, ...]
    others: tuple[Compared, ...]
    own_total: int
