"""Running the service: reindexing, jobs, health, metrics."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from app.errors import BUSY, DOCUMENTED, NOT_FOUND, error_answer
from app.exchange import note
from app.metrics import CONTENT_TYPE
from app.schemas import Alive, JobAnswer, Ready, ReindexRequest, StatusAnswer
from app.state import Use
from models.status import Health

router = APIRouter(tags=["operations"], responses=DOCUMENTED)

JobId = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9-]+$", examples=["job-0123456789ab"])]

_NOT_READY_CODES = {Health.NOT_READY: "INDEX-NOT-LOADED", Health.STALE: "INDEX-STALE"}


@router.post("/v1/reindex", status_code=202, responses=BUSY)
async def reindex(
    request: Request, response: Response, use: Use, question: ReindexRequest | None = None
) -> JobAnswer:
    """Start a reindex in the background; the Location header says where to follow it."""
    job = await use.run(use.jobs.start, question.full if question else False)
    response.headers["location"] = f"/v1/jobs/{job.job_id}"
    note(request, job_id=job.job_id)
    return JobAnswer.model_validate(job)


@router.get("/v1/jobs/{job_id}", responses=NOT_FOUND)
async def job(job_id: JobId, use: Use) -> JobAnswer:
    """How far a job is, or how it ended. The last 100 are kept."""
    return JobAnswer.model_validate(await use.look(use.jobs.get, job_id))


@router.post("/v1/jobs/{job_id}/cancel", status_code=202, responses=NOT_FOUND)
async def cancel(job_id: JobId, request: Request, use: Use) -> JobAnswer:
    """Stop a job; follow it to see it end. What it has done is kept, and the next reindex goes on there."""
    note(request, job_id=job_id)
    return JobAnswer.model_validate(await use.look(use.jobs.cancel, job_id))


@router.get("/v1/status")
async def status(use: Use) -> StatusAnswer:
    """Generation, age, counts, encoder, health."""
    return StatusAnswer.model_validate(await use.look(use.engine.status))


@router.get("/livez")
async def alive() -> Alive:
    """Whether the process answers at all. Says nothing about what it can answer."""
    return Alive()


@router.get("/readyz", response_model=Ready)
async def ready(request: Request, use: Use) -> Ready | Response:
    """Whether to send traffic here: 503 with INDEX-NOT-LOADED without a generation, INDEX-STALE if it is old."""
    now = await use.look(use.engine.status)
    if now.health in _NOT_READY_CODES:
        return error_answer(request, 503, _NOT_READY_CODES[now.health], now.detail or f"the index is {now.health}")
    return Ready(generation=now.generation, health=now.health)


@router.get("/metrics", response_class=Response, responses={200: {"content": {CONTENT_TYPE: {}}}})
async def metrics(use: Use) -> Response:
    """Counters in the Prometheus text format."""
    text = await use.look(lambda: use.metrics.render(use.engine.status()))
    return Response(text, media_type=CONTENT_TYPE)
