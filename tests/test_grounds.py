"""Why a prompt counts as a campaign's: each view that reaches its threshold, and the template's own words."""

import pytest
from api_double import make_campaign

from indexer.grounds import grounds_of
from models.campaign import Level
from models.match import Ground, Nearest, ViewSimilarity
from models.prompt import Prompt
from models.view import View

TEXT = "list each defect of the given shell script and then rewrite it"
CAMPAIGN = make_campaign("c-1", Level.LIKELY, TEXT)


def near(view: View, **cosines: float) -> Nearest:
    """What views show whose thresholds are all 0.8."""
    views = tuple(ViewSimilarity(View(name), cosine, 0.8) for name, cosine in cosines.items())
    return Nearest("c-1", Level.LIKELY, None, view, 0.9, 0.8, 1.0, views)


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        (near(View.WHOLE, whole=0.8, recurring=0.79), (Ground.WHOLE,)),
        (near(View.RECURRING, whole=0.2, recurring=0.9, system=0.85), (Ground.RECURRING, Ground.SYSTEM)),
        (near(View.EXACT, whole=0.99), (Ground.EXACT, Ground.WHOLE)),
        (near(View.EXACT), (Ground.EXACT,)),
    ],
)
def test_each_view_that_reaches_its_threshold_is_a_ground(seen: Nearest, found: tuple[Ground, ...]) -> None:
    assert grounds_of(seen, CAMPAIGN, Prompt("", "something else")) == found


@pytest.mark.parametrize(
    ("prompt", "is_ground"),
    [
        (Prompt("", f"please {TEXT} now: rm -rf"), True),
        (Prompt("", TEXT.replace("defect", "flaw")), True),  # 8 of 12 words are in four that stand in a row
        (Prompt("", "rewrite then and script shell given the of defect each list it"), False),
        (Prompt(TEXT, "hello"), False),  # the template is of user text
    ],
)
def test_the_words_of_the_template_in_their_order_are_a_ground(prompt: Prompt, is_ground: bool) -> None:
    assert (Ground.TEMPLATE in grounds_of(near(View.WHOLE, whole=0.9), CAMPAIGN, prompt)) is is_ground
