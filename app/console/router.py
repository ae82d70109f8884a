"""All pages of the console."""

from typing import Final

from fastapi import APIRouter

from app.console import campaigns, home, search, signing, static

router: Final = APIRouter(include_in_schema=False)
for part in (signing, home, campaigns, search, static):
    router.include_router(part.router)
