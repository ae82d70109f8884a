"""Which texts each view shows of a small world, and what they weigh."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from indexer import views as views_module
from indexer.corpus import Corpus, Distinct, distinct, read_corpus, write_corpus
from indexer.events import EventTable, Names
from indexer.grams import HotGrams, token_table
from indexer.recurring_view import read_hot_grams, write_recurring_view
from indexer.settings import Detection
from indexer.views import ViewTexts, Words, read_view
from indexer.whole_view import write_whole_view
from indexer.workspace import Folder
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
    with TemporaryDirectory() as path:  # what is mapped stays readable
        write_corpus(Folder(Path(path)), table, [rows[:2], rows[2:]])
        return read_corpus(Folder(Path(path)))


def text_of(role: Distinct, prompt: int) -> str:
    """What a prompt says in a role."""
    text = int(role.text_of_prompt[prompt])
    return "" if text < 0 else role.texts[text]


def whole_view(corpus: Corpus) -> ViewTexts:
    with TemporaryDirectory() as path:
        write_whole_view(Folder(Path(path)), corpus, TinyEncoder())
        return read_view(Folder(Path(path)), View.WHOLE)


def recurring_view(view: View, corpus: Corpus) -> tuple[ViewTexts, HotGrams]:
    role = corpus.system if view is View.SYSTEM else corpus.user
    words = Words(role, token_table(role.texts))
    with TemporaryDirectory() as path:
        write_recurring_view(Folder(Path(path)), view, corpus, words, DETECTION)
        return read_view(Folder(Path(path)), view), read_hot_grams(Folder(Path(path)))


def weights(view: ViewTexts) -> dict[str, int]:
    return dict(zip(view.texts, view.weights.tolist(), strict=True))


def shown(view: ViewTexts, corpus: Corpus) -> set[tuple[str, str]]:
    """Pairs of a prompt's user text and the text that the view shows of it."""
    pairs = zip(view.prompts.tolist(), view.points.tolist(), strict=True)
    return {(text_of(corpus.user, prompt), view.texts[point]) for prompt, point in pairs}


def test_a_corpus_knows_each_events_prompt_in_canonical_form() -> None:
    corpus = world([("", "Hello  THERE", 0), ("Be kind", "bye", 1), ("", "Hello  THERE", 2)])
    assert [text_of(corpus.user, row) for row in corpus.event_prompt] == ["hello there", "bye", "hello there"]
    assert [text_of(corpus.system, row) for row in corpus.event_prompt] == ["", "be kind", ""]
    assert corpus.fingerprints.tolist() == sorted(corpus.fingerprints.tolist())
    assert len(corpus) == 2


def test_distinct_texts_come_in_the_order_of_prompts_and_empty_ones_are_left_out() -> None:
    found = distinct(["b", "", "a", "b"])
    assert list(found.texts) == ["b", "a"]
    assert found.text_of_prompt.tolist() == [0, -1, 1, 0]


def test_a_prompt_is_in_its_order_and_its_texts_are_each_there_once() -> None:
    corpus = world([("be kind", f"text {number % 5}", number) for number in range(7)] + [("", "text 1", 9)])
    assert list(corpus.system.texts) == ["be kind"]
    assert sorted(corpus.user.texts) == [f"text {number}" for number in range(5)]
    assert len(corpus) == 6
    assert sorted(corpus.fingerprints.tolist()) == corpus.fingerprints.tolist()


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
    view = whole_view(corpus)
    assert sorted(view.texts) == ["one text", "other text"]
    assert weights(view) == {"one text": 3, "other text": 1}
    assert len(view.prompts) == 3


def test_accounts_of_one_organisation_count_once() -> None:
    corpus = world([("", "our house prompt", 4)] * 30)
    assert weights(whole_view(corpus)) == {"our house prompt": 1}


