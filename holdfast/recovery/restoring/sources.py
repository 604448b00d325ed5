"""Functions, configuration and names of secrets brought back to where they were backed up: only what is in trouble, nothing else.

What is replaced is kept, and comes back by a roll-back. A secret that is there is never touched, so there is nothing to undo.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import NotFoundError, SettingsError
from holdfast.recovery.restoring.choice import Choice, how_old
from holdfast.recovery.restoring.looking import is_left_alone, look, verdict_for
from holdfast.recovery.step_type import Outcome
from holdfast.recovery.verdict import CALLED
from holdfast.rolling_back import roll_back
from holdfast.sources import placing
from holdfast.sources.truth import content_entries

if TYPE_CHECKING:
    from holdfast.recovery.restoring.wanted import BackupRestoreParameters
    from holdfast.recovery.step_type import Work
    from holdfast.recovery.verdict import Verdict
    from holdfast.repository import Manifest

Json = dict[str, Any]

_MODES = {"function": "promote", "config": "in_place", "secrets": "new"}
_KINDS = ("file:", "environment:", "backup_config", "recovery_plans", "prefect:")
_TOLD = ("mode", "target", "kept", "files", "functions", "secrets", "created", "amended", "answers", "proven")


def recover_source(work: Work, wanted: BackupRestoreParameters) -> Outcome:
    """Bring back what is in trouble, or all of it where a person forces it."""
    kind = wanted.backup_type
    verdict = verdict_for(work, kind)
    if is_left_alone(work, verdict):
        return Outcome(f"Nothing was brought back; {CALLED[kind]}: {verdict.state}, {verdict.reason}", needed=False)
    choice = Choice(work.world, kind, wanted.backup_id, work.deadline)
    notes: list[str] = []

    def bring(manifest: Manifest) -> Json:
        only, left = _CHOICES[kind](verdict, manifest)
        notes[:] = left
        mode = wanted.mode or ("new" if wanted.target else _MODES[kind])
        done = work.world.restore(kind, manifest.id, work.deadline, mode=mode, only=only, target=wanted.target)
        return done | {"only": only, "seconds": round(time.monotonic() - began, 3)}

    began = time.monotonic()
    manifest, done = choice.bring(bring)
    output = {
        **choice.document(manifest),
        **{name: done[name] for name in _TOLD if done.get(name) is not None},
        "restoreId": done["jobId"],
        "restoreSeconds": done["seconds"],
        "only": done["only"],
        "found": verdict.state,
    }
    return Outcome(
        f"{_what(kind, done)} from {how_old(manifest)}",
        output,
        (*choice.notes, *notes, *done["notes"]),
        needed=_changed(kind, done),
        undo=_undo(kind, done),
    )


def foresee_source(work: Work, wanted: BackupRestoreParameters) -> list[str]:
    """Say what would be done, with which backup."""
    kind = wanted.backup_type
    verdict = work.verdicts.get(kind) or look(work, kind)
    said = [f"{CALLED[kind]}: {verdict.state}; {verdict.reason}"]
    if is_left_alone(work, verdict):
        return [*said, "nothing would be done"]
    choice = Choice(work.world, kind, wanted.backup_id, work.deadline)
    manifest = choice.first()
    only, left = _CHOICES[kind](verdict, manifest)
    what = ", ".join(only) or "all of it"
    said += [*choice.notes, f"{how_old(manifest)}, would be read whole, and used if it is good; else the next older one"]
    ends = {
        "function": "would take the place of what is deployed, which is kept",
        "config": "would be put back in its place where it differs; what it replaces is kept",
        "secrets": "would be made again where the name is missing, with a placeholder for its value",
    }
    return [*said, *left, f"{what} {ends[kind]}"]


def undo_source(work: Work, undo: Json) -> Outcome:
    """Bring back what was kept; where nothing had been, what was brought back is moved aside."""
    if undo["kept"] is not None:
        touched = roll_back(Path(undo["kept"]), work.world.settings)
        return Outcome(f"What was kept in {undo['kept']} is in its place again", {"touched": touched})
    undone = placing.roll_back(Path(undo["target"]), None)
    return Outcome(f"What was brought back is {undone} now", {"touched": [str(undone)]})


def _functions(verdict: Verdict, manifest: Manifest) -> tuple[list[str], list[str]]:
    """Choose functions by their slugs, those of them that the backup has."""
    held = {entry.name.partition("/")[2] for entry in content_entries(manifest)}
    only = [slug for slug in verdict.affected if slug in held]
    unknown = [slug for slug in verdict.affected if slug not in held]
    missing = [f"{slug} is in trouble, and backup {manifest.id} has no such function" for slug in unknown]
    if missing and not only:
        raise NotFoundError(
            f"nothing of what is in trouble is in backup {manifest.id}",
            reason="; ".join(missing),
            next_step="Deploy these functions from where they are written, then run: holdfast backup function",
        )
    return only, missing


def _configuration(verdict: Verdict, manifest: Manifest) -> tuple[list[str], list[str]]:
    """Choose files and settings by their names. A variable of the environment has no place that could be written."""
    del manifest
    named = [one if one.startswith(_KINDS) else f"file:{one}" for one in verdict.affected]
    only = [one for one in named if not one.startswith("environment:")]
    variables = [one for one in named if one.startswith("environment:")]
    left = "holdfast restore latest --type config --target live --mode in_place --env-file FILE"
    why = "a process has its environment from whoever starts it"
    notes = [f"{one} was not put back: {why}; {left} writes it down" for one in variables]
    if variables and not only:
        raise SettingsError(
            "only variables of the environment are in trouble, and those can't be put back by themselves",
            reason=", ".join(variables),
            next_step=f"To write them into a file, run: {left}",
        )
    return only, notes


def _secrets(verdict: Verdict, manifest: Manifest) -> tuple[list[str], list[str]]:
    """Take all: a name that is there is never touched."""
    del verdict, manifest
    return [], []


_CHOICES: dict[str, Callable[[Verdict, Manifest], tuple[list[str], list[str]]]] = {
    "function": _functions,
    "config": _configuration,
    "secrets": _secrets,
}


def _what(kind: str, done: Json) -> str:
    if kind == "secrets":
        return f"{done['secrets']} names of secrets were made again"
    return f"{', '.join(done['only']) or 'All of it'} came back"


def _changed(kind: str, done: Json) -> bool:
    return bool(done["created"] or done["amended"]) if kind == "secrets" else True


def _undo(kind: str, done: Json) -> Json | None:
    """Note what a roll-back needs; what kept nothing in its live places had nothing replaced."""
    if kind == "secrets" or (done["kept"] is None and done["target"] == "live"):
        return None
    return {"kept": done["kept"], "target": done["target"]}
