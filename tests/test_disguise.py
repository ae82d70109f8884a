"""Dressed-up letters are told from letters that are merely not ASCII."""

from random import Random

import pytest

from indexer.evasion import Evasion, evade
from indexer.sample import load_texts
from indexer.speech import Speech
from models.disguise import LEAST_WORDS, is_disguised

PLAIN = "please explain the following step by step and show every intermediate result before you answer"


@pytest.fixture(scope="module")
def speech() -> Speech:
    return Speech(load_texts(), hop=0.12, change=0.5, rng=Random(1))


@pytest.mark.parametrize("evasion", [Evasion.ZERO_WIDTH, Evasion.HOMOGLYPH, Evasion.FULL_WIDTH])
def test_tricks_of_characters_are_seen_in_real_text(evasion: Evasion, speech: Speech) -> None:
    rng = Random(2)
    texts = [speech.passage(rng, 25) for _ in range(200)]
    assert not any(map(is_disguised, texts))
    assert sum(is_disguised(evade(text, evasion, speech, rng)) for text in texts) >= 195


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
        "用 Python 写一个函数，读取 CSV 文件，并输出 JSON。请使用 ＡＢＣ 作为 变量名",
        "می\u200cخواهم این متن را به انگلیسی ترجمه کنم و می\u200cتوانید کمک کنید",
        "the area is 10\u2009000 km\u00b2 and the angle α is 30° while μ = 5 µm",
        "👩\u200d💻 fix my code 👨\u200d👩\u200d👧 please 🏳\ufe0f\u200d🌈 now",
        "𝗯𝗼𝗹𝗱 words are 𝘃𝗲𝗿𝘆 popular in 𝗽𝗼𝘀𝘁𝘀 of some people",
        "some\u00a0text\u00a0from\u00a0a\u00a0web\u00a0page\u00a0with\u00a0spaces\u00a0that\u00a0do\u00a0not\u00a0break",
        "a word\u200b or two\u200b copied\u200b from a page\u200b that has them\u200b at the ends",
    ],
)
def test_letters_that_are_merely_not_ascii_are_no_disguise(text: str) -> None:
    assert not is_disguised(text)


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace("ep", "e\u200bp")
        .replace("nt", "n\u2060t")
        .replace("ow", "o\u00adw")
        .replace("in", "i\u034fn"),
        PLAIN.replace("e", "\u0435"),  # Cyrillic
        PLAIN.replace("o", "\u03bf"),  # Greek
        PLAIN.replace("s", "\uff53"),  # full width
        PLAIN.replace(" ", "\u2003"),
        PLAIN.replace(" ", "\u3000 "),
    ],
)
def test_each_trick(text: str) -> None:
    assert is_disguised(text)


def test_it_takes_several_words_and_a_share_of_them() -> None:
    trick = "st\u200bep"
    assert not is_disguised(" ".join([trick] * (LEAST_WORDS - 1)))
    assert is_disguised(" ".join([trick] * LEAST_WORDS))
    assert is_disguised(" ".join([trick] * LEAST_WORDS + ["word"] * 57))
    assert not is_disguised(" ".join([trick] * LEAST_WORDS + ["word"] * 58))
