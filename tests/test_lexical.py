"""Clusters put together by the words they share."""

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from indexer.cluster import NOISE
from indexer.grams import GRAM_TOKENS, gram_hashes, token_hashes, token_table
from indexer.lexical import CORE_SHARE, MIN_WORDED_GRAMS, join_templates, text_grams
from models.text import tokens

REASON = "think about the task step by step and then give the final answer in one line"
GRADE = "you are a strict examiner who grades the essay below on a scale from one to ten"


def payload(seed: int) -> str:
    rng = Random(seed)
    return " ".join(f"w{rng.getrandbits(40):x}" for _ in range(6))


def wrapped(template: str, count: int, seed: int = 0) -> list[str]:
    return [f"{template} {payload(1000 * seed + number)}" for number in range(count)]


def joined(texts: list[str], labels: list[int], weights: list[int] | None = None) -> list[int]:
    count = len(texts)
    heavy = np.ones(count, np.int64) if weights is None else np.array(weights)
    found: list[int] = join_templates(token_table(texts), heavy, np.array(labels, np.int64)).tolist()
    return found


def typical_of(texts: list[str], weights: list[int], labels: list[int], budget: int = 100) -> dict[int, list[int]]:
    """Typical grams of each cluster that has any."""
    typical = text_grams(token_table(texts), np.array(weights), budget).typical(np.array(labels))
    rows = np.split(typical.hashes[typical.of_cluster.indices], typical.of_cluster.indptr[1:-1])
    return {label: sorted(row.tolist()) for label, row in enumerate(rows) if len(row)}


def cores_by_sets(texts: list[str], weights: list[int], labels: list[int]) -> dict[int, list[int]]:
    """What `TextGrams.typical` must give, slowly."""
    cores: dict[int, list[int]] = {}
    for label in set(labels) - {NOISE}:
        members = [number for number, own in enumerate(labels) if own == label]
        held: dict[str, int] = {}
        for number in members:
            words = tokens(texts[number])
            grams = {" ".join(words[i : i + GRAM_TOKENS]) for i in range(len(words) - GRAM_TOKENS + 1)}
            for gram in grams:
                held[gram] = held.get(gram, 0) + weights[number]
        total = sum(weights[number] for number in members)
        core = [gram for gram, weight in held.items() if weight >= CORE_SHARE * total]
        if core:
            cores[label] = sorted(int(gram_hashes(token_hashes(gram), GRAM_TOKENS)[0]) for gram in core)
    return cores


POINT = st.tuples(
    st.lists(st.sampled_from("abc"), max_size=8).map(" ".join), st.integers(1, 5), st.integers(NOISE, 2)
)


@given(st.lists(POINT, min_size=1, max_size=10))
def test_typical_grams_equal_the_slow_twin(points: list[tuple[str, int, int]]) -> None:
    texts, weights, labels = ([point[column] for point in points] for column in range(3))
    for budget in (2, 100):  # in several parts, and in as few as there are
        assert typical_of(texts, weights, labels, budget) == cores_by_sets(texts, weights, labels)


@given(st.lists(POINT, min_size=1, max_size=10))
def test_clustered_texts_stay_together_and_none_becomes_noise(points: list[tuple[str, int, int]]) -> None:
    texts, weights, labels = ([point[column] for point in points] for column in range(3))
    found = joined(texts, labels, weights)
    home = {before: after for before, after in zip(labels, found, strict=True) if before != NOISE}
    assert NOISE not in home.values()
    assert all(after == home[before] for before, after in zip(labels, found, strict=True) if before != NOISE)


def test_clusters_of_one_template_are_made_one_under_the_smallest_number() -> None:
    texts = wrapped(REASON, 12) + wrapped(GRADE, 4, 1)
    assert joined(texts, [2] * 4 + [0] * 4 + [3] * 4 + [1] * 4) == [0] * 12 + [1] * 4


def test_likeness_is_passed_on() -> None:
    """The first and the last share little, but each shares much with the one between."""
    words = [f"v{number}" for number in range(30)]
    texts = [" ".join(words[start : start + 16]) for start in (0, 5, 10)]
    assert joined([texts[0], texts[2]], [0, 1]) == [0, 1]
    assert joined(texts, [0, 1, 2]) == [0, 0, 0]


def test_templates_with_a_phrase_in_common_stay_apart() -> None:
    phrase = "please read the following text with care"
    texts = wrapped(f"{REASON} {phrase}", 5) + wrapped(f"{GRADE} {phrase}", 5, 1)
    assert joined(texts, [0] * 5 + [1] * 5) == [0] * 5 + [1] * 5


def test_noise_that_holds_the_template_is_taken_in() -> None:
    texts = [*wrapped(REASON, 5), f"{payload(77)} {REASON} {payload(78)}", *wrapped(GRADE, 5, 1), GRADE]
    assert joined(texts, [0] * 5 + [NOISE] + [1] * 5 + [NOISE]) == [0] * 6 + [1] * 6


