"""What a serving process holds. A module of its own, as workers are told by its name what to make."""

import os
import socket
import sys
import time
from functools import partial
from pathlib import Path
from typing import Final

from fastapi import FastAPI

from app import logs
from app.console.sessions import session_secret
from app.main import create_app, now_utc
from app.server import Server, nothing
from app.state import Limits, Manner
from app.supervisor import Beat
from app.tracing import Tracing, tracing_of
from indexer.engine import Engine
from indexer.job_records import JobRecords
from indexer.jobs import MAP_JOB, Jobs, map_command, reindex_command
from indexer.settings import Settings
from indexer.threads import settle_for_one
from models.errors import StillwatchError

SWITCH_S: Final = 0.0005  # the event loop waits no longer for the thread that examines prompts; 0.005 by default
SESSION_SECRET: Final = "console.secret"
TOGETHER: Final = "PROMETHEUS_MULTIPROC_DIR"  # the name that prometheus_client knows it by


def work(settings: Settings, remote: bool, opened: socket.socket, beat: Beat) -> None:
    """Serves as one of several workers, in its process, behind the socket that they share. Exit status 1 if it
    cannot.
    """
    logs.configure()

    def live() -> None:
        beat.value = time.monotonic()

    try:
        engine, tracing = Engine.open(settings), tracing_of(os.environ)
        app = application(engine, settings, remote, tracing, Path(os.environ[TOGETHER]))
    except StillwatchError as error:
        sys.exit(f"stillwatch serve: {error}")
    Server(app, opened, started=nothing, beat=live).serve_until_stopped()


def application(
    engine: Engine, settings: Settings, remote: bool, tracing: Tracing, together: Path | None = None
) -> FastAPI:
    """The application as the settings have it, in a process that serves it alone or together with others.

    remote: whether more than this machine can reach it. together: see `Manner`. Raises StorageUnusable if the
    secret of the console's sessions cannot be kept.
    """
    sys.setswitchinterval(SWITCH_S)
    settle_for_one()
    others = {MAP_JOB: map_command(settings.data)}
    jobs = Jobs(JobRecords(settings.jobs), partial(reindex_command, settings.data), now_utc, others)
    manner = Manner(
        limits=Limits(body_bytes=settings.max_body_bytes, prompt_chars=settings.max_prompt_chars),
        mode=settings.mode,
        keys_required=remote,
        remember=settings.remember,
        together=together,
        session_secret=session_secret(settings.data / SESSION_SECRET),
    )
    return create_app(engine, jobs, now_utc, manner, tracing)
