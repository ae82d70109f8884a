"""Dressed-up letters are told from letters that are merely not ASCII."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.evasion import Evasion, evade
from indexer.sample import load_texts
from indexer.speech import Speech
from models.disguise import LEAST_WORDS, _dressed_up, _tricks, is_disguised
from models.text import canonical, has_ascii_controls, non_ascii

PLAIN = "please explain the following step by step and show every intermediate result before you answer"


@pytest.fixture(scope="module")
def speech() -> Speech:
    return Speech(load_texts(), hop=0.12, change=0.5, rng=Random(1))


@pytest.mark.parametrize("evasion", [Evasion.ZERO_WIDTH, Evasion.HOMOGLYPH, Evasion.FULL_WIDTH])
def test_tricks_of_characters_are_seen_in_real_text(evasion: Evasion, speech: Speech) -> None:
    rng = Random(2)
    texts = [speech.passage(rng, 25) for _ in range(200)]
    assert not any(map(is_disguised, texts))
    assert sum(is_disguised(evade(text, evasion, speech, rng)) for text in texts) >= 190


def test_real_text_is_hardly_ever_taken_for_disguised() -> None:
    texts = load_texts()
    real = [each.text for part in (texts.background, texts.payloads, texts.templates) for each in part]
    assert len(real) > 3000
    assert sum(map(is_disguised, real)) <= 0.0005 * len(real)


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        "",
        "naïve café déjà-vu façade coöperate Ærøskøbing straße œuvre Łódź İstanbul",
        "объясни пошагово как работает USB-кабель и чем iPhone лучше чем Android, пожалуйста",
        "как открыть файл в Wordе, потом в Excelе и в PowerPointе",
        "用 Python 写一个函数，读取 CSV 文件，并输出 JSON。请使用 ＡＢＣ 作为 变量名",
        "次の言語を比較：Python\u3000Java\u3000Go\u3000Rust\u3000Ruby\u3000Perl\u3000の特徴",
        "می\u200cخواهم با Python\u200cها و Java\u200cها کار کنم و API\u200cها",
        "the area is 10\u2009000 km\u00b2 and the angle α is 30° while μ = 5 µm",
        "How do TNFα, IFNγ and PPARγ interact with NFκB, and NFκB with NFκB?",
        "Let Xα ~ N(μ,σ) with tν, Fν, and zα/2 critical values of the Cα and Cβ carbons",
        "Show that sin\u2061x + cos\u2061x is bounded, a\u2062b + c\u2062d, and that n log\u2061n grows",
        "Compute ∫ sin𝑥 d𝑥 and then ∫ ln𝑥 d𝑥 and compare with cos𝑥",
        "Die Bundes\u00adregierung hat am Donners\u00adtag im Finanz\u00adausschuss ein Gesetz vorgelegt",
        "👩\u200d💻 fix my code 👨\u200d👩\u200d👧 please 🏳\ufe0f\u200d🌈 now",
        "𝗯𝗼𝗹𝗱 words are 𝘃𝗲𝗿𝘆 popular in 𝗽𝗼𝘀𝘁𝘀 of some people",
        "some\u00a0text\u00a0from\u00a0a\u00a0web\u00a0page\u00a0with\u00a0spaces\u00a0that\u00a0do\u00a0not\u00a0break",
        "Name:\u2003John\u2003Smith\u2003Role\u2003Dev\u2003Team\u2003Blue and other text",
        "a word\u200b or two\u200b copied\u200b from a page\u200b that has them\u200b at the ends",
    ],
)
def test_letters_that_are_merely_not_ascii_are_no_disguise(text: str) -> None:
    assert not is_disguised(text)


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace("ep", "e\u200bp").replace("nt", "n\u2060t").replace("ow", "o\ufeffw"),
        PLAIN.replace("e", "e\x08"),
        PLAIN.replace("e", "\u0435"),  # Cyrillic
        PLAIN.replace("o", "\u03bf"),  # Greek
        PLAIN.replace("s", "\uff53").replace("o", "\uff4f"),  # full width
    ],
)
def test_each_trick(text: str) -> None:
    assert is_disguised(text)
    assert canonical(text) == PLAIN


def test_it_takes_several_words_and_a_share_of_them() -> None:
    tricks = [f"st\u200bep{number}" for number in range(LEAST_WORDS)]
    assert not is_disguised(" ".join(tricks[1:]))
    assert not is_disguised(" ".join(tricks[1:] * 10))  # the same ones again
    assert is_disguised(" ".join(tricks))
    assert is_disguised(" ".join(tricks + ["word"] * 57))
    assert not is_disguised(" ".join(tricks + ["word"] * 58))


def test_a_long_hostile_text_takes_no_longer_than_any() -> None:
    """Nothing is looked at again and again: the counts say so, not a clock."""
    assert not is_disguised("a" + "\u200b" * 200_000)
    assert not is_disguised(("a" + "\u200b" * 999) * 200)
    assert not is_disguised("a\u0435" * 100_000)


@settings(max_examples=500)
@given(st.text("abAB \n\x00\x08\x1b\x1c\x7f\x85\u200b\ufe0f\u0435\u03bfＡé你", max_size=60))
def test_the_quick_look_passes_over_no_trick(text: str) -> None:
    """`_dressed_up` finds nothing in a text that holds none of the characters looked for first."""
    if not has_ascii_controls(text) and _tricks().isdisjoint(non_ascii(text)):
        assert _dressed_up().search(text) is None


def test_the_characters_looked_for_first_are_those_of_the_pattern() -> None:
    for code in range(0x20000):
        dressed = _dressed_up().match(f"a{chr(code)}b") is not None and not chr(code).isascii()
        assert dressed == (chr(code) in _tricks() and code > 0x7F), hex(code)
        if code <= 0x7F and _dressed_up().match(f"a{chr(code)}b"):
            assert has_ascii_controls(chr(code)), hex(code)
