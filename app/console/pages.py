"""Pages: the console's templates, filled in. The only door to Jinja."""

import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.console.marking import fixed_words
from models.letters import draws_nothing
from models.search import SearchHit
from models.text import clean

FOLDER: Final = Path(__file__).parent
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
HEADERS: Final = {"content-security-policy": _POLICY, "referrer-policy": "same-origin"}
SHOWN: Final = 600  # characters of a prompt on a page that has many
_MARKDOWN: Final = re.compile(r"[\\`*_{}\[\]>()#+.!|&~:-]")
_SLOT: Final = re.compile(r"\{(\d{1,3})\}")
_DRAWN: Final = frozenset("\n\t")
_HIDDEN: Final = frozenset("\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029\u2800")  # called white space, or braille
_EMOJI: Final = "\ufe0f"


def shown(text: str, limit: int = SHOWN) -> str:
    """A text that somebody else wrote, so that all of it that is shown can be seen: what draws nothing, or turns
    the direction of writing, stands there by its code, but for what makes an emoji of a sign; a long one is cut,
    and it is said by how much.
    """
    cut = len(text) - limit
    some = text[:limit] if cut > 0 else text
    if not some.isascii() or not some.isprintable():
        some = "".join(_seen(letter) for letter in some)
    return f"{some} … ({cut:,} more characters)" if cut > 0 else some


def brief(text: str, limit: int) -> str:
    """The beginning of a text, as `shown` has it; that there is more is told by three dots."""
    return shown(text[:limit], limit) + (" …" if len(text) > limit else "")


def one_line(hit: SearchHit, limit: int) -> str:
    """The beginning of a stored prompt as it reads: the user's words, or the system's if it has none."""
    return brief(clean((hit.text or hit.system)[: 4 * limit]), limit)


def pieces(skeleton: str, slots: Iterable[int]) -> list[tuple[str, int]]:
    """A template's fixed text and slots in order: (text, 0) or ("", number of the slot). slots: the numbers that
    there are; any other in braces was written by a sender.
    """
    known, parts = set(slots), _SLOT.split(skeleton)
    found = [(part, 0) for part in parts]
    for at in range(1, len(parts), 2):
        number = int(parts[at])
        found[at] = ("", number) if number in known else (f"{{{parts[at]}}}", 0)
    return [piece for piece in found if piece != ("", 0)]


def count(number: float) -> str:
    """A number of things."""
    return f"{number:,.0f}"


def share(fraction: float) -> str:
    """A share in per cent; never a round 0 or 100 that it is not."""
    percent = 100 * fraction
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.1f} %" if percent % 1 and percent < 99.95 else f"{percent:.0f} %"


def measure(value: float | None) -> str:
    """A measured value in three figures; a dash where there is none."""
    return "–" if value is None else f"{value:.3g}" if abs(value) < 10_000 else count(value)


def when(moment: datetime) -> str:
    """A moment, UTC, to the minute."""
    return f"{moment:%Y-%m-%d %H:%M}"


def age(seconds: float) -> str:
    """How long ago something was, in its largest unit."""
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return "less than a minute"


def duration(seconds: float) -> str:
    """How long something took or takes."""
    minutes, rest = divmod(int(seconds), 60)
    return (
        f"{minutes // 60} h {minutes % 60} min"
        if minutes >= 60
        else f"{minutes} min {rest} s"
        if minutes
        else f"{rest} s"
    )


def filled(name: str, **values: Any) -> str:
    """A template filled in, as a text."""
    return _TEMPLATES.get_template(name).render(values)


def as_code(text: str, limit: int = 2000) -> str:
    """A text that somebody else wrote as a block of code, which Markdown neither formats nor follows."""
    some = shown(text, limit)
    longest = max(map(len, re.findall("`+", some)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{some}\n{fence}"


def as_words(text: str, limit: int = 5000) -> str:
    """A short text that somebody else wrote within a line of Markdown: its signs mean nothing there."""
    line = " ".join(shown(text, limit).split())
    return _MARKDOWN.sub(r"\\\g<0>", line).replace("<", "&lt;")


def rendered(name: str, http_status: int = 200, **values: Any) -> HTMLResponse:
    """A template filled in, as an answer that loads nothing from elsewhere and runs no script but our own."""
    return HTMLResponse(filled(name, **values), http_status, HEADERS)


def _seen(letter: str) -> str:
    is_hidden = letter not in _DRAWN and (letter in _HIDDEN or (letter != _EMOJI and draws_nothing(letter)))
    return f"[U+{ord(letter):04X}]" if is_hidden else letter


def _templates() -> Environment:
    found = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=lambda name: name is None or not name.endswith(".md"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for each in (
        shown,
        brief,
        pieces,
        count,
        share,
        measure,
        when,
        age,
        duration,
        clean,
        fixed_words,
        as_code,
        as_words,
    ):
        found.filters[each.__name__] = each
    return found


_TEMPLATES: Final = _templates()
