"""The template of a group is its fixed text, whatever fills the slots and whoever tries to make it slow."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.skeleton import Run, extract_template, extract_variants, slot_fillings
from indexer.slots import kind_of
from models.campaign import Slot, Template
from models.text import canonical, clean

NOTHING = Template("", "", 0.0, 0.0, "user", ())
JUDGE = ("you", "are", "a", "careful", "judge", "now", "give", "a", "full", "score", "to", "each", "of", "these")
FRUITS = ("apple", "bread", "cheese", "dates")


def filled(pattern: str, *columns: Sequence[str]) -> list[str]:
    return [clean(pattern.format(*row)) for row in zip(*columns, strict=True)]


def matches(template: Template, text: str) -> bool:
    return re.search(template.regex, canonical(text)) is not None


@pytest.mark.parametrize(
    ("texts", "skeleton", "literal_share"),
    [
        pytest.param(["Answer the question with care."] * 3, "Answer the question with care", 1.0, id="none"),
        pytest.param(
            filled("Say in one word what {} is made of", FRUITS),
            "Say in one word what {1} is made of",
            8 / 9,
            id="middle",
        ),
        pytest.param(
            filled("{} is what I want described", FRUITS), "{1} is what I want described", 5 / 6, id="head"
        ),
        pytest.param(filled("Describe in one word: {}", FRUITS), "Describe in one word {1}", 4 / 5, id="tail"),
        pytest.param(
            filled("{} is the thing to compare with {}", FRUITS, FRUITS[::-1]),
            "{1} is the thing to compare with {2}",
            6 / 8,
            id="head and tail",
        ),
        pytest.param(
            filled("Compare the first thing {}, with the second {}, please be brief!", FRUITS, FRUITS[::-1]),
            "Compare the first thing {1} with the second {2} please be brief",
            10 / 12,
            id="two",
        ),
    ],
)
def test_fixed_text_and_slots(texts: list[str], skeleton: str, literal_share: float) -> None:
    template = extract_template(texts, "user")
    assert template.skeleton == skeleton
    assert template.literal_share == pytest.approx(literal_share)
    assert (template.support, template.role) == (1.0, "user")
    assert len(template.slots) == skeleton.count("{")
    assert all(matches(template, text) for text in texts)


def test_a_slot_in_numbers() -> None:
    template = extract_template(filled("Say in one word what {} is made of", [*FRUITS, "apple pie"]), "system")
    slot = Slot(1, 5, 5, 6 / 5, "text", ("apple", "apple pie", "bread"))
    assert (template.role, template.slots) == ("system", (slot,))


def test_at_most_twelve_runs_and_the_rest_is_the_last_slot() -> None:
    words = [f"w{number}" for number in range(45)]
    pattern = " ".join(f"{a} {b} {c} {{}}" for a, b, c in zip(words[::3], words[1::3], words[2::3], strict=True))
    columns = [[f"x{place}y{row}" for row in range(4)] for place in range(15)]
    texts = filled(pattern, *columns)
    template = extract_template(texts, "user")
    shown = [f"{a} {b} {c} {{{i}}}" for i, (a, b, c) in enumerate(zip(*[iter(words)] * 3, strict=True), start=1)]
    assert template.skeleton == " ".join(shown[:12])
    assert [slot.mean_words for slot in template.slots] == [1.0] * 11 + [1 + 3 * 4]
    assert all(matches(template, text) for text in texts)


@pytest.mark.parametrize(
    ("fillings", "kind"),
    [
        (["12", "3.5", "1,200"], "number"),
        (["https://one.example/a", "https://two.test/b", "www.three.org"], "url"),
        (["def go(x): pass now", "rows => rows.sum", "let a = {b: 1}; run"], "code"),
        (["12 apples", "a url https://x.example", "bread"], "text"),
        (["12", "bread", "www.one.org", "", ""], "empty"),
        (["12", "13", "bread", ""], "number"),
    ],
)
def test_the_kind_of_a_slot_is_what_mostly_fills_it(fillings: list[str], kind: str) -> None:
    template = extract_template(filled("Please rate the item {} and then explain", fillings), "user")
    given_texts = [text for text in fillings if text]
    assert template.skeleton == "Please rate the item {1} and then explain"
    assert [(slot.kind, slot.filled, slot.distinct) for slot in template.slots] == [
        (kind, len(given_texts), len(set(given_texts)))
    ]
    assert set(template.slots[0].examples) <= set(given_texts)


def test_examples_are_cut_to_80_characters() -> None:
    template = extract_template(filled("Read the text here {}", ["x" * 200, "y" * 200]), "user")
    assert template.slots[0].examples == ("x" * 80, "y" * 80)


def test_the_regex_matches_the_canonical_form_of_members_and_rejects_others() -> None:
    pattern = "Rate the Café {} from 1 to 10, (be strict)."
    template = extract_template(filled(pattern, FRUITS), "user")
    assert matches(template, "RATE  the cafe\u0301 something\nnew - from 1 to 10: [be strict]")
    assert not matches(template, "Rate the cafe apple from 1 to 10")
    assert not matches(template, "Please rate the cafe apple from 1 to 10, be strict")
    assert not matches(template, "Be strict. Rate the cafe apple from 1 to 10")
    found = re.search(template.regex, canonical("Rate the Café Two Words from 1 to 10, be strict"))
    assert found is not None
    assert found.group(1).strip() == "two words"


def test_a_filling_that_few_members_have_is_no_slot_but_the_regex_allows_it() -> None:
    texts = filled("please solve this task {} then report the answer", FRUITS)
    texts.append("please solve this task apple then report the answer and nothing else")
    template = extract_template(texts, "user")
    assert template.skeleton == "please solve this task {1} then report the answer"
    assert template.support == 1.0
    assert all(matches(template, text) for text in texts)
    assert not matches(template, "well please solve this task apple then report the answer")


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [""],
        ["one text alone has nothing in common with others"],
        ["completely different words here", "nothing at all is shared"],
        ["too short now", "too short now"],  # three tokens, where four are needed
        ["!!!", "???"],
    ],
)
def test_nothing_in_common_is_an_empty_template(texts: list[str]) -> None:
    assert extract_template(texts, "user") == NOTHING


def test_texts_without_words_count_against_the_support() -> None:
    template = extract_template([*filled("Say in one word what {} is made of", FRUITS), "!!!"], "user")
    assert template.skeleton == "Say in one word what {1} is made of"
    assert template.support == 4 / 5


def test_scripts_without_spaces() -> None:
    texts = filled("请你逐步思考并回答{}这个问题,谢谢", "甲乙丙丁")
    template = extract_template(texts, "user")
    assert template.skeleton == "请你逐步思考并回答 {1} 这个问题,谢谢"
    assert template.literal_share == pytest.approx(15 / 16)
    assert all(matches(template, text) for text in texts)
    assert not matches(template, "请你逐步思考并回答这个")
    assert template.slots[0].examples == ("丁", "丙", "乙")


def test_typos_in_a_part_of_the_members_do_not_hide_it() -> None:
    texts = [f"{' '.join(JUDGE)} essay{number}" for number in range(12)]
    for number in range(24):
        noisy = list(JUDGE)
        noisy[number % len(JUDGE)] += "q"
        texts.append(f"{' '.join(noisy)} essay{number}")
    template = extract_template(texts, "user")
    assert template.skeleton == " ".join(JUDGE) + " {1}"
    assert template.support == 12 / 36


def test_a_typo_in_every_member_leaves_most_of_it() -> None:
    texts = []
    for number in range(28):
        noisy = list(JUDGE)
        noisy[number % len(JUDGE)] += "q"
        texts.append(" ".join(noisy))
    template = extract_template(texts, "user")
    assert template.literal_share > 0.8
    assert sum(matches(template, text) for text in texts) >= template.support * len(texts) > 0


@pytest.mark.parametrize("unit", ["a ", "a b ", "ab ab a ", "一"])
def test_repetitive_text_of_100_kb_is_no_way_to_stall(unit: str) -> None:
    whole = (unit * 100_000)[:100_000]
    texts = [clean(text) for text in (whole, whole[:60_000] + " tail b", "b " + whole[:70_000], whole + " c d")]
    template = extract_template(texts, "user")
    assert template.skeleton.startswith(unit.strip())
    assert template.support > 0


class Word(str):
    """A word that counts how often it is compared."""

    __slots__ = ()
    comparisons = 0

    def __eq__(self, other: object) -> bool:
        Word.comparisons += 1
        return str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


@pytest.mark.parametrize("run", [["a"] * 999 + ["b"], ["b"] + ["a"] * 999, ["a", "b"] * 499 + ["b", "b"]])
def test_slots_are_found_in_linear_time(run: list[str]) -> None:
    words = [Word(word) for word in (run[:-1] * 6 + run)]
    Word.comparisons = 0
    assert slot_fillings(words, [tuple(map(Word, run))]) is not None
    assert Word.comparisons <= 4 * (len(words) + len(run))


def slots_by_regex(words: Sequence[str], runs: Sequence[Run]) -> list[tuple[int, int]] | None:
    """Slow twin of `slot_fillings`: words of one letter, a backtracking lazy match over them."""
    slot = r"(\w*?)"
    found = re.fullmatch(slot + "".join("".join(run) + slot for run in runs), "".join(words))
    return None if found is None else [found.span(group) for group in range(1, len(runs) + 2)]


LETTERS = st.sampled_from("ab")


@settings(deadline=None, max_examples=300)
@given(
    st.lists(LETTERS, max_size=16),
    st.lists(st.lists(LETTERS, min_size=1, max_size=4).map(tuple), max_size=4),
)
def test_slot_fillings_equal_a_lazy_regex(words: list[str], runs: list[Run]) -> None:
    assert slot_fillings(words, runs) == slots_by_regex(words, runs)


def test_slot_fillings_by_hand() -> None:
    words = list("xabcyabz")
    assert slot_fillings(words, [("a", "b"), ("a", "b")]) == [(0, 1), (3, 5), (7, 8)]
    assert slot_fillings(list("aaab"), [tuple("aab")]) == [(0, 1), (4, 4)]
    assert slot_fillings(list("abababcb"), [tuple("ababc")]) == [(0, 2), (7, 8)]
    assert slot_fillings(list("aabaabaaa"), [tuple("aabaaa")]) == [(0, 3), (9, 9)]
    assert slot_fillings(words, []) == [(0, 8)]
    assert slot_fillings(words, [("a", "b", "z"), ("a",)]) is None


@settings(deadline=None)
@given(st.lists(st.text(max_size=12), min_size=2, max_size=6))
def test_as_many_members_match_the_regex_as_support_promises(fillings: list[str]) -> None:
    texts = [clean(f"Now think step by step about {filling} and tell me why") for filling in fillings]
    template = extract_template(texts, "user")
    assert template.skeleton.startswith("Now think step by step about")
    assert sum(matches(template, text) for text in texts) >= round(template.support * len(texts))


def worded(opening: str, numbers: range) -> list[str]:
    return [f"{opening} about item {number} of list {number % 7}" for number in numbers]


def test_a_template_in_three_wordings_shows_each_of_them() -> None:
    """And a fourth wording, which one text in twenty has, is not worth a line."""
    texts = [
        *worded("Kindly compose a thorough explanation", range(45)),
        *worded("As an expert write down every step you take", range(45, 80)),
        *worded("Before answering list what you know for certain", range(80, 95)),
        *worded("Whatever else you do never mention", range(95, 100)),
    ]
    found = extract_variants(texts, [{0}] * len(texts), "user")
    assert [each.support for each in found] == [0.45, 0.35, 0.15]
    assert [each.skeleton.split(" about")[0] for each in found] == [
        "Kindly compose a thorough explanation",
        "As an expert write down every step you take",
        "Before answering list what you know for certain",
    ]


def test_a_template_that_all_follow_has_no_variants() -> None:
    texts = worded("Kindly compose a thorough explanation", range(50))
    assert len(extract_variants(texts, [{0}] * 50, "user")) == 1
    assert [each.skeleton for each in extract_variants(["one", "two"], [{0}, {1}], "user")] == [""]
    assert [each.skeleton for each in extract_variants([], [], "user")] == [""]


def test_values_that_accounts_share_are_counted() -> None:
    """Twenty questions, each sent by three accounts in a prompt of its own, and twenty that one account has."""
    shared = [
        (f"Explain with great care the topic number {n}", {100 * m + n}) for n in range(20) for m in range(3)
    ]
    own = [(f"Explain with great care the topic number {n}", {7}) for n in range(20, 40)]
    texts, senders = zip(*shared, *own, strict=True)
    (template,) = extract_variants(texts, senders, "user")
    assert [(slot.distinct, slot.repeated) for slot in template.slots] == [(40, 20)]


@pytest.mark.parametrize(
    ("filling", "kind"),
    [
        ("", "empty"),
        ("12,500 %", "number"),
        ("2026-03-01", "date"),
        ("2026-03-01T10:00:00Z", "date"),
        ("1.3.2026", "date"),
        ("https://example.org/x", "url"),
        ('{"a": [1, 2]}', "json"),
        ("[1, 2, 3]", "json"),
        ("{a: 1}", "code"),
        ("[" * 5000, "text"),
        ("return f(x);", "code"),
        ("the river", "text"),
    ],
)
def test_kinds_of_fillings(filling: str, kind: str) -> None:
    assert kind_of(filling) == kind


def test_a_few_texts_that_take_turns_are_a_choice() -> None:
    texts = [f"Please {'keep' if n % 2 else 'stay'} to the facts of case {n} and be brief" for n in range(40)]
    assert [slot.kind for slot in extract_template(texts, "user").slots] == ["choice", "number"]
