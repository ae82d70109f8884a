"""What counts as the sender's words, and when two prompts are the same."""

import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from models.errors import BadPrompt
from models.prompt import Prompt, prompt_from_messages


@pytest.mark.parametrize("texts", [("", ""), (" ", "\n\t"), ("\u3000", "")])
def test_a_prompt_without_text_cannot_be_made(texts: tuple[str, str]) -> None:
    with pytest.raises(BadPrompt, match="system and user text are both empty"):
        Prompt(*texts)


def test_turns_are_joined_by_role_and_the_models_own_words_left_out() -> None:
    prompt = prompt_from_messages(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi!"},
            {"role": "tool", "content": {"not": "read"}},
            {"role": "user", "content": [{"type": "text", "text": "And"}, {"type": "image"}, "now?"]},
            {"role": "user", "content": None},
        ]
    )
    assert prompt == Prompt("Be brief.\n\nBe kind.", "Hello\n\nAnd\nnow?\n\n")


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        (["hello"], "messages[0] is str, not an object"),
        ([{"role": "user", "content": "a"}, {"content": "b"}], "messages[1].role is NoneType, not text"),
        ([{"role": ["user"], "content": "b"}], "messages[0].role is list, not text"),
        ([{"role": "x" * 99}], f"messages[0].role is {'x' * 32!r}; known are system, user, assistant, tool"),
        ([{"role": "user", "content": 7}], "messages[0].content is int, not text or a list of parts"),
        ([{"role": "user", "content": [7]}], "messages[0].content holds a int, not a part"),
        ([{"role": "assistant", "content": "only me"}], "prompt has no text: system and user text are both empty"),
        ([], "prompt has no text: system and user text are both empty"),
    ],
)
def test_malformed_messages_are_refused_with_their_position(messages: list[Any], reason: str) -> None:
    with pytest.raises(BadPrompt, match=f"^{re.escape(reason)}$"):
        prompt_from_messages(messages)


def test_prompts_of_one_canonical_form_have_one_fingerprint() -> None:
    plain = Prompt("", "write a poem")
    assert Prompt(" ", "Write\u200b  a  POEM ").fingerprint() == plain.fingerprint()
    assert Prompt("write a poem", "").fingerprint() != plain.fingerprint()
    assert Prompt("", "write a song").fingerprint() != plain.fingerprint()
    assert len(plain.fingerprint()) == 16


def test_a_prompt_of_only_invisible_characters_still_has_a_fingerprint() -> None:
    assert Prompt("", "\u200b").fingerprint() != Prompt("", "\u200b\u200b").fingerprint()


@given(st.text(), st.text(min_size=1))
def test_the_canonical_prompt_is_its_own_canonical_prompt(system: str, user: str) -> None:
    prompt = Prompt(system, user + "x")
    assert prompt.canonical().canonical() == prompt.canonical()
    assert prompt.canonical().fingerprint() == prompt.fingerprint()


def test_a_shortened_prompt_keeps_both_ends_of_both_texts() -> None:
    assert Prompt("", "abcdefghij").shortened(4) == Prompt("", "abij")
    assert Prompt("s", "abcdefghij").shortened(5) == Prompt("s", "abij")
    assert Prompt("abcdefghij", "u").shortened(5) == Prompt("abij", "u")
    assert Prompt("abcdefghij", "klmnopqrst").shortened(10) == Prompt("abhij", "klrst")
    assert Prompt("", "  abcdefghij  ").shortened(4) == Prompt("", "abij")
    assert Prompt("", " abc ").shortened(5) == Prompt("", " abc ")


@given(st.text(st.sampled_from("ab \t\u3000"), max_size=12), st.text(max_size=12), st.integers(4, 24))
def test_a_shortened_prompt_is_a_prompt_and_short_enough(system: str, user: str, most: int) -> None:
    assume(system.strip() or user.strip())
    short = Prompt(system, user).shortened(most)
    assert len(short.system) + len(short.user) <= most
    assert short.shortened(most) == short
