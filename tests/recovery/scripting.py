"""Plans of scripted steps: the types of steps in `scripted_types`, found as any other is, by their folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import holdfast.recovery.steps
from holdfast.recovery.plan import Plan, read_plan

FOLDER = Path(__file__).parent / "scripted_types"


@contextmanager
def scripted_types(folder: Path = FOLDER) -> Iterator[None]:
    """Have the types of a folder, too."""
    holdfast.recovery.steps.__path__.append(str(folder))
    try:
        yield
    finally:
        holdfast.recovery.steps.__path__.remove(str(folder))


def step(step_id: str, *after: str, type: str = "scripted", **more: Any) -> dict[str, Any]:  # noqa: A002
    """Describe a step; what is no field of one is a parameter."""
    fields = {name: more.pop(name) for name in ("order", "timeout", "retryCount", "name") if name in more}
    named = {"id": step_id, "name": step_id.capitalize(), "type": type, "order": 0, "timeout": 1, "retryCount": 0}
    return {**named, **fields, "dependencies": list(after), "parameters": more}


def plan(plan_id: str, folder: Path, *steps: dict[str, Any], **more: Any) -> Plan:
    """Read a plan whose steps leave their marks in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    given = [_with_folder(one, folder) for one in steps]
    said = {"id": plan_id, "name": f"The plan {plan_id}", "priority": "high", "estimatedRecoveryTime": 5, "steps": given}
    return read_plan(said | more)


def _with_folder(one: dict[str, Any], folder: Path) -> dict[str, Any]:
    if not one["type"].startswith("scripted") and one["type"] != "mark":
        return one
    return one | {"parameters": {"folder": str(folder), **one["parameters"]}}


def log(folder: Path) -> list[str]:
    """Return the marks that were left, in order."""
    return (folder / "log").read_text().split() if (folder / "log").exists() else []
