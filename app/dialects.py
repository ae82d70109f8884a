"""What LLM APIs' request bodies hold: the prompt, the model and the end user, whatever the dialect.

Gateways hand over bodies that others wrote, sometimes cut in the middle. So nothing here is refused: what can be
read is read, and a body that holds no text gives no prompt.
"""

import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import from_json

from models.errors import BadPrompt
from models.event import MAX_ID_CHARACTERS
from models.prompt import OTHER_ROLES, SYSTEM_ROLES, Prompt

MOST_BYTES: Final = 8 << 20
_ZLIB_BITS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_JSON: Final = json.JSONDecoder(strict=False, parse_int=float)  # with raw line breaks, and numbers of any length
_TEXT_FIELD: Final = re.compile(
    r'"(?:content|input|instructions|prompt|system|text)"\s*:\s*"((?:[^"\\]|\\["\\/bfnrtu])*)"'
)
_ESCAPED_SURROGATE: Final = re.compile(rb"(?<!\\)((?:\\\\)*)\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


@dataclass(frozen=True, slots=True)
class Body:
    """What a request body says. prompt: None if no text of a sender is in it. model, user: as given there."""

    prompt: Prompt | None
    model: str | None
    user: str | None


NOTHING: Final = Body(None, None, None)


def read_body(raw: bytes, encoding: str = "", limit: int = MOST_BYTES) -> Body:
    """What a body says that may be cut anywhere: OpenAI chat completions, completions or responses, or Anthropic
    messages, told apart by their fields. A body that is no JSON object says nothing.

    encoding: the content-encoding that the sender named. limit: bytes of an unpacked body that are looked at.
    """
    document = _parsed(_unpacked(raw, encoding, limit))
    return body_of(document) if isinstance(document, Mapping) else NOTHING


def _unpacked(raw: bytes, encoding: str, limit: int) -> bytes:
    """The beginning of a body that may be packed, or cut while it was; as it is if nobody here can unpack it."""
    bits = _ZLIB_BITS.get(encoding.strip().lower())
    if bits is None:
        return raw
    try:
        return zlib.decompressobj(bits).decompress(raw, limit)
    except zlib.error:
        return raw


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
    """Adds a turn's text to what its role says; of the model's and of tools' turns nothing. Roles that are not
    known count as the sender's: some server may be less strict than we are.
    """
    if isinstance(turn, str):
        user.append(turn)
    elif isinstance(turn, Mapping):
        role = str(turn.get("role") or "").strip().lower()
        text = "\n".join(_texts(turn.get("content")))
        if not text or role in OTHER_ROLES or (not role and turn.get("type", "message") != "message"):
            return
        (system if role in SYSTEM_ROLES else user).append(text)


def _texts(value: object) -> Iterator[str]:
    """A text, that of a part, or those of a list of texts and parts."""
    for part in [value] if isinstance(value, str | Mapping) else value if isinstance(value, Sequence) else ():
        text = part.get("text") if isinstance(part, Mapping) else part
        if isinstance(text, str):
            yield text


def _parsed(raw: bytes) -> object:
    """The value of JSON text, or of as much of it as there is; None if there is none.

    Python's parser comes first, as it takes what most servers take, with its limits off: who could send what only
    we refuse would pass unseen. The one that reads on to where the text was cut refuses half a surrogate pair, so
    these are replaced. What is too deep for both is searched for texts.
    """
    try:
        return _JSON.decode(raw.decode(json.detect_encoding(raw), "surrogatepass"))
    except (ValueError, RecursionError):
        pass
    try:
        return from_json(_ESCAPED_SURROGATE.sub(rb"\1\\ufffd", raw), allow_partial="trailing-strings")
    except ValueError:
        return {"prompt": _found(raw.decode(errors="replace"))}


def _found(text: str) -> list[str]:
    """The texts of what looks like JSON objects, whatever is between them."""
    return [_JSON.decode(f'"{found[1]}"') for found in _TEXT_FIELD.finditer(text)]
