"""All events as columns: what the stages after the store compute on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


_CODED: Final = ("account", "unit", "model", "payment", "network")


@dataclass(frozen=True, slots=True)
class Names:
    """Strings coded as integers: code i stands for `values[i]`; -1 in a column means "not given"."""

    values: tuple[str, ...]

    def name(self, code: int) -> str | None:
        """The string of a code, None for -1."""
        return None if code < 0 else self.values[code]


@dataclass(frozen=True, slots=True)
class EventTable:
    """n events in the order of their sequence numbers; every column has shape (n,) and dtype int64.

    sequence: position of the event in the store, > 0, strictly increasing.
    prompt: prompt_id of the store. account, unit, model, payment, network: codes into the names beside.
    unit: the unit of spread (`models.event.unit_of`); all accounts of an organisation share one.
    timestamp, created_at: seconds since 1970 UTC; created_at is -1 where not given.
    disguised: 1 where letters were dressed up, else 0; -1 where that is not known.
    """

    sequence: IntArray
    prompt: IntArray
    account: IntArray
    unit: IntArray
    timestamp: IntArray
    created_at: IntArray
    model: IntArray
    payment: IntArray
    network: IntArray
    disguised: IntArray
    account_names: Names
    unit_names: Names
    model_names: Names
    payment_names: Names
    network_names: Names

    def __len__(self) -> int:
        return len(self.sequence)


NAMES: Final = tuple(f"{column}_names" for column in _CODED)
COLUMNS: Final = tuple(each.name for each in fields(EventTable) if each.name not in NAMES)


def recoded(events: EventTable, known: Mapping[str, Sequence[str]]) -> EventTable:
    """The same events with the codes that `known` has, by the names of NAMES; its names come first, and those that
    it lacks behind them.
    """
    changed: dict[str, Any] = {}
    for column, names in zip(_CODED, NAMES, strict=True):
        values = getattr(events, names).values
        code_of = {name: code for code, name in enumerate(dict.fromkeys([*known[names], *values]))}
        codes = np.array([*map(code_of.__getitem__, values), -1], np.int64)  # which -1, not given, reads
        changed |= {column: codes[getattr(events, column)], names: Names(tuple(code_of))}
    return replace(events, **changed)
