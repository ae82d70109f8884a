"""The words of a template are marked in a prompt, and nothing is lost of it."""

from dataclasses import replace

from api_double import make_campaign
from hypothesis import given
from hypothesis import strategies as st

from app.console.marking import fixed_words
from models.campaign import Level

TEMPLATE = replace(
    make_campaign("c-1", Level.LIKELY, "x").template, skeleton="Act as a {1} and grade the answer {2} out of ten."
)


def test_fixed_words_are_marked_in_order_whatever_their_case() -> None:
    text = "ACT as a pirate, and grade the answer: 'the ship' out of Ten. Thanks"
    assert fixed_words(text, TEMPLATE) == [
        ("ACT as a", True),
        (" pirate, ", False),
        ("and grade the answer", True),
        (": 'the ship' ", False),
        ("out of Ten", True),
        (". Thanks", False),
    ]


def test_a_single_word_that_both_have_is_not_marked() -> None:
    assert fixed_words("an answer that nobody grades", TEMPLATE) == [("an answer that nobody grades", False)]


@given(st.text(alphabet="Act as a grade the answer {1}\n🙂é", max_size=200))
def test_nothing_is_lost(text: str) -> None:
    assert "".join(piece for piece, _ in fixed_words(text, TEMPLATE)) == text


def test_a_campaign_without_common_text_marks_nothing() -> None:
    assert fixed_words("Act as a pirate", replace(TEMPLATE, skeleton="")) == [("Act as a pirate", False)]
