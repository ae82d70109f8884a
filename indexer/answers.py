"""Answers that were given before: whoever harvests a model sends the same prompts again and again."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import msgspec

from indexer.feedback import Verdicts
from indexer.match import Matcher
from models.match import Match, Question

KEPT: Final = 20_000
LONGEST: Final = 5  # nearest campaigns of an answer that is kept: gateways ask for few, and a long list is large
_DIGEST_BYTES: Final = 16
_PACK: Final = msgspec.msgpack.Encoder().encode
_UNPACK: Final = msgspec.msgpack.Decoder(Match).decode


class Answers:
    """The answers of one generation under one set of verdicts, so that none of them can be out of date.

    Thread-safe. At most `kept` short ones are remembered, by a digest of the question: no prompt is kept. They are
    packed into bytes: as objects, a few for each answer, they would keep the garbage collector busy for a tenth of
    a second now and then.
    """

    def __init__(self, matcher: Matcher, verdicts: Verdicts, kept: int = KEPT) -> None:
        self.matcher = matcher
        self.verdicts = verdicts
        self._kept = kept
        self._known: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def known(self, question: Question) -> Match | None:
        """The answer, if the question was asked before; None if that takes work."""
        return self._find(_key(question))

    def of(self, questions: Sequence[Question]) -> list[Match]:
        """The answer to each question; what is asked twice is worked out once."""
        keys = [_key(each) for each in questions]
        found = {key: self._find(key) for key in keys}
        open_questions = {key: each for key, each in zip(keys, questions, strict=True) if found[key] is None}
        answers = self.matcher.match(list(open_questions.values()), self.verdicts) if open_questions else []
        worked_out = dict(zip(open_questions, answers, strict=True))
        self._keep(worked_out)
        return [found[key] or worked_out[key] for key in keys]

    def _find(self, key: bytes) -> Match | None:
        with self._lock:
            answer = self._known.get(key)
            if answer is not None:
                self._known.move_to_end(key)
        return None if answer is None else _UNPACK(answer)

    def _keep(self, answers: dict[bytes, Match]) -> None:
        packed = {key: _PACK(each) for key, each in answers.items() if len(each.nearest) <= LONGEST}
        with self._lock:
            self._known.update(packed)
            while len(self._known) > self._kept:
                self._known.popitem(last=False)


def _key(question: Question) -> bytes:
    digest = blake2b(digest_size=_DIGEST_BYTES)
    prompt = question.prompt
    for part in (question.mode, str(question.top_k), str(len(prompt.system)), prompt.system, prompt.user):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return digest.digest()
