"""The database's server dies, and all of its processes with it; its data stay."""

from __future__ import annotations

from examples.content_pipeline.fault import Fault, Parts
from examples.content_pipeline.server import kill


class DatabaseKilled(Fault):
    name = "database-killed"
    part = "database"
    plan = "database_failure"
    trigger = "database_unavailable"
    title = "kill -9 of the database's server"

    def _break(self, parts: Parts) -> str:
        return f"kill -9 of the {kill(parts.server)} processes of the database's server"


FAULT = DatabaseKilled()
