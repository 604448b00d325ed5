"""Brings functions of a backup back to a Supabase project, as a set: each is bundled first, then all switch at once.

Nothing that runs changes before `switch`. What is replaced is kept on disk before that, and `roll_back` brings it back. Functions
that are not asked for are not sent, and so stay as they are: the service's update of a set leaves alone what is not in it; its
own command line relies on that. Whether it held is looked at afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from holdfast.errors import NotFoundError, RefusedError, SourceFailedError
from holdfast.sources.supabase.answers import FunctionInfo
from holdfast.sources.supabase.client import ManagementApi
from holdfast.sources.supabase.deployable import Deployable, deployables
from holdfast.sources.supabase.previous import Previous

Action = Literal["create", "replace", "same"]


@dataclass(frozen=True, slots=True)
class PlannedFunction:
    """What a redeployment is to do to a function: `same` is deployed again all the same. `version` is of what is there now."""

    slug: str
    action: Action
    version: int | None


class Redeployment:
    """Functions on their way to a project; `keep_in` is a folder that is empty or not there yet, in one that is."""

    def __init__(self, api: ManagementApi, functions: Sequence[Deployable], keep_in: Path) -> None:
        self._api = api
        self._functions = list(functions)
        self._keep_in = keep_in
        self._before: list[FunctionInfo] = []
        self._bundled: list[FunctionInfo] = []

    def preflight(self) -> list[PlannedFunction]:
        """Look at what is there, and change nothing. Raises RefusedError where there is nothing to deploy."""
        if not self._functions:
            raise RefusedError("there is no function to deploy", reason="the backup holds none, or config.toml disables all")
        present = {one.slug: one for one in self._api.functions()}
        return [_planned(function, present.get(function.slug)) for function in self._functions]

    def deploy_each(self) -> None:
        """Keep what is there, then have each function bundled; what runs stays as it is, also where one of them fails."""
        self._before = self._api.functions()
        Previous.keep(self._api, self._before, self._slugs, self._keep_in)
        self._bundled = bundled(self._api, self._functions)

    def switch(self) -> list[FunctionInfo]:
        """Make all of them the live ones, at once. Raises SourceFailedError where the project then is not as it should be."""
        self._api.replace_all(self._bundled)
        now = {one.slug: one for one in self._api.functions()}
        not_taken = [one.slug for one in self._bundled if one.slug not in now or now[one.slug].version < one.version]
        gone = [one.slug for one in self._before if one.slug not in now and one.slug not in self._slugs]
        problems = [f"not switched: {', '.join(not_taken)}"] if not_taken else []
        problems += [f"gone, and not by us: {', '.join(gone)}"] if gone else []
        if problems:
            raise SourceFailedError(
                f"the functions of Supabase project {self._api.project} are not as they should be after the switch",
                reason="; ".join(problems),
                next_step="Look at the project, and deploy those functions from the backup",
            )
        return [now[one.slug] for one in self._bundled]

    def roll_back(self) -> list[str]:
        """Bring back what was there before; see the function of that name."""
        return roll_back(self._api, self._keep_in)

    @property
    def _slugs(self) -> set[str]:
        return {one.slug for one in self._functions}


def roll_back(api: ManagementApi, kept_in: Path) -> list[str]:
    """Bring back the functions that a redeployment kept, and delete those that it made; may be done twice.

    Returns the slugs of all that it touched. Raises SourceFailedError, when all else is done, for what could not be kept.
    """
    previous = Previous.read(kept_in)
    if previous.project != api.project:
        raise RefusedError(f"what was kept is of Supabase project {previous.project}, not of {api.project}")
    functions = deployables(previous.facts, kept_in)
    if functions:
        api.replace_all(bundled(api, functions))
    for slug in previous.absent:
        _delete(api, slug)
    if previous.lost is not None:
        raise previous.lost
    return sorted([*(one.slug for one in functions), *previous.absent])


def bundled(api: ManagementApi, functions: Sequence[Deployable]) -> list[FunctionInfo]:
    """Have each bundled, one after the other: the service takes few requests a minute."""
    return [api.deploy(one.slug, one.metadata(), one.contents()) for one in functions]


def _planned(function: Deployable, present: FunctionInfo | None) -> PlannedFunction:
    if present is None:
        return PlannedFunction(function.slug, "create", None)
    known = function.ezbr_sha256 is not None and function.ezbr_sha256 == present.ezbr_sha256
    same = known and function.verify_jwt == present.verify_jwt
    return PlannedFunction(function.slug, "same" if same else "replace", present.version)


def _delete(api: ManagementApi, slug: str) -> None:
    try:
        api.delete(slug)
    except NotFoundError:  # the switch did not come to it, or an earlier roll-back did
        return
