"""The distinct prompts of all events, and who sent each: what every view is built from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.events import EventTable
from indexer.grams import Senders, senders
from models.text import canonical

IntArray = NDArray[np.int64]


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
class Corpus:
    """n distinct prompts in the order of their fingerprints, so that nothing depends on the order of arrival.

    prompt_ids: (n,) int64, the store's ids. fingerprints: n times 16 bytes, ascending. user, system: n
    canonical texts. event_prompt: (events,) int64, the row of each event's prompt. events: the event table.
    """

    prompt_ids: IntArray
    fingerprints: tuple[bytes, ...]
    user: tuple[str, ...]
    system: tuple[str, ...]
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


@dataclass(frozen=True, slots=True)
class Distinct:
    """The distinct non-empty texts of a corpus in one role, ordered as strings; text_of_prompt: (n,) int64,
    the index of each prompt's text, -1 for none."""

    texts: tuple[str, ...]
    text_of_prompt: IntArray


def build_corpus(events: EventTable, prompts: Iterable[Sequence[PromptRow]]) -> Corpus:
    """Corpus of an event table and its prompts, which come in batches ordered by fingerprint."""
    ids: list[int] = []
    fingerprints: list[bytes] = []
    user: list[str] = []
    system: list[str] = []
    for batch in prompts:
        for prompt in batch:
            ids.append(prompt.prompt_id)
            fingerprints.append(prompt.fingerprint)
            user.append(canonical(prompt.user))
            system.append(canonical(prompt.system))
    prompt_ids = np.array(ids, np.int64)
    order = np.argsort(prompt_ids)
    rows = order[np.searchsorted(prompt_ids[order], events.prompt)] if ids else np.zeros(0, np.int64)
    return Corpus(prompt_ids, tuple(fingerprints), tuple(user), tuple(system), rows, events)


def distinct(texts: Sequence[str]) -> Distinct:
    """Distinct non-empty texts, each once."""
    ordered = tuple(sorted({text for text in texts if text}))
    places = {text: place for place, text in enumerate(ordered)}
    return Distinct(ordered, np.array([places.get(text, -1) for text in texts], np.int64))
