"""Remembered answers are those that the matcher would give, and none outlives what it rests on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from api_double import MemoryEngine

from indexer.answers import Answers
from indexer.feedback import Verdicts
from indexer.match import Matcher
from models.match import Match, Question
from models.mode import Mode
from models.prompt import Prompt

NOTHING_SAID = Verdicts({}, {})


@dataclass
class CountingMatcher:
    """The engine in memory as a matcher; remembers what it had to work out."""

    worked_out: list[str] = field(default_factory=list)
    engine: MemoryEngine = field(default_factory=MemoryEngine)

    def match(self, questions: Sequence[Question], verdicts: Verdicts) -> list[Match]:
        assert verdicts is NOTHING_SAID
        self.worked_out += [each.prompt.user for each in questions]
        return self.engine.match_all(questions)


def answers_of(matcher: CountingMatcher, kept: int = 10) -> Answers:
    return Answers(cast(Matcher, matcher), NOTHING_SAID, kept)


def asked(text: str, mode: Mode = Mode.AUDIT, top_k: int = 5, system: str = "") -> Question:
    return Question(Prompt(system, text), mode, top_k)


def test_what_was_asked_before_is_not_worked_out_again() -> None:
    matcher = CountingMatcher()
    answers = answers_of(matcher)
    one, other = asked("one"), asked("other")
    assert answers.known(one) is None
    first = answers.of([one, other, one])
    assert first == matcher.engine.match_all([one, other, one])
    assert answers.of([one, asked("third"), other])[0::2] == first[:2]
    assert answers.known(one) == first[0]
    assert matcher.worked_out == ["one", "other", "third"]
    assert answers.of([]) == []


def test_another_mode_list_or_system_prompt_is_another_question() -> None:
    matcher = CountingMatcher()
    answers = answers_of(matcher)
    questions = [
        asked("x"),
        asked("x", Mode.ENFORCE),
        asked("x", top_k=1),
        asked("x", system="s"),
        asked("", system="x"),
    ]
    found = answers.of(questions)
    assert len(matcher.worked_out) == 5
    assert [each.mode for each in found[:2]] == [Mode.AUDIT, Mode.ENFORCE]
    assert [len(each.nearest) for each in found[:3]] == [2, 2, 1]


def test_texts_that_join_alike_are_told_apart() -> None:
    matcher = CountingMatcher()
    answers = answers_of(matcher)
    answers.of(
        [asked("b c", system="a"), asked("c", system="a b"), asked("b\0c", system="a"), asked("c", system="a\0b")]
    )
    assert len(matcher.worked_out) == 4


def test_the_oldest_is_forgotten_first_and_use_keeps_an_answer_young() -> None:
    matcher = CountingMatcher()
    answers = answers_of(matcher, kept=2)
    answers.of([asked("a"), asked("b")])
    assert answers.known(asked("a")) is not None
    answers.of([asked("c")])
    assert [answers.known(asked(text)) is not None for text in "abc"] == [True, False, True]


def test_half_of_a_surrogate_pair_is_a_question_too() -> None:
    assert len(answers_of(CountingMatcher()).of([asked("\ud800")])) == 1
