"""Executions as files of the home, written at every change, so that a catalog that is lost with what it protects stops no resume.

A file is replaced whole, and readable by its owner only. The newest stay, for a roll-back; what can't be read counts for nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

from holdfast.errors import WorkFailedError
from holdfast.jobs import checked_job_id
from holdfast.private_file import write_private
from holdfast.recovery.execution import Execution
from holdfast.repository import canonical

KEPT = 100
"""How many executions stay."""

_log = logging.getLogger(__name__)


class Journal:
    """The executions that this home knows of."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "recovery" / "executions"

    def write(self, execution: Execution) -> None:
        """Write down how far an execution is. Raises WorkFailedError."""
        try:
            write_private(self._path(checked_job_id(execution.id)), canonical.to_bytes(execution.document()))
        except OSError as error:
            raise WorkFailedError(f"the record of {execution.id} can't be written", reason=str(error)) from error

    def read(self, execution_id: str) -> Execution | None:
        """Find an execution. Raises SettingsError for what is no id."""
        return _read(self._path(checked_job_id(execution_id)))

    def all(self) -> Iterator[Execution]:
        """Read all, the newest first."""
        yield from (found for path in self._paths() if (found := _read(path)) is not None)

    def of_flow_run(self, flow_run_id: str) -> Execution | None:
        """Find the newest execution of a flow run."""
        return next((one for one in self.all() if one.metadata.get("flowRunId") == flow_run_id), None)

    def forget_old(self) -> None:
        """Delete the files of the oldest executions that have ended."""
        for path in self._paths()[KEPT:]:
            found = _read(path)
            if found is None or found.status != "running":
                path.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        def written_at(path: Path) -> float:
            try:
                return path.stat().st_mtime
            except FileNotFoundError:
                return 0.0

        return sorted(self._folder.glob("*.json"), key=written_at, reverse=True)

    def _path(self, execution_id: str) -> Path:
        return self._folder / f"{execution_id}.json"


def _read(path: Path) -> Execution | None:
    try:
        return Execution.of(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("the record %s can't be read, and counts for nothing: %s", path, error)
        return None
