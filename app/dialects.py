"""What LLM APIs' request bodies hold: the prompt, the model and the end user, whatever the dialect.

Gateways hand over bodies that others wrote, sometimes cut in the middle. So nothing here is refused: what can be
read is read, and a body that holds no text gives no prompt.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import from_json

from models.errors import BadPrompt
from models.event import MAX_ID_CHARACTERS
from models.prompt import SYSTEM_ROLES, USER_ROLES, Prompt

_ESCAPED_SURROGATE: Final = re.compile(rb"(?<!\\)((?:\\\\)*)\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


@dataclass(frozen=True, slots=True)
class Body:
    """What a request body says. prompt: None if no text of a sender is in it. model, user: as given there."""

    prompt: Prompt | None
    model: str | None
    user: str | None


NOTHING: Final = Body(None, None, None)


def read_body(raw: bytes) -> Body:
    """What a body says that may be cut anywhere: OpenAI chat completions, completions or responses, or Anthropic
    messages, told apart by their fields. A body that is no JSON object says nothing.
    """
    document = _parsed(raw)
    return body_of(document) if isinstance(document, Mapping) else NOTHING


def body_of(document: Mapping[str, Any]) -> Body:
    """What a parsed body says."""
    system = [*_texts(document.get("instructions")), *_texts(document.get("system"))]
    user = list(_texts(document.get("prompt")))
    for name in ("messages", "input"):
        turns = document.get(name)
        if isinstance(turns, str):
            user.append(turns)
        elif isinstance(turns, Sequence):
            for turn in turns:
                _read_turn(turn, system, user)
    sender = name_of(document.get("user")) or name_of(mapping_of(document.get("metadata")).get("user_id"))
    return Body(prompt_of(system, user), name_of(document.get("model")), sender)


def prompt_of(system: Sequence[str], user: Sequence[str]) -> Prompt | None:
    """The prompt of these texts, joined as `models.prompt` joins turns; None if there is none."""
    try:
        return Prompt("\n\n".join(system), "\n\n".join(user))
    except BadPrompt:
        return None


def name_of(value: object) -> str | None:
    """A value as a name that can be kept and shown, None if it is none."""
    is_name = isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARACTERS and value.isprintable()
    return str(value) if is_name else None


def mapping_of(value: object) -> Mapping[str, Any]:
    """A value as a JSON object, an empty one if it is none."""
    return value if isinstance(value, Mapping) else {}


def _read_turn(turn: object, system: list[str], user: list[str]) -> None:
    """Adds a turn's text to what its role says; of the model's and of tools' turns nothing."""
    if isinstance(turn, str):
        user.append(turn)
    elif isinstance(turn, Mapping):
        role = turn.get("role")
        text = "\n".join(_texts(turn.get("content")))
        if text and isinstance(role, str):
            if role in SYSTEM_ROLES:
                system.append(text)
            elif role in USER_ROLES:
                user.append(text)


def _texts(value: object) -> Iterator[str]:
    """A text, or the texts of a list of texts and parts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Sequence):
        for part in value:
            text = part.get("text") if isinstance(part, Mapping) else part
            if isinstance(text, str):
                yield text


def _parsed(raw: bytes) -> object:
    """The value of JSON text, or of as much of it as there is; None if there is none.

    Python's parser comes first, as it takes what most servers take: who could send what only we refuse would pass
    unseen. The one that reads on to where the text was cut refuses half a surrogate pair, so these are replaced.
    """
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        pass
    try:
        return from_json(_ESCAPED_SURROGATE.sub(rb"\1\\ufffd", raw), allow_partial="trailing-strings")
    except ValueError:
        return None
