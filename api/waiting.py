"""Wait for jobs to end, for whoever asks with `wait`: one question to the catalog twice a second for all who wait, and no thread
for any of them. When the process is being stopped all are answered at once, with how things are then.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from starlette.concurrency import run_in_threadpool

from api.action import Action, Asked, Json, perform
from api.parts import Parts
from api.stopping import Stopping
from holdfast.errors import HoldfastError

OPEN = ("pending", "running")
LONGEST_SECONDS = 60
_LOOK_SECONDS = 0.5
_log = logging.getLogger(__name__)


class Waiting:
    """The jobs that somebody waits for in one event loop."""

    def __init__(self, parts: Parts, stopping: Stopping) -> None:
        self._parts = parts
        self._stopping = stopping
        self._waited_for: dict[str, int] = {}
        self._ended: set[str] = set()
        self._looker: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()

    async def for_job(self, job_id: str, seconds: float) -> None:
        """Wait until a job has ended, for so long at most."""
        until = time.monotonic() + seconds
        self._waited_for[job_id] = self._waited_for.get(job_id, 0) + 1
        try:
            while (left := until - time.monotonic()) > 0 and not self._stopping.has_begun and job_id not in self._ended:
                await self._next_look(left)
        finally:
            self._leave(job_id)

    def _leave(self, job_id: str) -> None:
        self._waited_for[job_id] -= 1
        if not self._waited_for[job_id]:
            del self._waited_for[job_id]
            self._ended.discard(job_id)

    async def _next_look(self, seconds: float) -> None:
        if self._looker is None or self._looker.done():
            self._looked = asyncio.Event()
            self._looker = asyncio.create_task(self._look())
        looked = self._looked
        try:
            async with asyncio.timeout(seconds):
                await looked.wait()
        except TimeoutError:
            return

    async def _look(self) -> None:
        try:
            await asyncio.sleep(_LOOK_SECONDS)
            self._ended |= await run_in_threadpool(self._ended_of, list(self._waited_for)) & self._waited_for.keys()
        finally:
            self._looked.set()

    def _ended_of(self, job_ids: list[str]) -> set[str]:
        try:
            with self._parts.catalog() as catalog:
                return catalog.ended(job_ids)
        except HoldfastError as error:
            _log.warning("whether jobs have ended can't be known now: %s", error.what_and_why)
            return set()


async def answered(action: Action[Any], asked: Asked[Any], waiting: Waiting) -> Json:
    """Carry an action out that only looks; where it shows a job that goes on, and was asked to wait, look again when it ended."""
    answer = await run_in_threadpool(perform, action, asked)
    seconds = getattr(asked.said, "wait", 0)
    if not seconds or answer.get("status") not in OPEN:
        return answer
    await waiting.for_job(str(answer["jobId"]), seconds)
    return await run_in_threadpool(perform, action, asked)
