"""The step type `config_update`: one value of the configuration becomes another, and what reads it is restarted.

What was there is noted first, in the home and in the record, and an undo puts it back. Where a service does not come up with the
new value, the former one is put back at once. In a drill a scratch copy is changed and read again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from holdfast.errors import HoldfastError
from holdfast.private_file import write_private
from holdfast.recovery.outside import Rule, chosen
from holdfast.recovery.outside import services as services_from_outside
from holdfast.recovery.plan import Step
from holdfast.recovery.restarting import EVERY, SERVICES, notes_of, opened, restart_all, spelled_out
from holdfast.recovery.scratch import scratch_folder
from holdfast.recovery.step_type import Outcome, Parameters, StepType, Work
from holdfast.recovery.updating import place_of, problems_of, why_not_from_outside
from holdfast.recovery.updating.place import Place
from holdfast.sources.placing import write_errors

Json = dict[str, Any]
_NOTE = "config_update.json"


class ConfigUpdateParameters(Parameters):
    """Which value, and what it becomes."""

    config_key: str = Field(min_length=1, max_length=1000)
    """A setting by the guide's name, `environment:NAME`, or `file:PATH#a.b.c`."""
    config_value: Any
    restart_required: bool = False
    services: tuple[str, ...] = ()
    """What is restarted then; none named: all."""

    @property
    def restarted(self) -> tuple[str, ...]:
        """Name the services that are restarted."""
        return (self.services or (EVERY,)) if self.restart_required else ()


def _key_from_outside(key: str, parameters: ConfigUpdateParameters) -> str | None:
    return why_not_from_outside(key, parameters.config_value)


class ConfigUpdate(StepType[ConfigUpdateParameters]):
    """Changes one value of the configuration."""

    name = "config_update"
    minutes = (5, 20)
    parameters = ConfigUpdateParameters
    outside: ClassVar[Mapping[str, Rule]] = {
        "config_key": _key_from_outside,
        "config_value": chosen,  # what it may be is the key's to say
        "restart_required": chosen,
        "services": services_from_outside,
    }

    def problems(self, step: Step) -> Iterator[str]:
        yield from super().problems(step)
        key = step.parameters.get("configKey")
        if isinstance(key, str):
            yield from (f"parameters.{problem}" for problem in problems_of(key, step.parameters.get("configValue")))

    def touches(self, parameters: ConfigUpdateParameters) -> frozenset[str]:
        return frozenset({"config", SERVICES} if parameters.restart_required else {"config"})

    def foresee(self, work: Work, parameters: ConfigUpdateParameters) -> list[str]:
        place, value = place_of(parameters.config_key, work.world.settings), parameters.config_value
        there = place.now()
        if place.same(there, value):
            return [f"change nothing: {place.key} is {_shown(value)} already"]
        restarts = [one.foresee() for one in _services(work, parameters)]
        return [f"change {place.key} from {_shown(there)} to {_shown(value)}", *restarts]

    def run(self, work: Work, parameters: ConfigUpdateParameters) -> Outcome:
        place = place_of(parameters.config_key, work.world.settings)
        if work.is_drill:
            return _rehearsed(work, place, parameters)
        services = _services(work, parameters)
        kept = _Kept(work.world.settings.home / "kept" / work.execution_id / work.step.id)
        there, note = place.now(), kept.read()
        same = place.same(there, parameters.config_value)
        if note is None and same:
            return Outcome(f"{place.key} is {_shown(there)} already", {"configKey": place.key}, needed=False)
        if not same:
            work.deadline.require()
            note = note or kept.written({"former": there})
            place.put(parameters.config_value, kept.folder)
        note = {**(note or {}), "noted": place.noted(kept.folder), "folder": str(kept.folder)}
        try:
            done = restart_all(services, work, force=False, wait=True)
        except HoldfastError as error:
            raise _put_back(error, place, note, kept) from error
        output = {"configKey": place.key, "former": note["former"], "services": [one.document() for one in done]}
        summary = f"{place.key} was {_shown(note['former'])} and is {_shown(parameters.config_value)}"
        return Outcome(summary, output, notes_of(done), undo=note)

    def undo(self, work: Work, parameters: ConfigUpdateParameters, undo: Json) -> Outcome:
        place = place_of(parameters.config_key, work.world.settings)
        services = _services(work, parameters)
        if place.now() != undo["former"]:
            place.undo(undo["former"], undo["noted"])
        _Kept(Path(undo["folder"])).forget()
        done = restart_all(services, work, force=False, wait=True)
        output = {"configKey": place.key, "services": [one.document() for one in done]}
        return Outcome(f"{place.key} is {_shown(undo['former'])} again", output, notes_of(done))


class _Kept:
    """What a step notes in the home, so that a second attempt knows what was there before the first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self) -> Json | None:
        """Read it; None where nothing was noted yet."""
        try:
            note: Json = json.loads((self.folder / _NOTE).read_text("utf-8"))
        except FileNotFoundError:
            return None
        return note

    def written(self, note: Json) -> Json:
        """Keep a note for good, and return it."""
        with write_errors(self.folder, "written to"):
            write_private(self.folder / _NOTE, json.dumps(note).encode())
        return note

    def forget(self) -> None:
        (self.folder / _NOTE).unlink(missing_ok=True)


def _services(work: Work, parameters: ConfigUpdateParameters) -> list[Any]:
    """Find what is restarted, before anything is changed."""
    return opened(spelled_out(parameters.restarted, work), work)


def _rehearsed(work: Work, place: Place, parameters: ConfigUpdateParameters) -> Outcome:
    there = place.now()
    with scratch_folder(work.world.settings) as folder:
        place.rehearse(parameters.config_value, folder)
    done = restart_all(_services(work, parameters), work, force=False, wait=True)
    output = {"configKey": place.key, "services": [one.document() for one in done]}
    summary = f"{place.key} is {_shown(there)} and could become {_shown(parameters.config_value)}"
    return Outcome(summary, output, notes_of(done))


def _put_back(error: HoldfastError, place: Place, note: Json, kept: _Kept) -> HoldfastError:
    """Put the former value back, for a service did not come up with the new one; say what could not be."""
    try:
        place.undo(note["former"], note["noted"])
    except HoldfastError as further:
        back = (
            f"the new value stays, for it could not be put back: {further.what_and_why}; what was there is kept in {kept.folder}"
        )
    else:
        kept.forget()
        back = f"{place.key} was put back to {_shown(note['former'])}; what was restarted before that runs with the new value"
    reason = "\n".join(part for part in (error.reason, back) if part)
    return type(error)(error.message, reason=reason, next_step=error.next_step)


def _shown(value: Any) -> str:
    text = "not set" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:199]}…"


TYPE = ConfigUpdate()
