"""Where the console is."""

import re
from typing import Final
from urllib.parse import urlsplit

HOME: Final = "/console"
SIGN_IN: Final = f"{HOME}/sign-in"
STATIC: Final = f"{HOME}/static/"
_PLAIN: Final = re.compile(rf"{HOME}(/[A-Za-z0-9_-][A-Za-z0-9._~-]*)*")


def is_page(path: str) -> bool:
    """Whether a path is one of the console's."""
    return path == HOME or path.startswith(f"{HOME}/")


def local(target: str) -> str:
    """A page of the console to go on to; home for what is none, as a link from elsewhere may name."""
    try:
        parts = urlsplit(target)
    except ValueError:
        return HOME
    is_one = not parts.scheme and not parts.netloc and target.isprintable() and _PLAIN.fullmatch(parts.path)
    return target if is_one else HOME
