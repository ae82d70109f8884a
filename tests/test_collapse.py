"""Groups that have run together, or are gone, are told from those that have grown."""

import numpy as np
import pytest

from indexer.collapse import NOT_THERE, collapse_of

GROUPS = np.repeat(np.arange(20), 100)  # twenty groups of a hundred prompts
NONE = np.full(2000, -1)
NEW = np.full(2000, NOT_THERE)


def test_what_stays_as_it_was_is_no_collapse() -> None:
    assert collapse_of(GROUPS, GROUPS) == ""
    assert collapse_of(GROUPS[::-1], GROUPS) == ""  # other numbers
    assert collapse_of(GROUPS, NEW) == ""
    assert collapse_of(NONE, NEW) == ""
    assert collapse_of(NONE, NONE) == ""


def test_groups_that_run_together_are_one() -> None:
    reason = collapse_of(np.where(GROUPS < 15, 3, GROUPS), GROUPS)
    assert reason == (
        "one group holds 75% of 2000 prompts, and of those that were there before, 100 of 1500 were in one group"
    )


def test_background_that_runs_together_is_one() -> None:
    assert "95% of 2000 prompts" in collapse_of(np.where(GROUPS < 19, 0, GROUPS), NONE)


def test_a_group_that_grew_is_none() -> None:
    """A campaign may well be most of the traffic: if it was one before, or if all of it is new."""
    before = np.where(GROUPS < 15, 3, GROUPS)
    assert collapse_of(before, before) == ""
    assert collapse_of(before, np.where(GROUPS == 3, 3, np.where(GROUPS < 15, NOT_THERE, GROUPS))) == ""


def test_a_flood_that_began_with_a_few_trials_is_none() -> None:
    now = np.concatenate([np.full(2000, -1), np.zeros(4000, np.int64)])
    before = np.concatenate([np.full(2000, -1), np.full(4000, NOT_THERE)])
    for trials in (1, 900):
        before[2000 : 2000 + trials] = -1
        assert collapse_of(now, before) == ""


def test_a_first_generation_of_one_group_alone_is_one() -> None:
    assert collapse_of(np.zeros(2000, np.int64), NEW) == "one group holds 100% of 2000 prompts"
    assert collapse_of(np.where(GROUPS < 18, 0, -1), NEW) == ""


def test_groups_that_are_gone_are_one() -> None:
    assert collapse_of(NONE, GROUPS) == "of 2000 prompts that were in a group, 0 still are"
    assert collapse_of(np.where(GROUPS < 2, GROUPS, -1), GROUPS) == ""
    assert collapse_of(NONE, np.where(GROUPS < 5, GROUPS, -1)) == ""  # half a thousand tell too little


@pytest.mark.parametrize("prompts", [0, 999])
def test_of_few_prompts_nothing_is_said(prompts: int) -> None:
    assert collapse_of(np.zeros(prompts, np.int64), np.full(prompts, NOT_THERE)) == ""
