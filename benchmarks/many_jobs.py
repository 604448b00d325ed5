"""A catalog with a million backups in it, asked: the guide's functions, what `status` asks, and routes of the HTTP API."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import httpx

from benchmarks.api_load import fill, running_api
from holdfast.backup_types import TYPES
from holdfast.catalog import Catalog
from holdfast.postgres.embedded import EmbeddedServer

ROUNDS = 9
Asked = dict[str, list[float]]
"""Seconds of each round, by what was asked."""


def measure(folder: Path, rows: int) -> Asked:
    """Ask everything in turn, so many times; one round before is not counted."""
    server = EmbeddedServer(folder / "postgres")
    server.start()
    try:
        url = server.create_database("catalog")
        fill(url, rows)
        with Catalog(url) as catalog:
            found = _times(_of_catalog(catalog))
        with running_api(folder, url.without_password()) as (api, token):
            headers = {"Authorization": f"Bearer {token}"}
            with httpx.Client(base_url=api, headers=headers, timeout=60, trust_env=False) as client:
                found |= _times({f"GET {path}": _get(client, path) for path in _PATHS})
    finally:
        server.stop()
    return found


_PATHS = ["/v1/status", "/v1/jobs", "/v1/jobs?type=database&status=failed", "/functions/v1/backup?action=jobs"]


def _of_catalog(catalog: Catalog) -> dict[str, Callable[[], object]]:
    def status() -> None:
        for kind in TYPES:
            catalog.jobs(kind, limit=50)
        catalog.dashboard()
        catalog.open_work()
        catalog.maintenance.open_work()
        catalog.executions.open_work()
        catalog.plans.tests(90)

    return {
        "get_backup_dashboard()": catalog.dashboard,
        "get_backup_statistics(30)": lambda: catalog.backup_statistics(30),
        "get_backup_statistics(365)": lambda: catalog.backup_statistics(365),
        "get_backup_statistics(NULL)": lambda: catalog.backup_statistics(None),
        "get_restore_statistics(30)": lambda: catalog.restore_statistics(30),
        "get_restore_statistics(NULL)": lambda: catalog.restore_statistics(None),
        "all that `holdfast status` asks": status,
    }


def _get(client: httpx.Client, path: str) -> Callable[[], object]:
    return lambda: client.get(path).raise_for_status().content


def _times(questions: dict[str, Callable[[], object]]) -> Asked:
    taken: Asked = {name: [] for name in questions}
    for number in range(ROUNDS + 1):
        for name, ask in questions.items():
            began = time.perf_counter()
            ask()
            if number:
                taken[name].append(time.perf_counter() - began)
    return taken
