"""What fills a slot of a template: how many different texts, of what kind, and which of them accounts share."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence, Set
from typing import Final

from models.campaign import Slot
from models.text import token_spans

_EXAMPLES: Final = 3
_EXAMPLE_CHARACTERS: Final = 80
_MOST_CHOICES: Final = 12
_EACH_CHOICE: Final = 4  # fillings to a distinct one, from which they are a choice
_JSON_CHARACTERS: Final = 20_000
_DATE: Final = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([T ][\d:.Z+-]{1,30})?|\d{1,2}[./]\d{1,2}[./]\d{2,4}")
_NUMBER: Final = re.compile(r"[\d.,%$€£\s+-]+")
_URL: Final = re.compile(r"https?://|www\.")
_CODE: Final = re.compile(r"[{};]|\bdef \w+\(|=>|</\w+>|\breturn\b.*\(")


def describe_slot(number: int, fillings: Sequence[str], senders: Sequence[Set[int]]) -> Slot:
    """Slot `number` of a template. fillings: what each member has there, "" for nothing. senders: the accounts
    that sent each member.
    """
    sent_by: dict[str, set[int]] = defaultdict(set)
    for filling, accounts in zip(fillings, senders, strict=True):
        if filling:
            sent_by[filling] |= accounts
    given = [filling for filling in fillings if filling]
    examples = sorted(sent_by)
    chosen = examples[:: max(1, len(examples) // _EXAMPLES)][:_EXAMPLES]
    return Slot(
        number=number,
        filled=len(given),
        distinct=len(examples),
        mean_words=sum(len(token_spans(filling)) for filling in given) / max(1, len(given)),
        kind=_kind_of_all(fillings, len(given), len(examples)),
        examples=tuple(example[:_EXAMPLE_CHARACTERS] for example in chosen),
        repeated=sum(len(accounts) > 1 for accounts in sent_by.values()),
    )


def _kind_of_all(fillings: Sequence[str], given: int, distinct: int) -> str:
    if 1 < distinct <= _MOST_CHOICES and given >= _EACH_CHOICE * distinct:
        return "choice"
    return Counter(map(kind_of, fillings)).most_common(1)[0][0]


def kind_of(filling: str) -> str:
    """What one filling is: "empty", "date", "number", "url", "json", "code" or "text"."""
    if not filling:
        return "empty"
    if _DATE.fullmatch(filling):
        return "date"
    if _NUMBER.fullmatch(filling):
        return "number"
    if _URL.match(filling):
        return "url"
    if _is_json(filling):
        return "json"
    return "code" if _CODE.search(filling) else "text"


def _is_json(filling: str) -> bool:
    if filling[0] not in "{[" or len(filling) > _JSON_CHARACTERS:
        return False
    try:
        json.loads(filling)
    except (ValueError, RecursionError):
        return False
    return True
