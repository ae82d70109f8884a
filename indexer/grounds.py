"""On what grounds a prompt counts as a campaign's, and whether they are enough to block it.

One cosine is not enough: it cannot tell a question from its reverse. So a second view has to agree, or the very
words of the template.
"""

from typing import Final

from indexer.coverage import covered_share, said_in, templates_of
from models.campaign import Campaign
from models.match import Ground, Nearest
from models.prompt import Prompt
from models.view import View

ENOUGH: Final = 2  # grounds
TEMPLATE_SHARE: Final = 0.6  # of a template's fixed words; fillers and typos take a few, others have next to none
_OF_VIEW: Final = {View.WHOLE: Ground.WHOLE, View.RECURRING: Ground.RECURRING, View.SYSTEM: Ground.SYSTEM}


def grounds_of(near: Nearest, campaign: Campaign, prompt: Prompt) -> tuple[Ground, ...]:
    """The grounds on which a prompt counts as the campaign's, in the order of `Ground`.

    near: what the views show of the two.
    """
    found = {_OF_VIEW[each.view] for each in near.views if each.similarity >= each.threshold}
    if near.view is View.EXACT:
        found.add(Ground.EXACT)
    said = {"user": said_in(prompt.user), "system": said_in(prompt.system)}
    if any(covered_share(each, said[each.role]) >= TEMPLATE_SHARE for each in templates_of(campaign)):
        found.add(Ground.TEMPLATE)
    return tuple(ground for ground in Ground if ground in found)
