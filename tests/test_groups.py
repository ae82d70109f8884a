"""From clusters in several views to groups: no prompt twice, and no bridge between two groups."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.cluster import NOISE
from indexer.corpus import Corpus, distinct
from indexer.events import EventTable, Names
from indexer.groups import UNGROUPED, Clustered, Groups, combine, group_size
from indexer.views import ViewTexts
from models.view import View

Sent = Sequence[tuple[int, int]]  # an event each: prompt, unit


def corpus_of(prompts: int, sent: Sent) -> Corpus:
    count = len(sent)
    columns = np.array(sent, np.int64).reshape(count, 2)
    nothing = np.full(count, -1, np.int64)
    none = Names(())
    events = EventTable(
        sequence=np.arange(1, count + 1),
        prompt=columns[:, 0],
        account=np.arange(count),
        unit=columns[:, 1],
        timestamp=np.zeros(count, np.int64),
        created_at=nothing,
        model=nothing,
        payment=nothing,
        network=nothing,
        disguised=nothing,
        account_names=Names(tuple(f"a{number}" for number in range(count))),
        unit_names=none,
        model_names=none,
        payment_names=none,
        network_names=none,
    )
    return corpus_with(prompts, events)


def corpus_with(prompts: int, events: EventTable) -> Corpus:
    """A corpus of so many prompts, whose ids are their rows."""
    fingerprints = np.zeros((prompts, 16), np.uint8)
    fingerprints[:, 14], fingerprints[:, 15] = np.divmod(np.arange(prompts), 256)
    user, system = (distinct(texts) for texts in ([f"text {number}" for number in range(prompts)], [""] * prompts))
    return Corpus(np.arange(prompts), fingerprints, user, system, events.prompt, events)


def spread(prompts: int) -> list[tuple[int, int]]:
    """One event a prompt, each of a unit of its own."""
    return [(prompt, prompt) for prompt in range(prompts)]


def seen(view: View, labels: Sequence[int]) -> Clustered:
    """A view with one point for each prompt."""
    places = np.arange(len(labels))
    texts = ViewTexts(view, tuple(f"t{i:03}" for i in places), places, places, np.ones(len(labels), np.int64))
    return Clustered(texts, np.array(labels, np.int64))


def grouped(groups: Groups) -> list[int]:
    return [int(number) for number in groups.of_prompt]


def test_a_whole_text_cluster_mostly_inside_a_recurring_group_is_absorbed() -> None:
    recurring = seen(View.RECURRING, [0, 0, 0, 0, -1, -1])
    whole = seen(View.WHOLE, [-1, -1, 3, 3, 3, -1])
    groups = combine(corpus_of(6, spread(6)), [recurring, whole], 2, 2)
    assert grouped(groups) == [0, 0, 0, 0, 0, -1]
    assert groups.views == ((View.WHOLE, View.RECURRING),)
    assert len(groups) == 1


@pytest.mark.parametrize(
    ("inside", "expected"), [(3, [0, 0, 0, 0, 0]), (2, [0, 0, 0, 0, 0]), (1, [0, 0, 0, 1, 1])]
)
def test_it_is_absorbed_from_half_of_its_events(inside: int, expected: list[int]) -> None:
    recurring = seen(View.RECURRING, [0, 0, 0, -1, -1])
    whole = seen(View.WHOLE, [5 if place < inside else -1 for place in range(3)] + [5, 5])
    groups = combine(corpus_of(5, spread(5)), [recurring, whole], 1, 1 + 1)
    assert grouped(groups) == expected


def test_shares_count_events_not_prompts() -> None:
    recurring = seen(View.RECURRING, [0, 0, -1, -1, -1])
    whole = seen(View.WHOLE, [-1, 0, 0, 0, 0])
    busy = [*spread(5), (1, 7), (1, 8)]
    assert grouped(combine(corpus_of(5, spread(5)), [recurring, whole], 2, 2)) == [0, 0, 1, 1, 1]
    assert grouped(combine(corpus_of(5, busy), [recurring, whole], 2, 2)) == [0, 0, 0, 0, 0]


def test_a_cluster_that_touches_two_groups_never_joins_them() -> None:
    recurring = seen(View.RECURRING, [0, 0, 0, 1, 1, 1, -1, -1])
    whole = seen(View.WHOLE, [-1, 0, 0, 0, 0, -1, 0, 0])
    groups = combine(corpus_of(8, spread(8)), [recurring, whole], 2, 2)
    assert grouped(groups) == [0, 0, 0, 1, 1, 1, 2, 2]
    assert groups.views == ((View.RECURRING,), (View.RECURRING,), (View.WHOLE,))


def test_a_cluster_with_most_of_it_in_one_of_two_groups_gives_it_only_what_is_free() -> None:
    recurring = seen(View.RECURRING, [0, 0, 0, 1, 1, 1, -1])
    whole = seen(View.WHOLE, [0, 0, 0, 0, -1, -1, 0])
    groups = combine(corpus_of(7, spread(7)), [recurring, whole], 2, 2)
    assert grouped(groups) == [0, 0, 0, 1, 1, 1, 0]
    assert groups.views == ((View.WHOLE, View.RECURRING), (View.RECURRING,))


def test_the_system_view_takes_only_prompts_that_the_recurring_view_left() -> None:
    recurring = seen(View.RECURRING, [0, 0, -1, -1])
    system = seen(View.SYSTEM, [-1, 0, 0, 0])
    groups = combine(corpus_of(4, spread(4)), [system, recurring], 2, 2)
    assert grouped(groups) == [0, 0, 1, 1]
    assert groups.views == ((View.RECURRING,), (View.SYSTEM,))


def test_one_prompt_of_many_units_is_a_group_by_its_hash() -> None:
    sent = [(1, unit) for unit in range(3)] + [(0, 0), (0, 1)]
    groups = combine(corpus_of(2, sent), [], 3, 3)
    assert grouped(groups) == [-1, 0]
    assert groups.views == ((View.EXACT,),)


def test_a_repeated_prompt_inside_a_group_adds_a_view_and_no_group() -> None:
    sent = [*spread(3), (0, 7), (0, 8)]
    groups = combine(corpus_of(3, sent), [seen(View.RECURRING, [0, 0, -1])], 3, 3)
    assert grouped(groups) == [0, 0, -1]
    assert groups.views == ((View.RECURRING, View.EXACT),)


def test_an_organisation_counts_once_towards_the_size() -> None:
    one_customer = [(prompt, 0) for prompt in range(20)]
    assert len(combine(corpus_of(20, one_customer), [seen(View.WHOLE, [0] * 20)], 2, 2)) == 0
    two = [*one_customer[:-1], (19, 1)]
    assert grouped(combine(corpus_of(20, two), [seen(View.WHOLE, [0] * 20)], 2, 2)) == [0] * 20


def test_groups_with_few_events_are_dropped() -> None:
    whole = seen(View.WHOLE, [0, 0, 0, 1, 1])
    groups = combine(corpus_of(5, spread(5)), [whole], 2, 3)
    assert grouped(groups) == [0, 0, 0, -1, -1]


def test_numbers_follow_the_first_prompt_whatever_the_clusters_are_called() -> None:
    expected = [0, 1, 0, 2, 1, 2]
    for names in ((0, 1, 2), (2, 0, 1), (9, 4, 6)):
        labels = [names[number] for number in expected]
        assert grouped(combine(corpus_of(6, spread(6)), [seen(View.WHOLE, labels)], 2, 2)) == expected


def test_a_prompt_cut_into_windows_goes_where_most_of_them_lie() -> None:
    prompts = np.array([0, 0, 0, 1, 2], np.int64)
    points = np.arange(5)
    texts = ViewTexts(View.WHOLE, tuple("abcde"), prompts, points, np.ones(5, np.int64))
    for labels, expected in (([1, 1, 0, 0, 1], [0, -1, 0]), ([1, NOISE, NOISE, 0, 1], [0, -1, 0])):
        groups = combine(corpus_of(3, spread(3)), [Clustered(texts, np.array(labels))], 2, 2)
        assert grouped(groups) == expected


def test_prompts_that_share_a_text_are_together() -> None:
    texts = ViewTexts(View.RECURRING, ("one",), np.arange(3), np.zeros(3, np.int64), np.array([3]))
    groups = combine(corpus_of(4, spread(4)), [Clustered(texts, np.array([0]))], 2, 2)
    assert grouped(groups) == [0, 0, 0, -1]


@pytest.mark.parametrize("labels", [[], [NOISE] * 4])
def test_nothing_clustered_is_no_group(labels: list[int]) -> None:
    views = [seen(view, labels) for view in (View.RECURRING, View.SYSTEM, View.WHOLE)]
    groups = combine(corpus_of(len(labels), spread(len(labels))), views, 2, 2)
    assert (grouped(groups), groups.views) == ([UNGROUPED] * len(labels), ())


PROMPTS = 8
LABELS = st.lists(st.integers(-1, 2), min_size=PROMPTS, max_size=PROMPTS)
SENT = st.lists(st.tuples(st.integers(0, PROMPTS - 1), st.integers(0, 4)), max_size=20)


def test_a_group_that_will_be_dropped_takes_no_prompts_from_another_view() -> None:
    recurring = seen(View.RECURRING, [0, 0, -1, -1, -1])  # two events of two units, where three are needed
    system = seen(View.SYSTEM, [0, 0, 0, 0, -1])
    groups = combine(corpus_of(5, spread(5)), [recurring, system], 2, 3)
    assert grouped(groups) == [0, 0, 0, 0, -1]
    assert groups.views == ((View.SYSTEM,),)


@settings(deadline=None)
@given(LABELS, LABELS, LABELS, SENT)
def test_laws_of_groups(
    recurring: list[int], system: list[int], whole: list[int], more: list[tuple[int, int]]
) -> None:
    corpus = corpus_of(PROMPTS, spread(PROMPTS) + more)
    labels = {View.RECURRING: recurring, View.SYSTEM: system, View.WHOLE: whole}
    groups = combine(corpus, [seen(view, each) for view, each in labels.items()], 2, 3)
    of_prompt = grouped(groups)
    firsts = [of_prompt.index(number) for number in range(len(groups))]
    assert firsts == sorted(firsts)
    units, events = group_size(corpus, groups.of_prompt, len(groups))
    assert (units >= 2).all()
    assert (events >= 3).all()
    units, events = group_size(corpus, np.array(recurring), max(recurring) + 1)
    stands = [label != NOISE and units[label] >= 2 and events[label] >= 3 for label in recurring]
    for prompt, other in np.ndindex(PROMPTS, PROMPTS):  # what the recurring view told apart stays apart,
        if stands[prompt] and stands[other] and of_prompt[prompt] == of_prompt[other] != UNGROUPED:
            same_system = system[prompt] == system[other] != NOISE  # unless one system prompt holds both
            assert recurring[prompt] == recurring[other] or same_system
    for number, views in enumerate(groups.views):
        members = [prompt for prompt in range(PROMPTS) if of_prompt[prompt] == number]
        for view in views:
            assert view is View.EXACT or any(labels[view][prompt] != NOISE for prompt in members)


@settings(deadline=None)
@given(LABELS, SENT)
def test_group_size_equals_counting(labels: list[int], sent: list[tuple[int, int]]) -> None:
    units, events = group_size(corpus_of(PROMPTS, sent), np.array(labels), 3)
    for group in range(3):
        inside = [(prompt, unit) for prompt, unit in sent if labels[prompt] == group]
        assert (units[group], events[group]) == (len({unit for _, unit in inside}), len(inside))


def contested(recurring: Sequence[int], system: Sequence[int]) -> list[int]:
    """Groups of prompts that both views cluster."""
    corpus = corpus_of(len(recurring), spread(len(recurring)))
    return grouped(combine(corpus, [seen(View.RECURRING, recurring), seen(View.SYSTEM, system)], 2, 2))


def test_everyday_phrases_take_nothing_from_a_system_prompt() -> None:
    """Each phrase holds a few of the ten prompts under one system prompt, and many of others."""
    phrases = [0] * 4 + [1] * 4 + [NOISE] * 2 + [0] * 30 + [1] * 30
    system = [0] * 10 + [NOISE] * 60
    assert contested(phrases, system) == [0] * 10 + [1] * 30 + [2] * 30


def test_a_system_prompt_that_everybody_has_takes_nothing_from_a_template() -> None:
    template = [0] * 10 + [1] * 10 + [NOISE] * 40
    system = [0] * 60
    assert contested(template, system) == [0] * 10 + [1] * 10 + [2] * 40


def test_what_a_pool_asks_under_its_system_prompt_is_no_everyday_phrase() -> None:
    """Three accounts with ten prompts each under one system prompt; two of these are what thirty others ask."""
    mine = [(prompt, prompt % 3) for prompt in range(30)]
    others = [(prompt, 100 + prompt) for prompt in range(30, 60)]
    corpus = corpus_of(60, mine + others)
    phrase = seen(View.RECURRING, [0] * 2 + [NOISE] * 28 + [0] * 30)
    system = seen(View.SYSTEM, [0] * 30 + [NOISE] * 30)
    assert grouped(combine(corpus, [phrase, system], 2, 2)) == [0] * 30 + [1] * 30
    few = seen(View.RECURRING, [0] * 2 + [NOISE] * 28 + [0] * 3 + [NOISE] * 27)
    assert grouped(combine(corpus, [few, system], 2, 2)) == [0] * 30 + [1] * 3 + [UNGROUPED] * 27


def test_a_template_under_a_system_prompt_of_its_own_is_one_group() -> None:
    assert contested([0] * 9 + [NOISE] * 9, [0] * 10 + [NOISE] * 8) == [0] * 9 + [UNGROUPED] * 9
