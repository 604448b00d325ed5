"""Somebody drops a table."""

from __future__ import annotations

from examples.content_pipeline.fault import Fault, Parts, statements

_TABLE = "content.embeddings"


class TableDropped(Fault):
    name = "table-dropped"
    part = "database"
    plan = "database_failure"
    trigger = "database_corruption"
    title = "DROP TABLE"

    def _break(self, parts: Parts) -> str:
        with statements(parts.url) as cursor:
            cursor.execute(f"DROP TABLE {_TABLE}")
        return f"DROP TABLE {_TABLE}"


FAULT = TableDropped()
