"""What a browser is given to keep: files, and tables as CSV or Parquet."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import IO, Any, Final

from fastapi import Response
from fastapi.responses import StreamingResponse

from app.console.visit import Visit
from indexer.tables import Kind, write_csv, write_parquet
from models.search import SearchHit

PROMPT_COLUMNS: Final = {
    "fingerprint": Kind.TEXT,
    "campaign_id": Kind.TEXT,
    "system": Kind.TEXT,
    "prompt": Kind.TEXT,
    "events": Kind.COUNT,
    "accounts": Kind.COUNT,
    "first_seen": Kind.TIME,
    "last_seen": Kind.TIME,
}
_CHUNK: Final = 1 << 16


async def table(visit: Visit, name: str, rows: Iterator[Sequence[Any]], columns: Mapping[str, Kind]) -> Response:
    """Rows as a file to keep, CSV or Parquet by its name; it is written aside first, so that a fault is told as
    one.
    """
    write = write_parquet if name.endswith(".parquet") else write_csv
    kind = "application/vnd.apache.parquet" if name.endswith(".parquet") else "text/csv; charset=utf-8"
    with ExitStack() as opened:
        file = opened.enter_context(TemporaryFile())
        await visit.run(write, rows, columns, file)
        opened.pop_all()  # closed when all of it is sent
    return StreamingResponse(_read(file), headers=_headers(name), media_type=kind)


def prompt_rows(hits: Iterator[SearchHit]) -> Iterator[Sequence[Any]]:
    """Rows of PROMPT_COLUMNS."""
    for hit in hits:
        yield (
            hit.fingerprint,
            hit.campaign_id,
            hit.system,
            hit.text,
            hit.events,
            hit.accounts,
            hit.first_seen,
            hit.last_seen,
        )


def download(content: bytes, name: str, kind: str) -> Response:
    """A file of a media type."""
    return Response(content, headers=_headers(name), media_type=kind)


def _headers(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}


def _read(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while chunk := file.read(_CHUNK):
            yield chunk
