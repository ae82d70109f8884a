"""The distinct prompts of all events, and who sent each: what every view is built from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.events import COLUMNS, NAMES, EventTable, Names, recoded
from indexer.key_table import UNKNOWN, KeyTable, text_keys
from indexer.senders import Senders, senders
from indexer.texts import Texts, taken
from indexer.workspace import Folder
from models.text import FINGERPRINT_BYTES, canonical

IntArray = NDArray[np.int64]
PrintArray = NDArray[np.uint8]


class PromptRow(Protocol):
    """A distinct prompt as the store gives it: raw texts by role."""

    @property
    def prompt_id(self) -> int: ...
    @property
    def fingerprint(self) -> bytes: ...
    @property
    def system(self) -> str: ...
    @property
    def user(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Distinct:
    """The distinct non-empty texts of n prompts in one role, in the order in which the prompts have them.
    text_of_prompt: (n,) int64, the index of each prompt's text, -1 for none.
    """

    texts: Sequence[str]
    text_of_prompt: IntArray


@dataclass(frozen=True, slots=True)
class Corpus:
    """n distinct prompts in the order of their fingerprints, so that nothing depends on the order of arrival;
    those that have come since the last full run stand behind the others, in that order too.

    prompt_ids: (n,) int64, the store's ids. fingerprints: (n, 16) uint8. user, system: their canonical texts.
    event_prompt: (events,) int64, the row of each event's prompt. events: the event table.
    """

    prompt_ids: IntArray
    fingerprints: PrintArray
    user: Distinct
    system: Distinct
    event_prompt: IntArray
    events: EventTable

    def __len__(self) -> int:
        return len(self.prompt_ids)

    def senders_of(self, text_of_prompt: IntArray, texts: int) -> Senders:
        """Which units sent each of `texts` texts; text_of_prompt: (n,) index of each prompt's text, or -1."""
        text = text_of_prompt[self.event_prompt]
        sent = text >= 0
        return senders(text[sent], self.events.unit[sent], texts)

    def first_sender(self) -> IntArray:
        """A unit that sent each prompt, the one of its first event, (n,); -1 for a prompt without events."""
        found = np.full(len(self), -1, np.int64)
        prompts, first = np.unique(self.event_prompt, return_index=True)
        found[prompts] = self.events.unit[first]
        return found


def write_corpus(
    folder: Folder, events: EventTable, prompts: Iterable[Sequence[PromptRow]], base: Folder | None = None
) -> None:
    """Puts the corpus of an event table and its prompts, which come in batches ordered by fingerprint, into a
    folder, from where `read_corpus` has it.

    base: where an earlier corpus is, which then comes first; events and prompts are those that it lacks.
    """
    user, system = _known_texts(base, "user"), _known_texts(base, "system")
    with (
        folder.writer("prompt_ids", base) as ids,
        folder.writer("fingerprints", base) as fingerprints,
        folder.texts_writer("user", base) as user_texts,
        folder.writer("user_of_prompt", base) as user_of_prompt,
        folder.texts_writer("system", base) as system_texts,
        folder.writer("system_of_prompt", base) as system_of_prompt,
    ):
        for batch in prompts:
            ids.append(np.array([prompt.prompt_id for prompt in batch], np.int64))
            joined = b"".join(prompt.fingerprint for prompt in batch)
            fingerprints.append(np.frombuffer(joined, np.uint8))
            number, fresh = numbered([canonical(prompt.user) for prompt in batch], user)
            user_of_prompt.append(number)
            user_texts.append(fresh)
            number, fresh = numbered([canonical(prompt.system) for prompt in batch], system)
            system_of_prompt.append(number)
            system_texts.append(fresh)
    folder.write("user.keys", user.keys)
    folder.write("system.keys", system.keys)
    if base is not None:
        events = recoded(events, base.value("names", dict[str, tuple[str, ...]]))
    columns = {f"events.{name}": getattr(events, name) for name in COLUMNS}
    columns["event_prompt"] = _rows_of(folder.array("prompt_ids", np.int64), events.prompt)
    for name, column in columns.items():
        with folder.writer(name, base) as file:
            file.append(column)
    folder.write_value("names", {name: getattr(events, name).values for name in NAMES})


def _known_texts(base: Folder | None, role: str) -> KeyTable:
    known = KeyTable()
    if base is not None:
        known.add(base.array(f"{role}.keys", np.uint64, FINGERPRINT_BYTES // 8))
    return known


def read_corpus(folder: Folder) -> Corpus:
    """The corpus that `write_corpus` put there, mapped into memory."""
    names = folder.value("names", dict[str, tuple[str, ...]])
    columns: dict[str, Any] = {name: folder.array(f"events.{name}", np.int64) for name in COLUMNS}
    columns |= {name: Names(values) for name, values in names.items()}
    return Corpus(
        folder.array("prompt_ids", np.int64),
        folder.array("fingerprints", np.uint8, FINGERPRINT_BYTES),
        Distinct(folder.texts("user"), folder.array("user_of_prompt", np.int64)),
        Distinct(folder.texts("system"), folder.array("system_of_prompt", np.int64)),
        folder.array("event_prompt", np.int64),
        EventTable(**columns),
    )


def distinct(texts: Sequence[str]) -> Distinct:
    """Distinct non-empty texts, each once."""
    text_of_prompt, fresh = numbered(texts, KeyTable())
    return Distinct(Texts.of(fresh), text_of_prompt)


def numbered(texts: Sequence[str], known: KeyTable) -> tuple[IntArray, list[str]]:
    """Number of each text, (n,), -1 for an empty one, and the texts that `known` had not met, in the order of
    their numbers; it now has them.
    """
    before = len(known)
    present = np.flatnonzero(np.fromiter(map(len, texts), np.int64, len(texts)))
    numbers = np.full(len(texts), UNKNOWN, np.int64)
    numbers[present] = known.add(text_keys(taken(texts, present)))
    _, first = np.unique(numbers, return_index=True)
    return numbers, taken(texts, first[numbers[first] >= before])


def _rows_of(prompt_ids: IntArray, wanted: IntArray) -> IntArray:
    """The row of each wanted prompt."""
    row = np.empty(int(prompt_ids.max(initial=0)) + 1, np.int64)
    row[prompt_ids] = np.arange(len(prompt_ids))
    return row[wanted]
