"""One line of JSON Lines: what it holds, or what is wrong with it. Never quotes the text, it may be a prompt."""

import json
from typing import Any, NoReturn

import msgspec


def json_object(raw: bytes) -> tuple[dict[str, Any] | None, str | None]:
    """The object and None, or None and what is wrong with it."""
    value, problem = json_value(raw)
    if problem is not None:
        return None, problem
    if not isinstance(value, dict):
        return None, f"not an object: {type(value).__name__}"
    return value, None


def json_value(raw: bytes) -> tuple[Any, str | None]:
    """The value and None, or None and what is wrong with it."""
    try:
        return msgspec.json.decode(raw), None
    except UnicodeDecodeError:
        return None, utf8_problem(raw)
    except RecursionError:
        return None, "invalid JSON: nested too deeply"
    except msgspec.DecodeError as error:
        if b"\\ud" in raw or b"\\uD" in raw:
            return _json_with_surrogates(raw)
        return None, utf8_problem(raw) or f"invalid JSON: {error}"


def utf8_problem(raw: bytes) -> str | None:
    """Where the bytes are no UTF-8, None if they are."""
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return f"invalid UTF-8: byte 0x{raw[error.start]:02x} at offset {error.start}"
    return None


def _json_with_surrogates(raw: bytes) -> tuple[Any, str | None]:
    """`json_value` for text with half of a surrogate pair, as is left when a sender cuts an emoji in two."""
    try:
        return json.loads(raw.decode(), parse_constant=_refuse_constant), None
    except UnicodeDecodeError:
        return None, utf8_problem(raw)
    except RecursionError:
        return None, "invalid JSON: nested too deeply"
    except json.JSONDecodeError as error:
        return None, f"invalid JSON: {error.msg} (character {error.pos})"
    except ValueError as error:
        return None, f"invalid JSON: {error}"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
