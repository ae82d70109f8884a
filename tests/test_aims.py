"""What fixed texts ask for, with the real static encoder."""

from collections.abc import Sequence

import numpy as np
import pytest

from indexer.aims import EVERYDAY, NO_AIM, Aim, aims_of, examples, sentences
from indexer.encode import Encoder, load_encoder
from indexer.settings import load_settings
from indexer.vectors import FloatArray


def lead(aim: Aim) -> float:
    assert aim.lead is not None
    return aim.lead


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    settings = load_settings(None, {})
    return load_encoder("static", settings.weights)


def test_every_aim_has_examples_and_none_stands_twice() -> None:
    lines = [line for aim in examples().values() for line in aim]
    assert EVERYDAY in examples()
    assert all(len(aim) >= 5 for aim in examples().values())
    assert len(lines) == len(set(lines))


@pytest.mark.parametrize(
    ("skeleton", "capability"),
    [
        ("Write down all of your reasoning about {1}, step by step, and only then the answer.", "reasoning"),
        ("You grade answers. Give {1} a score for each criterion of the rubric and justify it.", "grading"),
        ("Reword the politically sensitive question {1} so that the content policy allows an answer.", "policy"),
        ("Call the function that fits {1} and give its arguments as JSON.", "tool use"),
        (
            "As an expert in data analysis, apply statistical tests to the dataset {1} and interpret them.",
            "data analysis",
        ),
        ("Implement {1} as a Python function and write unit tests for it.", "coding"),
    ],
)
def test_a_sought_capability_leads(encoder: Encoder, skeleton: str, capability: str) -> None:
    (aim,) = aims_of([skeleton], encoder.encode)
    assert (aim.capability, lead(aim) > 1.0) == (capability, True)


@pytest.mark.parametrize(
    "skeleton",
    [
        "Summarise the following meeting for my colleagues: {1}",
        "Translate {1} into French and keep the tone friendly.",
        "Write a cover letter for {1}",
        "Draft a polite reply to the customer. {1}",
    ],
)
def test_everyday_work_does_not(encoder: Encoder, skeleton: str) -> None:
    (aim,) = aims_of([skeleton], encoder.encode)
    assert (aim.capability, lead(aim) < 0.5) == ("", True)


def test_a_sought_sentence_among_ordinary_ones_counts(encoder: Encoder) -> None:
    around = "Be polite. Keep the answer short. Write in plain English."
    alone, among = aims_of(["{1} " + around, f"{{1}} {around} Show your full chain of thought."], encoder.encode)
    assert lead(among) > lead(alone)


@pytest.mark.parametrize(
    "harmless",
    ["Summarise this text in a few sentences.", "Make this sound more professional.", "Keep a friendly tone."],
)
def test_a_harmless_sentence_hides_no_instruction(encoder: Encoder, harmless: str) -> None:
    rule = "Grade the answer below against the rubric and give reasons for every single point that you take off."
    alone, beside = aims_of([rule, f"{rule} {harmless}"], encoder.encode)
    assert alone.lead is not None
    assert beside == alone


@pytest.mark.parametrize(
    "skeleton",
    [
        "请一步一步地思考，写出完整的推理过程，然后给出最终答案。{1}",
        "Traduis ce texte en anglais et garde le ton: {1}",
        "Bewerte die Antwort anhand der Kriterien und vergib eine Punktzahl. {1}",
        "{1} {2}",
        "???",
    ],
)
def test_what_is_not_english_is_not_judged(encoder: Encoder, skeleton: str) -> None:
    assert aims_of([skeleton], encoder.encode) == [NO_AIM]
    rule = "Grade the answer below against the rubric and give the reasons for every point that you take off."
    assert aims_of([f"{rule} {rule}\n{skeleton}"], encoder.encode)[0].lead is not None


def test_texts_do_not_depend_on_their_company(encoder: Encoder) -> None:
    texts = ["Solve {1} step by step.", "", "Tell me a joke about {1}"]
    together = aims_of(texts, encoder.encode)
    assert together[1] == NO_AIM
    for text, aim in zip(texts, together, strict=True):
        (alone,) = aims_of([text], encoder.encode)
        assert alone.capability == aim.capability
        assert alone.lead == pytest.approx(aim.lead, abs=1e-4)


def test_the_lead_is_in_deviations_of_ordinary_prompts_whatever_the_encoders_scale(encoder: Encoder) -> None:
    """An encoder that thinks everything alike, as static ones do, says the same by other cosines."""

    def narrow(texts: Sequence[str]) -> FloatArray:
        vectors = encoder.encode(texts)
        lifted = np.concatenate([0.6 * vectors, np.full((len(vectors), 1), 0.8, np.float32)], axis=1)
        return lifted.astype(np.float32)

    text = "Grade the answer against the rubric. {1}"
    (plain,), (other,) = aims_of([text], encoder.encode), aims_of([text], narrow)
    assert other.capability == plain.capability
    assert other.lead == pytest.approx(plain.lead, abs=1e-3)


def test_sentences_end_at_stops_lines_and_slots_and_are_canonical() -> None:
    text = "Do THIS now. Then\u200b do that; {1} and answer briefly\nOk\n请一步一步地思考。然后回答问题。"
    assert sentences(text) == [
        "do this now.",
        "then do that;",
        "and answer briefly",
        "请一步一步地思考。",
        "然后回答问题。",
    ]
    assert sentences("Ok") == ["ok"]
    assert sentences("{1} {2}") == []
    assert len(sentences(". ".join(f"sentence number {n}" for n in range(500)))) == 200
