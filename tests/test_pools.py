"""Groups that one pool of accounts sends become one campaign; groups that share busy people do not."""

import numpy as np
import pytest
from test_groups import corpus_of

from indexer.corpus import Corpus
from indexer.groups import UNGROUPED, Groups, merged
from indexer.pools import common_units, events_by_unit, join_pools
from models.view import View

Senders = list[range]


def world(senders: Senders, each: int = 3, crowd: int = 400) -> tuple[Corpus, Groups]:
    """A group of prompts for each range of units, `each` by every unit; and a crowd that sends other things."""
    sent, group = [], []
    for number, units in enumerate(senders):
        for unit in units:
            for _ in range(each):
                sent.append((len(group), unit))
                group.append(number)
    for unit in range(1000, 1000 + crowd):
        for _ in range(5):
            sent.append((len(group), unit))
            group.append(UNGROUPED)
    of_prompt = np.array(group)
    views = ((View.RECURRING,),) * len(senders)
    return corpus_of(len(group), sent), Groups(of_prompt, views, np.where(of_prompt == UNGROUPED, UNGROUPED, 0))


def joined(senders: Senders, each: int = 3) -> int:
    """How many groups are left."""
    return len(join_pools(*world(senders, each)))


@pytest.mark.parametrize(
    ("senders", "left"),
    [
        ([range(30), range(30)], 1),
        ([range(30), range(15)], 1),  # half of a pool moved on to another template
        ([range(30), range(20, 50)], 2),
        ([range(30), range(100, 130)], 2),
        ([range(30), range(30), range(200, 230), range(200, 230)], 2),
        ([range(5), range(5)], 2),  # too few to tell
        ([range(30)], 1),
        ([], 0),
    ],
)
def test_groups_of_one_pool_are_one(senders: Senders, left: int) -> None:
    assert joined(senders) == left


def test_viral_prompts_of_the_same_people_stay_apart() -> None:
    assert joined([range(30), range(30)], each=1) == 2


def test_a_pool_that_spreads_its_work_thin_is_one() -> None:
    """Four templates, each sent once by every account; two would be a coincidence of taste."""
    assert joined([range(30)] * 4, each=1) == 1
    assert joined([range(30)] * 2, each=1) == 2


def test_viral_prompts_of_one_audience_stay_apart_however_many() -> None:
    """Four prompts, the same to a letter from everybody."""
    corpus, groups = world([range(30)] * 4, each=1)
    prompt = np.where(groups.of_prompt == UNGROUPED, np.arange(len(corpus)), 30 * groups.of_prompt)
    same = corpus_of(len(corpus), list(zip(prompt[corpus.event_prompt], corpus.events.unit, strict=True)))
    sent = np.isin(np.arange(len(corpus)), prompt)
    of_prompt = np.where(sent, groups.of_prompt, UNGROUPED)
    assert len(join_pools(same, Groups(of_prompt, groups.views, groups.strand))) == 4


def test_a_shallow_side_line_of_a_deep_pool_belongs_to_it() -> None:
    """Thirteen accounts of a pool send a second template, most of them once."""
    corpus, groups = world([range(30), range(13), range(100, 130)])
    once = groups.of_prompt.copy()
    seen: set[int] = set()
    for prompt, unit in zip(corpus.event_prompt.tolist(), corpus.events.unit.tolist(), strict=True):
        if once[prompt] == 1 and unit in seen:
            once[prompt] = UNGROUPED
        elif once[prompt] == 1:
            seen.add(unit)
    found = join_pools(corpus, Groups(once, groups.views, np.where(once == UNGROUPED, UNGROUPED, 0)))
    assert len(found) == 2
    assert np.bincount(found.of_prompt[found.of_prompt != UNGROUPED]).tolist() == [103, 90]


def test_part_of_a_pool_that_meets_far_more_than_by_chance_is_one_pool() -> None:
    """A third of each side in common would be a coincidence only among people who are busy everywhere."""
    senders = [range(100), range(70, 140)]
    assert joined(senders) == 2  # 430 units in all: 30 in common is less than ten times chance
    corpus, groups = world(senders, crowd=3000)
    assert len(join_pools(corpus, groups)) == 1
    corpus, groups = world([range(28), range(21, 36)], crowd=3000)  # seven of fifteen that moved on sent both
    assert len(join_pools(corpus, groups)) == 1


def test_people_who_do_everything_join_nothing() -> None:
    """Twenty units make nearly all of the traffic, so that they meet in any two groups says nothing."""
    corpus, groups = world([range(20), range(20)], each=30, crowd=3)
    assert len(join_pools(corpus, groups)) == 2


def test_expected_common_units_equal_a_loop() -> None:
    corpus, groups = world([range(30), range(10, 40), range(5, 25)])
    activity = np.bincount(corpus.events.unit)
    events = events_by_unit(corpus, groups)
    for a, b, common, expected in zip(*common_units(events, activity), strict=True):
        members = [set(np.flatnonzero(events[[number]].toarray()[0])) for number in (a, b)]
        assert common == len(members[0] & members[1])
        sizes = [events[[number]].nnz for number in (a, b)]
        by_hand = [
            sum(1 - np.exp(-size * activity[unit] / activity.sum()) for unit in mine)
            for mine, size in ((members[0], sizes[1]), (members[1], sizes[0]))
        ]
        assert expected == pytest.approx(max(by_hand))


def test_merged_groups_keep_their_strands_and_all_their_views() -> None:
    of_prompt = np.array([0, 1, UNGROUPED, 2, 1])
    groups = Groups(of_prompt, ((View.WHOLE,), (View.RECURRING,), (View.EXACT, View.WHOLE)), np.zeros(5, np.int64))
    found = merged(groups, np.array([7, 3, 7]))
    assert found.of_prompt.tolist() == [0, 1, UNGROUPED, 0, 1]
    assert found.strand.tolist() == [0, 0, UNGROUPED, 1, 0]
    assert found.views == ((View.WHOLE, View.EXACT), (View.RECURRING,))
