"""Which campaign each event was put into, as rows and as a file."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from indexer import layout
from indexer.feedback import labels_given, level_of
from indexer.generation import Generation
from indexer.published import Published
from indexer.store import Store
from indexer.times import moment_of_seconds
from models.errors import BadSettings

_FIELDS: "Final[list[pa.Field[Any]]]" = [  # quoted: pyarrow's classes cannot be subscripted at run time
    pa.field("event_id", pa.string()),
    pa.field("account_id", pa.string()),
    pa.field("timestamp", pa.timestamp("s", tz="UTC")),
    pa.field("campaign_id", pa.string()),
    pa.field("level", pa.string()),
]
_SCHEMA: Final = pa.schema(_FIELDS)
_BATCH: Final = 50_000


def assignments(generation: Generation, store: Store, now: datetime) -> Iterator[dict[str, Any]]:
    """A row for each event the generation covers, in the order of arrival: event_id, account_id, timestamp,
    campaign_id and level (both None for no campaign). The level is the one that counts `now`, labels heeded.
    """
    events = store.event_table(generation.manifest.watermark)
    published = Published.of(generation)
    campaigns = published.campaigns
    labels = labels_given(store.verdicts, campaigns, published.traffic.sent_by, now)
    levels = [level_of(each, labels) for each in campaigns]
    prompt_ids = np.asarray(generation.array(layout.PROMPT_IDS), np.int64)
    order = np.argsort(prompt_ids)
    group = np.asarray(generation.array(layout.GROUP), np.int64)[order]
    number = group[np.searchsorted(prompt_ids[order], events.prompt)] if len(prompt_ids) else events.prompt
    ids = (pair for batch in store.event_ids(generation.manifest.watermark) for pair in batch)
    for place, (_, event_id) in enumerate(ids):
        campaign = campaigns[number[place]] if number[place] >= 0 else None
        yield {
            "event_id": event_id,
            "account_id": events.account_names.values[events.account[place]],
            "timestamp": moment_of_seconds(events.timestamp[place]),
            "campaign_id": campaign.campaign_id if campaign else None,
            "level": str(levels[number[place]]) if campaign else None,
        }


def write_assignments(rows: Iterator[dict[str, Any]], out: Path) -> int:
    """Writes rows to a .parquet or .jsonl file and gives their number. Raises BadSettings for other names."""
    if out.suffix == ".jsonl":
        return _write_lines(rows, out)
    if out.suffix == ".parquet":
        return _write_parquet(rows, out)
    raise BadSettings(f"cannot export to {out.name}: its name must end in .parquet or .jsonl")


def _write_lines(rows: Iterator[dict[str, Any]], out: Path) -> int:
    count = 0
    with out.open("wb") as file:
        for row in rows:
            file.write(msgspec.json.encode(row) + b"\n")
            count += 1
    return count


def _write_parquet(rows: Iterator[dict[str, Any]], out: Path) -> int:
    count = 0
    with pq.ParquetWriter(out, _SCHEMA) as writer:
        while batch := list(islice(rows, _BATCH)):
            writer.write_table(pa.Table.from_pylist(batch, schema=_SCHEMA))
            count += len(batch)
    return count
