"""What a page tells of what people did: who saw or took out what, and why."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from app.state import Engine
from models.act import Act, ActKind

_MOST: Final = 100


@dataclass(frozen=True, slots=True)
class Acts:
    """shown: the newest first. are_all: whether there are no older ones."""

    shown: tuple[Act, ...]
    are_all: bool


def acts_about(engine: Engine, subjects: Collection[str], named: Collection[str] = ()) -> Acts:
    """The last 100 acts about any of these subjects, and the last 100 by which accounts of `named` campaigns were
    taken out by their own names, which no number of others may push aside.
    """
    about = engine.acts(*subjects, most=_MOST + 1)
    taken_out = engine.acts(*named, kind=ActKind.EXPORT_NAMES, most=_MOST + 1)
    shown = dict.fromkeys([*about[:_MOST], *taken_out[:_MOST]])
    newest_first = sorted(shown, key=lambda each: each.at, reverse=True)
    return Acts(tuple(newest_first), max(len(about), len(taken_out)) <= _MOST)
