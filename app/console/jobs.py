"""Jobs: those that run, with how far they are, and the last that ended."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from fastapi import APIRouter, Response

from app.console.places import HOME
from app.console.visit import Visit, Visiting, go_to
from app.exchange import note
from app.operations import JobId
from indexer.jobs import MAP_JOB, Jobs
from models.job import Job
from models.key import Role

router = APIRouter(prefix=f"{HOME}/jobs")

_ENDED_SHOWN: Final = 3


@router.get("")
async def jobs(visit: Visiting) -> Response:
    """The part of a page that tells of them, which a script asks for again and again."""
    found = await visit.use.look(recent_jobs, visit.use.jobs)
    return await visit.page("jobs.html", jobs=found, now=visit.use.clock())


@router.post("")
async def start(visit: Visiting) -> Response:
    """Starts a reindex."""
    await _start(visit, partial(visit.use.jobs.start, False))
    return go_to(HOME)


@router.post("/map")
async def draw_map(visit: Visiting) -> Response:
    """Starts to draw the map."""
    await _start(visit, partial(visit.use.jobs.start_other, MAP_JOB))
    return go_to(f"{HOME}/map")


@router.post("/{job_id}/cancel")
async def cancel(visit: Visiting, job_id: JobId) -> Response:
    """Stops a job; what it has done is kept."""
    await visit.form()
    visit.require(Role.ADMIN)
    note(visit.request, job_id=job_id)
    await visit.use.look(visit.use.jobs.cancel, job_id)
    return go_to(HOME)


async def _start(visit: Visit, start: Callable[[], Job]) -> None:
    """Starts a job for an admin whose form is one of ours."""
    await visit.form()
    visit.require(Role.ADMIN)
    job = await visit.run(start)
    note(visit.request, job_id=job.job_id)


def recent_jobs(jobs: Jobs) -> Sequence[Job]:
    """Those that run, and the last that ended."""
    found = jobs.recent()
    running = [each for each in found if not each.state.is_final]
    return [*running, *[each for each in found if each.state.is_final][:_ENDED_SHOWN]]
