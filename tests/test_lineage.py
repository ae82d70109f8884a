"""A campaign keeps its id over reindexes, whatever becomes of it; and no id ever means two campaigns."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer import lineage
from indexer.lineage import Descent, former_ids

Prompts = frozenset[bytes]


def prompts(first: int, last: int) -> Prompts:
    """Fingerprints of prompts first to last - 1."""
    return frozenset(number.to_bytes(16, "big") for number in range(first, last))


def descents(groups: Sequence[Prompts], earlier: Mapping[str, Prompts]) -> list[Descent]:
    """`indexer.lineage.descents` of groups and campaigns that are given by their prompts."""
    together = sorted(frozenset().union(*groups, *earlier.values()), key=lambda each: each[::-1])
    group, had = (
        np.array([next((n for n, mine in enumerate(some) if each in mine), -1) for each in together], np.int64)
        for some in (groups, list(earlier.values()))
    )
    fingerprints = np.frombuffer(b"".join(together), np.uint8).reshape(-1, 16)
    return lineage.descents(group, had, fingerprints, len(groups), {name: len(p) for name, p in earlier.items()})


def fresh_id(group: Prompts) -> str:
    """Id that a group gets when nothing came before."""
    return descents([group], {})[0].campaign_id


def test_the_first_groups_are_born() -> None:
    found = descents([prompts(0, 10), prompts(10, 20)], {})
    assert [each.event for each in found] == ["born", "born"]
    assert [each.others for each in found] == [(), ()]
    assert all(re.fullmatch("c-[2-9a-hjkmnp-z]{10}", each.campaign_id) for each in found)
    assert found[0].campaign_id != found[1].campaign_id


def test_ids_are_the_same_in_every_process_and_release() -> None:
    """A golden value: were it to change, every new campaign of a re-run would get another name."""
    assert fresh_id(prompts(0, 10)) == "c-2v9erfyvsh"


def test_an_id_depends_on_the_smallest_fingerprint_alone() -> None:
    assert fresh_id(prompts(3, 5)) == fresh_id(prompts(3, 99)) != fresh_id(prompts(4, 99))


def test_the_same_groups_keep_their_ids() -> None:
    earlier = {"c-one": prompts(0, 10), "c-two": prompts(10, 20)}
    assert descents([prompts(10, 20), prompts(0, 10)], earlier) == [
        Descent("c-two", "continued", ()),
        Descent("c-one", "continued", ()),
    ]


@pytest.mark.parametrize(("before", "now"), [(20, 5000), (10, 200), (1, 20)])
def test_growth_keeps_the_id_from_20_prompts_or_a_twentieth_in_common(before: int, now: int) -> None:
    assert descents([prompts(0, now)], {"c-one": prompts(0, before)}) == [Descent("c-one", "continued", ())]


@pytest.mark.parametrize(("before", "now"), [(19, 5000), (9, 200), (1, 5000)])
def test_a_few_prompts_do_not_name_a_large_group_that_took_them_in(before: int, now: int) -> None:
    """An analyst's "benign" on one viral prompt must not silence a campaign that comes to send it too."""
    group = prompts(0, now)
    for earlier, later in ((prompts(0, before), group), (group, prompts(0, before))):
        (found,) = descents([later], {"c-one": earlier})
        assert (found.event, found.others) == ("born", ())
        assert found.campaign_id != "c-one"


def test_shrinking_keeps_the_id() -> None:
    assert descents([prompts(7, 10)], {"c-one": prompts(0, 10)}) == [Descent("c-one", "continued", ())]


def test_three_tenths_of_the_smaller_side_hand_the_id_on_and_less_does_not() -> None:
    earlier = {"c-one": prompts(0, 10)}
    assert descents([prompts(7, 17)], earlier) == [Descent("c-one", "continued", ())]
    unrelated = descents([prompts(8, 18)], earlier)
    assert unrelated == [Descent(fresh_id(prompts(8, 18)), "born", ())]


def test_in_a_split_the_bigger_part_keeps_the_id() -> None:
    small, big = prompts(0, 4), prompts(4, 10)
    found = descents([small, big], {"c-one": prompts(0, 10)})
    assert found == [Descent(fresh_id(small), "split", ("c-one",)), Descent("c-one", "continued", ())]


def test_in_a_merge_the_bigger_part_hands_on_the_id() -> None:
    earlier = {"c-big": prompts(4, 10), "c-small": prompts(0, 4)}
    assert descents([prompts(0, 10)], earlier) == [Descent("c-big", "merged", ("c-small",))]


