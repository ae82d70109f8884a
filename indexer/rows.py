"""Rows of event files, looked into or not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from indexer.jsonline import json_object


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file: exactly one of values and problem is set.

    line: line it starts on, from 1; for Parquet the row's position, from 1.
    problem: what is wrong with it; a short fixed text, then ": " and the values seen if there are any.
    raw: the row as it stands in the file, without its line end; for Parquet as JSON; of a line over the limit
        how it begins.
    """

    line: int
    values: Mapping[str, Any] | None
    problem: str | None
    raw: bytes


class Line(NamedTuple):
    """A line of JSON Lines that nobody has looked into, which may be left to another process. line: from 1."""

    line: int
    raw: bytes


def row_of(line: Line) -> Row:
    """The line, looked into."""
    values, problem = json_object(line.raw)
    return Row(line.line, values, problem, line.raw)
