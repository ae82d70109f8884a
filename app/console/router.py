"""All pages of the console."""

from typing import Final

from fastapi import APIRouter

from app.console import (
    accounts,
    campaigns,
    exports,
    home,
    jobs,
    lab,
    map,
    prompts,
    search,
    shared,
    signing,
    static,
)

router: Final = APIRouter(include_in_schema=False)
for part in (signing, home, jobs, campaigns, prompts, lab, accounts, exports, map, search, shared, static):
    router.include_router(part.router)
