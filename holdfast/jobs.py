"""The names of jobs: one id is used in the repository, the catalog, Prefect's run names and on the terminal."""

from __future__ import annotations

import re
import secrets
import time

from holdfast.errors import SettingsError

_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")


def new_job_id(kind: str) -> str:
    """Make an id such as `backup_1764014136_9f2c1a`: kind, Unix time in seconds, six random hex digits."""
    return f"{kind}_{int(time.time())}_{secrets.token_hex(3)}"


def checked_job_id(job_id: str) -> str:
    """Return the id when it is safe as a part of an object name. Raises SettingsError."""
    if not _JOB_ID.fullmatch(job_id):
        raise SettingsError(
            f"{job_id!r} is not a job id",
            reason="it may hold letters, digits, '_' and '-' only, 200 at most",
            next_step="'holdfast list' shows the ids",
        )
    return job_id
