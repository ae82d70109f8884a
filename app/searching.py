"""Related prompts, for analysts."""

from dataclasses import fields

from fastapi import APIRouter, Request

from app.errors import DOCUMENTED
from app.exchange import note
from app.schemas import HitList, SearchRequest
from app.state import Use
from models.search import SearchQuery

router = APIRouter(tags=["search"], responses=DOCUMENTED)


@router.post("/v1/search")
async def search(question: SearchRequest, request: Request, use: Use) -> HitList:
    """Stored prompts nearest to a text, among those that pass every filter given."""
    page = await use.run(use.engine.search, query_of(question))
    note(request, hits=len(page.hits), campaign_id=question.campaign_id, generation=page.generation)
    return HitList.model_validate(page)


def query_of(question: SearchRequest) -> SearchQuery:
    """What is asked of the engine."""
    return SearchQuery(**{field.name: getattr(question, field.name) for field in fields(SearchQuery)})
