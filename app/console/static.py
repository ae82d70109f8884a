"""The console's style sheet and scripts."""

from pathlib import Path
from typing import Final

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from app.console.pages import FOLDER
from app.console.places import STATIC

router = APIRouter()

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FILES: Final = {
    path.name: (path.read_bytes(), _TYPES[path.suffix])
    for path in sorted(Path(FOLDER, "static").iterdir())
    if path.suffix in _TYPES
}


@router.get(f"{STATIC}{{name}}")
async def static(name: str) -> Response:
    """A file of ours, and no other: they are read once, when the server starts."""
    if name not in _FILES:
        raise HTTPException(404, "there is no such file")
    content, kind = _FILES[name]
    return Response(content, media_type=kind, headers={"cache-control": "max-age=300"})
