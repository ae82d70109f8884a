"""What UTF-8 can hold: a JSON text may name half a surrogate pair, which no file, wire or database takes."""

import re
from collections.abc import Mapping
from typing import Any, Final

_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
# Like a lone surrogate it draws nothing and the canonical form drops it; unlike one it can be written as UTF-8.
_ZERO_WIDTH_SPACE: Final = "\u200b"


def storable(text: str) -> str:
    """The text with anything that UTF-8 cannot hold made invisible."""
    return text if text.isascii() else _LONE_SURROGATE.sub(_ZERO_WIDTH_SPACE, text)


def storable_json(value: Any) -> Any:
    """`storable` of every text and key in a JSON value."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {storable(key): storable_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [storable_json(inner) for inner in value]
    return value