def test_of_two_equal_parts_the_smaller_id_and_the_first_group_win() -> None:
    assert descents([prompts(0, 4), prompts(4, 8)], {"c-one": prompts(0, 8)})[0].campaign_id == "c-one"
    earlier = {"c-b": prompts(0, 4), "c-a": prompts(4, 8)}
    assert descents([prompts(0, 8)], earlier) == [Descent("c-a", "merged", ("c-b",))]


def test_a_part_that_keeps_its_smallest_prompt_but_not_its_id_gets_another() -> None:
    group = prompts(0, 4)
    live = fresh_id(group)
    found = descents([group, prompts(4, 10)], {live: prompts(0, 10)})
    assert found[1] == Descent(live, "continued", ())
    assert (found[0].event, found[0].others) == ("split", (live,))
    assert found[0].campaign_id != live


def test_an_id_of_a_campaign_that_is_gone_is_not_given_to_another() -> None:
    group = prompts(0, 4)
    found = descents([group], {fresh_id(group): prompts(50, 60)})
    assert found[0].event == "born"
    assert found[0].campaign_id != fresh_id(group)


def test_no_groups() -> None:
    assert descents([], {"c-one": prompts(0, 3)}) == []


def partition(owners: list[int]) -> list[Prompts]:
    """Groups of the prompts 0, 1, 2 ...; a prompt of owner 0 is in none."""
    members = [[place for place, owner in enumerate(owners) if owner == name] for name in range(1, 6)]
    return [frozenset(place.to_bytes(16, "big") for place in each) for each in members if each]


OWNERS = st.lists(st.integers(0, 5), min_size=24, max_size=24)


def earlier_of(owners: list[int]) -> Mapping[str, Prompts]:
    groups = partition(owners)
    found = descents(groups, {})
    return {each.campaign_id: group for each, group in zip(found, groups, strict=True)}


@settings(deadline=None)
@given(OWNERS, OWNERS)
def test_ids_are_unique_and_do_not_depend_on_the_order(before: list[int], after: list[int]) -> None:
    earlier, groups = earlier_of(before), partition(after)
    found = descents(groups, earlier)
    ids = [each.campaign_id for each in found]
    assert len(set(ids)) == len(groups)
    for group, each in zip(groups, found, strict=True):
        inherited = each.campaign_id in earlier
        assert inherited == (each.event in ("continued", "merged"))
        assert each.campaign_id not in each.others
        assert set(each.others) <= set(earlier)
        if inherited:
            common = len(group & earlier[each.campaign_id])
            assert common >= 0.3 * min(len(group), len(earlier[each.campaign_id]))
    assert descents(groups, dict(reversed(earlier.items()))) == found


@settings(deadline=None)
@given(OWNERS)
def test_a_reindex_without_news_changes_nothing(owners: list[int]) -> None:
    earlier = earlier_of(owners)
    found = descents(list(earlier.values()), earlier)
    assert found == [Descent(name, "continued", ()) for name in earlier]


@settings(deadline=None)
@given(OWNERS)
def test_first_ids_do_not_depend_on_the_order_of_the_groups(owners: list[int]) -> None:
    groups = partition(owners)
    assert descents(groups[::-1], {}) == descents(groups, {})[::-1]


def test_the_id_of_a_campaign_that_merged_leads_to_the_one_that_took_it_in() -> None:
    merged = [Descent("c-big", "merged", ("c-small", "c-alive")), Descent("c-alive", "continued", ())]
    assert former_ids(merged, {}) == [("c-small",), ()]
    assert former_ids(merged, {"c-small": ("c-tiny",), "c-big": ("c-old",)}) == [
        ("c-old", "c-small", "c-tiny"),
        (),
    ]


def test_an_id_leads_to_one_campaign_only_and_never_away_from_itself() -> None:
    both = [Descent("c-1", "merged", ("c-gone",)), Descent("c-2", "merged", ("c-gone",))]
    assert former_ids(both, {}) == [("c-gone",), ()]
    back = [Descent("c-1", "continued", ()), Descent("c-2", "born", ())]
    assert former_ids(back, {"c-1": ("c-2", "c-3")}) == [("c-3",), ()]
    split = [Descent("c-1", "continued", ()), Descent("c-2", "split", ("c-gone",))]
    assert former_ids(split, {}) == [(), ()]
