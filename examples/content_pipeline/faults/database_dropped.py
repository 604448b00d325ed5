"""Somebody drops the database; its server runs on."""

from __future__ import annotations

from examples.content_pipeline.fault import Fault, Parts, statements
from holdfast.postgres.connection import quote_identifier


class DatabaseDropped(Fault):
    name = "database-dropped"
    part = "database"
    plan = "database_failure"
    trigger = "database_unavailable"
    title = "DROP DATABASE"

    def _break(self, parts: Parts) -> str:
        with statements(parts.url.maintenance()) as cursor:
            cursor.execute(f"DROP DATABASE {quote_identifier(parts.database)} WITH (FORCE)")
        return f"DROP DATABASE {parts.database} WITH (FORCE)"


FAULT = DatabaseDropped()
