"""All pages of the console."""

from typing import Final

from fastapi import APIRouter

from app.console import accounts, campaigns, home, jobs, prompts, search, signing, static

router: Final = APIRouter(include_in_schema=False)
for part in (signing, home, jobs, campaigns, prompts, accounts, search, static):
    router.include_router(part.router)