def test_a_long_prompt_is_shown_in_windows() -> None:
    words = [f"w{number}" for number in range(20)]
    corpus = world([("", " ".join(words), 0), ("", " ".join(words[:16]), 1), ("only system", "", 2)])
    view = whole_view(corpus)
    head, tail = " ".join(words[:16]), " ".join(words[16:])
    assert weights(view) == {head: 2, tail: 1}
    assert shown(view, corpus) == {(" ".join(words), head), (" ".join(words), tail), (head, head)}
    assert view.prompts.tolist() == sorted(view.prompts.tolist())


def test_the_recurring_view_shows_the_wrapper_and_nothing_of_others() -> None:
    items = ["alpha beta", "gamma delta", "epsilon zeta"]
    events = [("", f"{WRAPPER}: {item}", unit) for unit, item in enumerate(items)]
    events += [("", "tell me about the history of the bridge", 5), ("", f"{WRAPPER}: alpha beta", 7)]
    corpus = world(events)
    view, hot = recurring_view(View.RECURRING, corpus)
    assert view.view is View.RECURRING
    assert weights(view) == {WRAPPER: 4}
    assert shown(view, corpus) == {(f"{WRAPPER}: {item}", WRAPPER) for item in items}
    assert len(hot.hashes) == 7  # ten words


def test_too_few_texts_or_units_make_nothing_recur() -> None:
    items = ["alpha beta", "gamma delta", "epsilon zeta"]
    one_unit = world([("", f"{WRAPPER}: {item}", 0) for item in items])
    two_texts = world([("", f"{WRAPPER}: {items[unit % 2]}", unit) for unit in range(6)])
    for corpus in (one_unit, two_texts):
        view, hot = recurring_view(View.RECURRING, corpus)
        assert (len(view.texts), len(hot.hashes)) == (0, 0)


def test_the_system_view_is_apart_and_one_system_text_is_enough() -> None:
    system = "you solve puzzles and show all of your work"
    corpus = world([(system, f"puzzle {unit}", unit) for unit in range(3)] + [("", system, 5)])
    view, _ = recurring_view(View.SYSTEM, corpus)
    assert view.view is View.SYSTEM
    assert weights(view) == {system: 3}
    assert shown(view, corpus) == {(f"puzzle {unit}", system) for unit in range(3)}
    assert len(recurring_view(View.RECURRING, corpus)[0].texts) == 0
    assert set(whole_view(corpus).texts) == {"puzzle 0", "puzzle 1", "puzzle 2", system}


def test_an_empty_world_has_empty_views() -> None:
    corpus = world([])
    assert len(whole_view(corpus).texts) == 0
    for view in (View.RECURRING, View.SYSTEM):
        assert recurring_view(view, corpus)[0].points.tolist() == []


def test_long_texts_are_taken_a_few_at_a_time_and_shown_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many texts a part may have: a thousand of a megabyte would not fit into memory together."""
    items = ["alpha beta", "gamma delta", "epsilon zeta", "eta theta " * 20]
    system = "you solve puzzles and show all of your work"
    corpus = world([(system, f"{WRAPPER}: {item}", unit) for unit, item in enumerate(items)])
    views = (View.WHOLE, View.RECURRING, View.SYSTEM)

    def shown_by(view: View) -> ViewTexts:
        return whole_view(corpus) if view is View.WHOLE else recurring_view(view, corpus)[0]

    expected = [shown_by(view) for view in views]
    taken: list[int] = []
    cut = TinyEncoder.cut

    def noted(encoder: TinyEncoder, texts: Sequence[str]) -> list[list[str]]:
        taken.append(len(texts))
        return cut(encoder, texts)

    monkeypatch.setattr(TinyEncoder, "cut", noted)
    monkeypatch.setattr(views_module, "_BYTES_AT_A_TIME", 1)
    for before, after in zip(expected, map(shown_by, views), strict=True):
        assert list(after.texts) == list(before.texts)
        assert len(after.texts)
        for name in ("prompts", "points", "weights"):
            np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    assert taken == [1] * len(items)
