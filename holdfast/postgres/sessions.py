"""Who is connected to a database: whoever replaces it disconnects them, so they are named."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from holdfast.postgres.connection import DatabaseUrl, connect_to_server, database_errors

_CONNECTED = """
SELECT coalesce(usename, '?')::text, coalesce(application_name, ''), coalesce(client_addr::text, 'local'), count(*)
FROM pg_stat_activity
WHERE datname = %s AND pid <> pg_backend_pid() AND backend_type = 'client backend'
GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3
"""


def connected(url: DatabaseUrl) -> list[dict[str, Any]]:
    """List who is connected: `user`, `application`, `client`, and the `count` of such sessions. Raises what `connect` raises."""
    with closing(connect_to_server(url)) as connection, database_errors(url, "listing sessions"), connection.cursor() as cursor:
        cursor.execute(_CONNECTED, (url.database,))
        return [
            {"user": user, "application": application, "client": client, "count": count}
            for user, application, client, count in cursor.fetchall()
        ]
