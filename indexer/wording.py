"""A grammar of instructions: role, task, constraints, output format and closing, in endless wordings.

Attackers and benign look-alikes speak the same grammar, so that nobody can tell them apart by a favourite
phrase; only their tasks differ.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from random import Random
from typing import Final

_CHOICE: Final = re.compile(r"\{([^{}]*)\}")
SENTENCE_END: Final = re.compile(r"(?<=[.:?]) ")


@cache
def pieces() -> Mapping[str, tuple[str, ...]]:
    """Pieces by section of texts/wording.txt: "role", "task NAME", "constraint", "output", "closing", "app" ..."""
    sections: dict[str, list[str]] = {}
    section: list[str] = []
    for line in (files("indexer") / "texts" / "wording.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            section = sections[line.strip("[]")] = []
        elif line and not line.startswith("#"):
            section.append(line)
    return {name: tuple(lines) for name, lines in sections.items()}


def draw(section: str, rng: Random) -> str:
    """One piece of a section, with one alternative of each of its choices `{a|b}`."""
    return expand(rng.choice(pieces()[section]), rng)


def instruction(rng: Random, task: str, least: int, most: int, role: str | None = None) -> str:
    """An instruction of `least` to `most` words (at least 12 apart) for a task of the grammar, worded by `rng`.

    role: the opening sentence; None draws one of the grammar.
    """
    frame = [draw("role", rng) if role is None else role, draw(f"task {task}", rng) + "."]
    for section, count in (("constraint", 10), ("output", 2), ("closing", 1)):
        frame += [expand(piece, rng) for piece in rng.sample(pieces()[section], count)]
    sizes = [len(piece.split()) for piece in frame]
    goal = rng.randint(least, most)
    kept, words = {1}, sizes[1]
    for place in [0, *rng.sample(range(2, len(frame)), len(frame) - 2)]:
        if words < goal and words + sizes[place] <= most:
            kept.add(place)
            words += sizes[place]
    return " ".join(frame[place] for place in sorted(kept))


def reworded(text: str, rng: Random) -> str:
    """The instruction with its last sentence replaced: the same template in a sender's next edition."""
    return " ".join([*SENTENCE_END.split(text)[:-1], draw("closing", rng)])


def expand(piece: str, rng: Random) -> str:
    """The piece with one alternative of each choice."""
    return _CHOICE.sub(lambda match: rng.choice(match.group(1).split("|")), piece)


def half_expanded(piece: str, openness: float, rng: Random) -> str:
    """The piece with each choice left open with chance `openness` and settled otherwise."""
    return _CHOICE.sub(
        lambda match: match.group() if rng.random() < openness else rng.choice(match.group(1).split("|")), piece
    )
