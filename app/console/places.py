"""Where the console is."""

from typing import Final

HOME: Final = "/console"
SIGN_IN: Final = f"{HOME}/sign-in"
STATIC: Final = f"{HOME}/static/"


def is_page(path: str) -> bool:
    """Whether a path is one of the console's."""
    return path == HOME or path.startswith(f"{HOME}/")
