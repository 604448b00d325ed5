"""Why a database is slow: who waits for whom, what runs for long, and how cache, disk and tables are.

Each question has its own short time, and one that is not answered is named. No statement's text is kept, but for its first word:
the rest may hold anything.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2

from holdfast import figures
from holdfast.postgres.connection import masked
from holdfast.recovery.assessing.connecting import cut_off

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

    from holdfast.postgres.url import DatabaseUrl
    from holdfast.recovery.deadline import Deadline

Json = dict[str, Any]

_STATEMENT_SECONDS = 3
_CUT_OFF_AFTER_SECONDS = 10.0

_WHO = """a.pid, a.usename::text AS "user", left(a.application_name, 60) AS application, a.state,
  upper((regexp_match(a.query, '^\\s*([a-zA-Z]+)'))[1]) AS command"""
_QUESTIONS = {
    "waiting": f"""
SELECT {_WHO}, round(extract(epoch FROM clock_timestamp() - a.query_start))::int AS seconds,
  pg_blocking_pids(a.pid) AS "blockedBy",
  (SELECT string_agg(DISTINCT coalesce(l.relation::regclass::text, l.locktype), ', ') FROM pg_locks AS l
   WHERE l.pid = a.pid AND NOT l.granted) AS "for"
FROM pg_stat_activity AS a WHERE a.wait_event_type = 'Lock' ORDER BY a.query_start LIMIT 10""",  # noqa: S608  nothing from outside is in these
    "blocking": f"""
SELECT {_WHO}, round(extract(epoch FROM clock_timestamp() - a.xact_start))::int AS "transactionSeconds"
FROM pg_stat_activity AS a WHERE a.pid IN (
  SELECT unnest(pg_blocking_pids(w.pid)) FROM pg_stat_activity AS w WHERE w.wait_event_type = 'Lock')
ORDER BY a.xact_start LIMIT 10""",  # noqa: S608
    "longTransactions": f"""
SELECT {_WHO}, round(extract(epoch FROM clock_timestamp() - a.xact_start))::int AS seconds
FROM pg_stat_activity AS a WHERE a.xact_start < clock_timestamp() - interval '1 minute' AND a.pid <> pg_backend_pid()
ORDER BY a.xact_start LIMIT 5""",  # noqa: S608
    "exclusiveLocks": """
SELECT l.relation::regclass::text AS relation, l.pid FROM pg_locks AS l
WHERE l.mode = 'AccessExclusiveLock' AND l.granted AND l.locktype = 'relation' AND l.relation >= 16384
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 10""",
    "connections": """
SELECT count(*) AS used, current_setting('max_connections')::int AS most, count(*) FILTER (WHERE a.state = 'active') AS active,
  count(*) FILTER (WHERE a.state LIKE 'idle in transaction%') AS "idleInTransaction"
FROM pg_stat_activity AS a WHERE a.backend_type = 'client backend'""",
    "activity": """
SELECT round((100.0 * blks_hit / nullif(blks_hit + blks_read, 0))::numeric, 1)::float AS "cacheHitPercent",
  temp_files AS "temporaryFiles", temp_bytes AS "temporaryBytes", deadlocks
FROM pg_stat_database WHERE datname = current_database()""",
    "bloat": """
