"""What can be stored: a JSON text may name half a surrogate pair, which no file, wire or database takes, and the
character NUL, which PostgreSQL does not take.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

_NUL: Final = "\x00"
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
# Like those it draws nothing and the canonical form drops it; unlike them every database takes it.
_ZERO_WIDTH_SPACE: Final = "\u200b"


def storable(text: str) -> str:
    """The text with anything that cannot be stored made a character that draws nothing either."""
    if text.isascii() and _NUL not in text:
        return text
    return _UNSTORABLE.sub(_ZERO_WIDTH_SPACE, text)


def storable_json(value: Any) -> Any:
    """`storable` of every text and key in a JSON value."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {storable(key): storable_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [storable_json(inner) for inner in value]
    return value
