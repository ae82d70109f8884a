"""Which texts each view shows of a small world, and what they weigh."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from indexer.corpus import Corpus, build_corpus, distinct
from indexer.events import EventTable, Names
from indexer.settings import Detection
from indexer.views import ViewTexts, recurring_view, whole_view, words_of
from models.prompt import Prompt
from models.view import View
from tests.tiny_encoder import TinyEncoder

WRAPPER = "think step by step and give only the final answer"
DETECTION = Detection(gram_texts=3, gram_units=3)


@dataclass(frozen=True)
class Row:
    """A stored prompt."""

    prompt_id: int
    fingerprint: bytes
    system: str
    user: str


def world(events: Sequence[tuple[str, str, int]]) -> Corpus:
    """Corpus of events (system text, user text, unit); stored in the order of first arrival."""
    ids: dict[Prompt, int] = {}
    for system, user, _ in events:
        ids.setdefault(Prompt(system, user), 100 - len(ids))
    rows = [Row(number, prompt.fingerprint(), prompt.system, prompt.user) for prompt, number in ids.items()]
    rows.sort(key=lambda row: row.fingerprint)
    sent = np.array([ids[Prompt(system, user)] for system, user, _ in events], np.int64)
    unit = np.array([unit for *_, unit in events], np.int64)
    nothing = np.full(len(events), -1, np.int64)
    none = Names(())
    table = EventTable(
        sequence=np.arange(1, len(events) + 1),
        prompt=sent,
        account=np.arange(len(events)),
        unit=unit,
        timestamp=np.zeros(len(events), np.int64),
        created_at=nothing,
        model=nothing,
        payment=nothing,
        network=nothing,
        disguised=nothing,
        account_names=Names(tuple(f"a{number}" for number in range(len(events)))),
        unit_names=Names(tuple(f"u{number}" for number in range(10))),
        model_names=none,
        payment_names=none,
        network_names=none,
    )
    return build_corpus(table, [rows[:2], rows[2:]])


def weights(view: ViewTexts) -> dict[str, int]:
    return dict(zip(view.texts, view.weights.tolist(), strict=True))


def shown(view: ViewTexts, corpus: Corpus) -> set[tuple[str, str]]:
    """Pairs of a prompt's user text and the text that the view shows of it."""
    pairs = zip(view.prompts.tolist(), view.points.tolist(), strict=True)
    return {(corpus.user[prompt], view.texts[point]) for prompt, point in pairs}


def test_a_corpus_knows_each_events_prompt_in_canonical_form() -> None:
    corpus = world([("", "Hello  THERE", 0), ("Be kind", "bye", 1), ("", "Hello  THERE", 2)])
    assert [corpus.user[row] for row in corpus.event_prompt] == ["hello there", "bye", "hello there"]
    assert [corpus.system[row] for row in corpus.event_prompt] == ["", "be kind", ""]
    assert list(corpus.fingerprints) == sorted(corpus.fingerprints)
    assert len(corpus) == 2


def test_distinct_texts_are_ordered_and_empty_ones_left_out() -> None:
    found = distinct(["b", "", "a", "b"])
    assert found.texts == ("a", "b")
    assert found.text_of_prompt.tolist() == [1, -1, 0, 1]


def test_a_weight_counts_pairs_of_a_prompt_and_a_unit() -> None:
    corpus = world(
        [
            ("", "one text", 0),
            ("", "one text", 0),  # again
            ("", "one text", 1),
            ("be kind", "one text", 1),  # another prompt with the same user text
            ("", "other text", 1),
        ]
    )
    view = whole_view(corpus, TinyEncoder())
    assert view.texts == ("one text", "other text")
    assert weights(view) == {"one text": 3, "other text": 1}
    assert len(view.prompts) == 3


def test_accounts_of_one_organisation_count_once() -> None:
    corpus = world([("", "our house prompt", 4)] * 30)
    assert weights(whole_view(corpus, TinyEncoder())) == {"our house prompt": 1}


def test_a_long_prompt_is_shown_in_windows() -> None:
    words = [f"w{number}" for number in range(20)]
    corpus = world([("", " ".join(words), 0), ("", " ".join(words[:16]), 1), ("only system", "", 2)])
    view = whole_view(corpus, TinyEncoder())
    head, tail = " ".join(words[:16]), " ".join(words[16:])
    assert weights(view) == {head: 2, tail: 1}
    assert shown(view, corpus) == {(" ".join(words), head), (" ".join(words), tail), (head, head)}
    assert view.prompts.tolist() == sorted(view.prompts.tolist())


def test_the_recurring_view_shows_the_wrapper_and_nothing_of_others() -> None:
    items = ["alpha beta", "gamma delta", "epsilon zeta"]
    events = [("", f"{WRAPPER}: {item}", unit) for unit, item in enumerate(items)]
    events += [("", "tell me about the history of the bridge", 5), ("", f"{WRAPPER}: alpha beta", 7)]
    corpus = world(events)
    view, hot = recurring_view(View.RECURRING, corpus, words_of(corpus.user), DETECTION)
    assert view.view is View.RECURRING
    assert weights(view) == {WRAPPER: 4}
    assert shown(view, corpus) == {(f"{WRAPPER}: {item}", WRAPPER) for item in items}
    assert len(hot.hashes) == 7  # ten words


def test_too_few_texts_or_units_make_nothing_recur() -> None:
    items = ["alpha beta", "gamma delta", "epsilon zeta"]
    one_unit = world([("", f"{WRAPPER}: {item}", 0) for item in items])
    two_texts = world([("", f"{WRAPPER}: {items[unit % 2]}", unit) for unit in range(6)])
    for corpus in (one_unit, two_texts):
        view, hot = recurring_view(View.RECURRING, corpus, words_of(corpus.user), DETECTION)
        assert (view.texts, len(hot.hashes)) == ((), 0)


def test_the_system_view_is_apart_and_one_system_text_is_enough() -> None:
    system = "you solve puzzles and show all of your work"
    corpus = world([(system, f"puzzle {unit}", unit) for unit in range(3)] + [("", system, 5)])
    view, _ = recurring_view(View.SYSTEM, corpus, words_of(corpus.system), DETECTION)
    assert view.view is View.SYSTEM
    assert weights(view) == {system: 3}
    assert shown(view, corpus) == {(f"puzzle {unit}", system) for unit in range(3)}
    assert recurring_view(View.RECURRING, corpus, words_of(corpus.user), DETECTION)[0].texts == ()
    assert set(whole_view(corpus, TinyEncoder()).texts) == {"puzzle 0", "puzzle 1", "puzzle 2", system}


def test_an_empty_world_has_empty_views() -> None:
    corpus = world([])
    assert whole_view(corpus, TinyEncoder()).texts == ()
    for view in (View.RECURRING, View.SYSTEM):
        assert recurring_view(view, corpus, words_of(corpus.user), DETECTION)[0].points.tolist() == []