SELECT schemaname || '.' || relname AS "table", n_live_tup AS "liveRows", n_dead_tup AS "deadRows",
  to_char(greatest(last_vacuum, last_autovacuum) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS "lastVacuum"
FROM pg_stat_user_tables WHERE n_dead_tup > 1000 AND n_dead_tup > n_live_tup * 0.2 ORDER BY n_dead_tup DESC LIMIT 5""",
    "replicationSlots": """
SELECT slot_name::text AS slot, active, pg_wal_lsn_diff(
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, restart_lsn)::bigint AS "heldBytes"
FROM pg_replication_slots ORDER BY 3 DESC NULLS LAST LIMIT 5""",
    "size": "SELECT pg_database_size(current_database()) AS bytes",
}
_ONE_ROW = frozenset({"connections", "activity", "size"})
_DATA_FOLDER = "SELECT current_setting('data_directory')"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def gather_evidence(connection: Connection, url: DatabaseUrl, deadline: Deadline) -> Json:
    """Ask the server all that may tell why it is slow; what it does not answer is under `notGathered`."""
    found: Json = {}
    missing: Json = {}
    for name, question in _QUESTIONS.items():
        if deadline.seconds_left < 1:
            missing[name] = "there was no time for it"
            continue
        try:
            rows = _ask(connection, question)
        except psycopg2.Error as error:
            missing[name] = masked(str(error).strip().partition("\n")[0], url)
            if connection.closed:
                break
            continue
        found[name] = rows[0] if name in _ONE_ROW and rows else rows
    if disk := _disk(connection, url):
        found["disk"] = disk
    else:
        missing["disk"] = "the server's disk can't be seen from here"
    return found | {"notGathered": missing}


def in_words(evidence: Json) -> Iterator[str]:
    """Say what of the evidence stands out, a sentence each."""
    for one in evidence.get("waiting", []):
        waited = figures.duration(one["seconds"])
        yield f"session {_who(one)} has waited {waited} for {one['for']}, behind {_pids(one['blockedBy'])}"
    for one in evidence.get("blocking", []):
        yield f"session {_who(one)} holds others up; its transaction is {figures.duration(one['transactionSeconds'])} old"
    for one in evidence.get("exclusiveLocks", []):
        yield f"session {one['pid']} holds {one['relation']} for itself alone"
    for one in evidence.get("longTransactions", []):
        yield f"the transaction of session {_who(one)} is {figures.duration(one['seconds'])} old ({one['state']})"
    if used := evidence.get("connections"):
        yield f"{used['used']} of {used['most']} connections are in use, {used['idleInTransaction']} idle in a transaction"
    hit = evidence.get("activity", {}).get("cacheHitPercent")
    if hit is not None:
        yield f"{hit:g} % of what is read comes from the cache"
    for one in evidence.get("bloat", []):
        last = one["lastVacuum"] or "never"
        yield f"{one['table']} holds {one['deadRows']} dead rows beside {one['liveRows']}; last vacuumed: {last}"
    for one in evidence.get("replicationSlots", []):
        if not one["active"]:
            yield f"nobody reads the replication slot {one['slot']}, which holds {figures.size(one['heldBytes'])} back"
    if disk := evidence.get("disk"):
        yield f"{figures.size(disk['freeBytes'])} of {figures.size(disk['bytes'])} are free on the server's disk"


def _ask(connection: Connection, question: str) -> list[Json]:
    with connection.cursor() as cursor, cut_off(connection, _STATEMENT_SECONDS + _CUT_OFF_AFTER_SECONDS):
        cursor.execute(f"SET statement_timeout = '{_STATEMENT_SECONDS}s'")
        cursor.execute(question)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _disk(connection: Connection, url: DatabaseUrl) -> Json | None:
    """Look at the disk of the data folder where server and we are on one machine, and we may know where it is."""
    if not (url.host is None or url.host.startswith("/") or url.host in _LOOPBACK) or connection.closed:
        return None
    try:
        folder = Path(_ask(connection, _DATA_FOLDER)[0]["current_setting"])
        usage = shutil.disk_usage(folder)
    except (psycopg2.Error, OSError):
        return None  # said by whoever asked
    return {"bytes": usage.total, "freeBytes": usage.free}


def _who(one: Json) -> str:
    known = [one["user"], one["application"], one["command"]]
    return f"{one['pid']} ({', '.join(str(word) for word in known if word)})"


def _pids(pids: list[int]) -> str:
    return f"session {', '.join(map(str, pids))}" if pids else "nobody that is seen"
