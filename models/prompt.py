"""What a prompt is: the sender's words, by role."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from models.errors import BadPrompt
from models.text import canonical, fingerprint, without_padding

SYSTEM_ROLES: Final = frozenset({"system", "developer"})
USER_ROLES: Final = frozenset({"user", "human"})
# Words of others (the model, a tool) in the conversation: they say nothing about what the sender wrote.
OTHER_ROLES: Final = frozenset({"assistant", "ai", "model", "tool", "function"})


@dataclass(frozen=True, slots=True)
class Prompt:
    """System and user text as sent. An application's fixed system prompt must never drown the user's words,
    so the two are kept apart everywhere. Either may be empty, not both.
    """

    system: str
    user: str

    def __post_init__(self) -> None:
        if not (self.system.strip() or self.user.strip()):
            raise BadPrompt("prompt has no text: system and user text are both empty")

    @property
    def length(self) -> int:
        """Characters of both texts."""
        return len(self.system) + len(self.user)

    def canonical(self) -> "Prompt":
        """The same prompt with both texts in canonical form; a prompt of only invisible characters stays."""
        system, user = canonical(self.system), canonical(self.user)
        return Prompt(system, user) if system or user else self

    def shortened(self, most_chars: int) -> "Prompt":
        """The prompt cut to so many characters, at least four: of each text to half of them if need be, the middle
        left out, once what pads it is gone: or both ends might be nothing else.
        """
        if self.length <= most_chars:
            return self
        bare = self.without_padding()
        system = _ends(bare.system, max(most_chars // 2, most_chars - len(bare.user)))
        return Prompt(system, _ends(bare.user, most_chars - len(system)))

    def without_padding(self) -> "Prompt":
        """The prompt without what stands at the ends of its texts and is not seen; one of nothing else stays."""
        system, user = without_padding(self.system), without_padding(self.user)
        return Prompt(system, user) if system or user else self

    def fingerprint(self) -> bytes:
        """16 bytes that are equal exactly when two prompts have the same canonical form."""
        system, user = canonical(self.system), canonical(self.user)
        return fingerprint(system, user) if system or user else fingerprint(self.system, self.user)


def _ends(text: str, most_chars: int) -> str:
    head = most_chars // 2
    return text if len(text) <= most_chars else text[:head] + text[len(text) - (most_chars - head) :]


def prompt_from_messages(messages: Sequence[Any]) -> Prompt:
    """Prompt of a chat: system turns joined, user turns joined; turns of the model and of tools are left out.

    A message's content is a string or a list of parts, of which those with a `text` count (images do not).
    Raises BadPrompt with the position of the first message that is malformed.
    """
    texts: dict[str, list[str]] = {"system": [], "user": []}
    for position, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise BadPrompt(f"messages[{position}] is {type(message).__name__}, not an object")
        role = message.get("role")
        if not isinstance(role, str):
            raise BadPrompt(f"messages[{position}].role is {type(role).__name__}, not text")
        if role in OTHER_ROLES:
            continue
        if role not in SYSTEM_ROLES | USER_ROLES:
            raise BadPrompt(f"messages[{position}].role is {role[:32]!r}; known are system, user, assistant, tool")
        text = _content_text(message.get("content"), position)
        texts["system" if role in SYSTEM_ROLES else "user"].append(text)
    return Prompt("\n\n".join(texts["system"]), "\n\n".join(texts["user"]))


def _content_text(content: object, position: int) -> str:
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if not isinstance(content, Sequence):
        raise BadPrompt(f"messages[{position}].content is {type(content).__name__}, not text or a list of parts")
    pieces: list[str] = []
    for part in content:
        if isinstance(part, str):
            pieces.append(part)
        elif isinstance(part, Mapping):
            text = part.get("text")
            if isinstance(text, str):
                pieces.append(text)
        else:
            raise BadPrompt(f"messages[{position}].content holds a {type(part).__name__}, not a part")
    return "\n".join(pieces)
