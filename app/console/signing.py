"""Signing in and out."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.console.places import HOME, SIGN_IN, local
from app.console.visit import Visiting, go_to
from app.exchange import note
from models.key import Role

router = APIRouter()


@router.get(SIGN_IN)
async def ask(visit: Visiting, goal: Annotated[str, Query(alias="next", max_length=2000)] = HOME) -> Response:
    """The form that asks for a key."""
    return await visit.page("sign_in.html", goal=local(goal), problem="")


@router.post(SIGN_IN)
async def sign_in(visit: Visiting) -> Response:
    """Takes a key of an analyst or admin, in exchange for a session's cookie."""
    form, now = await visit.form(), visit.use.clock()
    goal = local(form.get("next", HOME))
    key = visit.use.engine.keys().find(form.get("key", "").strip(), now)
    if key is None or key.role.rank < Role.ANALYST.rank:
        note(visit.request, key_id=key.key_id if key else "")
        problem = (
            "This key is of role gateway; the console needs an analyst's." if key else "This key is not valid."
        )
        return await visit.page("sign_in.html", 403, goal=goal, problem=problem)
    note(visit.request, key_id=key.key_id)
    answer = go_to(goal)
    visit.keep(answer, visit.use.sessions.begin(key.key_id, now))
    return answer


@router.post(f"{HOME}/sign-out")
async def sign_out(visit: Visiting) -> Response:
    """Ends the session in this browser."""
    await visit.form()
    answer = go_to(SIGN_IN)
    visit.keep(answer, visit.use.sessions.begin("", visit.use.clock()))
    return answer
