"""Blocks, kept: every prompt that was refused or would have been, to be counted and looked through."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from indexer.database import Database
from indexer.schema import blocks
from indexer.times import microseconds, moment
from models.block import Block, BlockQuery
from models.match import Ground
from models.mode import Mode
from models.storable import storable
from models.view import View


class BlockStore:
    """Part of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, found: Sequence[Block]) -> None:
        """Keeps blocks, all or none; they are on disk on return. Raises Busy if others write for too long."""
        if found:
            with self._database.writing() as connection:
                connection.execute(sa.insert(blocks), [_row(block) for block in found])

    def find(self, query: BlockQuery) -> list[tuple[int, Block]]:
        """The blocks asked for with their numbers, the newest first."""
        chosen = sa.select(blocks).order_by(blocks.c.id.desc()).limit(query.limit)
        if query.campaign_id is not None:
            chosen = chosen.where(blocks.c.campaign_id == storable(query.campaign_id))
        if query.account_id is not None:
            chosen = chosen.where(blocks.c.account_id == storable(query.account_id))
        if query.blocked is not None:
            chosen = chosen.where(blocks.c.blocked == query.blocked)
        if query.since is not None:
            chosen = chosen.where(blocks.c.at_us >= microseconds(query.since))
        if query.until is not None:
            chosen = chosen.where(blocks.c.at_us < microseconds(query.until))
        if query.before is not None:
            chosen = chosen.where(blocks.c.id < query.before)
        return [(row.id, _block(row)) for row in self._database.all(chosen)]


def _row(block: Block) -> dict[str, Any]:
    return {
        "at_us": microseconds(block.at),
        "request_id": block.request_id,
        "asked_by": block.asked_by,
        "campaign_id": block.campaign_id,
        "mode": block.mode.value,
        "blocked": block.blocked,
        "grounds": " ".join(block.grounds),
        "view": block.view.value,
        "similarity": block.similarity,
        "threshold": block.threshold,
        "generation": block.generation,
        "account_id": None if block.account_id is None else storable(block.account_id),
        "model": None if block.model is None else storable(block.model),
    }


def _block(row: sa.Row[Any]) -> Block:
    return Block(
        at=moment(row.at_us),
        request_id=row.request_id,
        asked_by=row.asked_by,
        campaign_id=row.campaign_id,
        mode=Mode(row.mode),
        blocked=row.blocked,
        grounds=tuple(Ground(name) for name in row.grounds.split()),
        view=View(row.view),
        similarity=row.similarity,
        threshold=row.threshold,
        generation=row.generation,
        account_id=row.account_id,
        model=row.model,
    )
