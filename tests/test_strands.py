"""Templates by role, and which shifts are evidence."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from indexer.strands import fixed_text, handovers
from indexer.templates import PromptSample, templates_of
from models.campaign import Shift, ShiftKind, Side

RULE = "you grade essays of students with care and give every one of them a mark"
AT = datetime(2026, 2, 2, 12, tzinfo=UTC)


def words(rng: Random) -> str:
    return " ".join(f"w{rng.getrandbits(40):x}" for _ in range(8))


def prompts(system: str, user: str, *roles: str) -> PromptSample:
    """Prompts of as many accounts."""
    rng = Random(1)
    said = [f"{user} {words(rng)}".strip() for _ in range(20)]
    return PromptSample([system] * 20, said, [[n] for n in range(20)], roles)


def template(system: str, user: str, *roles: str) -> tuple[str, str]:
    (found, *_) = templates_of(prompts(system, user, *roles))
    return found.role, found.skeleton


def test_the_template_is_of_the_text_that_is_fixed() -> None:
    assert template(RULE, "", "user", "system") == ("system", RULE)
    assert template(RULE, "answer this at once please", "user", "system") == (
        "user",
        "answer this at once please {1}",
    )
    assert template(RULE, "answer this at once please", "system") == ("system", RULE)


def test_where_nothing_is_fixed_the_template_of_the_users_is_empty() -> None:
    assert template("", "", "user", "system") == ("user", "")


def test_the_fixed_text_has_all_wordings() -> None:
    (one,) = templates_of(prompts(RULE, "", "system"))
    assert fixed_text(one, ()) == RULE
    assert fixed_text(one, (one,)) == f"{RULE}\n{RULE}"


def shift(kind: ShiftKind, hours: float = 0.5) -> Shift:
    return Shift(kind, AT, AT + timedelta(hours=hours), 1.0, 0.0, Side(10), Side(10))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], 0),
        ([shift(ShiftKind.POOL_SWAP), shift(ShiftKind.MODEL_PIVOT), shift(ShiftKind.TEMPLATE_PIVOT)], 3),
        ([shift(ShiftKind.DORMANT), shift(ShiftKind.REVIVED)], 0),
        ([shift(ShiftKind.POOL_SWAP, 6.0)], 1),
        ([shift(ShiftKind.POOL_SWAP, 6.1)], 0),  # a course that is given on two days has two classes
        ([shift(ShiftKind.MODEL_PIVOT, 12.0)], 1),
    ],
)
def test_swaps_at_once_and_pivots_are_evidence(found: list[Shift], expected: int) -> None:
    assert handovers(found) == expected