def test_noise_with_less_than_the_needed_share_of_the_template_is_not() -> None:
    words = tokens(REASON)
    grams = len(words) - GRAM_TOKENS + 1
    least = next(n for n in range(grams + 1) if n >= 0.6 * grams)  # grams that must be held
    enough, short = (
        f"{payload(held)} {' '.join(words[: held + GRAM_TOKENS - 1])} {payload(90 + held)}"
        for held in (least, least - 1)
    )
    assert joined([*wrapped(REASON, 5), enough, short], [0] * 5 + [NOISE] * 2) == [0] * 6 + [NOISE]


def worded(rng: Random) -> str:
    """Six sentences, each in one of five wordings: hardly a gram is in half of such texts."""
    wordings = [(place, rng.randrange(5)) for place in range(6)]
    return " ".join(f"{word}{place}{wording}" for place, wording in wordings for word in "abcdefghi")


def test_noise_made_of_a_clusters_wordings_is_taken_in() -> None:
    rng = Random(1)
    texts = [worded(rng) for _ in range(42)]
    assert joined(texts, [0] * 40 + [NOISE] * 2) == [0] * 42


def test_noise_with_fewer_wordings_than_words_of_its_own_is_not() -> None:
    rng = Random(2)
    texts = [worded(rng) for _ in range(40)]
    own = len(tokens(texts[0])) - GRAM_TOKENS + 1  # grams of one more text of the cluster
    padding = " ".join(payload(number) for number in range(own // 6 + 1))
    assert joined([*texts, f"{worded(rng)} {padding}"], [0] * 40 + [NOISE])[-1] == NOISE


def test_a_phrase_of_a_cluster_is_too_short_to_be_taken_in() -> None:
    rng = Random(3)
    texts = [worded(rng) for _ in range(40)]
    phrase = tokens(texts[0])
    five, six = (" ".join(phrase[: grams + GRAM_TOKENS - 1]) for grams in (MIN_WORDED_GRAMS - 1, MIN_WORDED_GRAMS))
    assert joined([*texts, five, six], [0] * 40 + [NOISE] * 2)[-2:] == [NOISE, 0]


def test_everyday_phrases_do_not_become_a_clusters_wordings() -> None:
    """A hostile sender strews five phrases over a few prompts; three hundred strangers use the same ones."""
    rng = Random(4)
    phrases = [" ".join(f"p{number}q{word}" for word in range(9)) for number in range(5)]
    cluster = [worded(rng) for _ in range(40)] + [f"{worded(rng)} {phrases[n % 5]}" for n in range(15)]
    strangers = [phrases[number % 5] for number in range(300)]
    assert joined(cluster + strangers, [0] * 55 + [NOISE] * 300)[55:] == [NOISE] * 300


def test_a_cluster_takes_in_no_more_than_it_has() -> None:
    rng = Random(5)
    texts = [worded(rng) for _ in range(100)]
    assert joined(texts, [0] * 40 + [NOISE] * 60) == [0] * 40 + [NOISE] * 60
    assert joined(texts[:70], [0] * 40 + [NOISE] * 30) == [0] * 70


def test_unrelated_noise_stays_noise() -> None:
    texts = [*wrapped(REASON, 5), payload(5), "", "give the final answer", GRADE]
    assert joined(texts, [0] * 5 + [NOISE] * 4) == [0] * 5 + [NOISE] * 4


def test_a_cluster_with_hardly_a_typical_gram_takes_nothing_in() -> None:
    five = "tell me a funny story"  # two grams
    assert joined([*wrapped(five, 5), five], [0] * 5 + [NOISE]) == [0] * 5 + [NOISE]
    six = "tell me a very funny story"  # three
    assert joined([*wrapped(six, 5), six], [0] * 5 + [NOISE]) == [0] * 6


def test_noise_goes_to_the_cluster_it_shares_most_with() -> None:
    long, short = GRADE, REASON
    texts = [*wrapped(short, 5), *wrapped(long, 5, 1), f"{short} {long}"]
    assert len(tokens(long)) > len(tokens(short))
    assert joined(texts, [0] * 5 + [1] * 5 + [NOISE])[-1] == 1


def test_weight_decides_what_is_typical() -> None:
    texts = [REASON, *wrapped(payload(9), 3), GRADE]
    light, heavy = ([1, 1, 1, 1, 1], [9, 1, 1, 1, 1])
    labels = [0, 0, 0, 0, 1]
    reason = sorted(gram_hashes(token_hashes(REASON), GRAM_TOKENS).tolist())
    assert typical_of(texts, heavy, labels)[0] == reason
    assert not set(typical_of(texts, light, labels).get(0, [])) & set(reason)


def test_all_noise_stays_as_it_is() -> None:
    assert joined(wrapped(REASON, 4), [NOISE] * 4) == [NOISE] * 4
