"""The templates of samples of prompts: which of their texts has fixed words, and which these are."""

from collections.abc import Sequence

import msgspec

from indexer.skeleton import extract_variants
from models.campaign import Template
from models.text import clean


class PromptSample(msgspec.Struct, frozen=True, array_like=True):
    """system, user: raw texts of n prompts. senders: accounts that sent each. roles: "system", "user", in the
    order in which a template is looked for.
    """

    system: Sequence[str]
    user: Sequence[str]
    senders: Sequence[Sequence[int]]
    roles: Sequence[str]


def templates_of(sample: PromptSample) -> tuple[Template, ...]:
    """The template and its variants in the first role that has fixed text; in the first if none has."""
    senders = [set(accounts) for accounts in sample.senders]
    found = [
        extract_variants(
            [clean(text) for text in (sample.system if role == "system" else sample.user)], senders, role
        )
        for role in sample.roles
    ]
    return tuple(next((each for each in found if each[0].literal_share > 0), found[0]))
