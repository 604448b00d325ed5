"""A game day: the sample is really broken, and watched until it has come back by itself, with what that took and what is lost.

Everything lies in a folder of its own, `<home>/game-day`, which the day empties first and nothing else may share. Backups are
made, work goes on for a while, and then the fault comes: nothing but the health monitor, the event and the plan's automation see
to it. A person is asked only where a plan asks for one; that is the day's to answer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from cli.demo_home import DemoHome
from cli.demo_sample import Sample, set_up
from cli.fault_recovery import Recovery, first_change
from cli.returned import Sighting, returned, sight_of
from examples.content_pipeline.fault import Fault, Part, statements
from examples.content_pipeline.faults import faults
from examples.content_pipeline.generate import change
from holdfast.errors import NotFoundError
from holdfast.opening import open_catalog
from holdfast.recovery.execution import APPROVAL, Execution
from holdfast.settings import load_settings

if TYPE_CHECKING:
    from holdfast.catalog import Catalog

MEGABYTES = 12
WATCHED = {"BACKUP_MONITOR_INTERVAL": "0.25", "BACKUP_PROBE_WAIT": "1"}
"""The settings by which the sample is watched as closely as that may be: a look every 15 seconds."""
_WORK_PERCENT = 1.0
_LIMIT_SECONDS = 300.0
_LOOK_SECONDS = 0.3
_MOST_EXECUTIONS = 10

Tell = Callable[[str], None]
Begin = Callable[[Fault], object]


class GameDay:
    """A sample with everything that protects it, at work: breaks it, and watches how it comes back."""

    def __init__(self, home: DemoHome, sample: Sample, catalog: Catalog, tell: Tell) -> None:
        self.home = home
        self.sample = sample
        self._catalog = catalog
        self._tell = tell
        self._backed_up: dict[Part, Sighting] = {}

    def back_up(self) -> None:
        """Back up everything."""
        self.home.holdfast("backup", "all")
        parts: tuple[Part, ...] = get_args(Part)
        self._backed_up = {part: sight_of(part, self.sample) for part in parts}

    def meet_each(self, faults: Sequence[Fault]) -> list[Recovery]:
        """Break the sample in these ways, one after the other; where one is not back, no other follows."""
        found: list[Recovery] = []
        for fault in faults:
            found += self.meet(fault)
            if not found[-1].ok:
                break
        return found

    def meet(self, *faults: Fault, begin: Begin | None = None) -> list[Recovery]:
        """Break the sample in these ways at once, and watch it until all is back, or until nothing more can be hoped for.

        `begin` starts a recovery by hand, right after the faults; without it the health monitor has to find them.
        """
        before = {fault.name: self._work(fault) for fault in faults}
        found = [self._broken(fault, *before[fault.name]) for fault in faults]
        if begin is not None:
            for fault in faults:
                begin(fault)
        end = time.monotonic() + _LIMIT_SECONDS
        while not all(one.has_ended for one in found) and time.monotonic() < end:
            found = [one if one.has_ended else self._looked(one) for one in found]
            time.sleep(_LOOK_SECONDS)
        return found

    def _work(self, fault: Fault) -> tuple[Sighting, Sighting]:
        """Have a backup of what is about to be broken, and let work go on; return what is in the backup, and what is last.

        What was written is on the disk then: a server that is killed at once must lose none of it.
        """
        backed_up = sight_of(fault.part, self.sample)
        if backed_up != self._backed_up.get(fault.part):
            self.home.holdfast("backup", fault.part)
            self._backed_up[fault.part] = backed_up
        if fault.part != "database":
            return backed_up, backed_up
        change(self.sample.url, percent_appended=_WORK_PERCENT)
        with statements(self.sample.url) as cursor:
            cursor.execute("CHECKPOINT")
        return backed_up, sight_of(fault.part, self.sample)

    def _broken(self, fault: Fault, backed_up: Sighting, last: Sighting) -> Recovery:
        at = datetime.now(UTC)
        done = fault.do(self.sample.parts)
        self._tell(f"{fault.name}: {done}")
        return Recovery(fault, done, at, backed_up, last)

    def _looked(self, found: Recovery) -> Recovery:
        """Look how far it is, agree where somebody has to, and compare once something was changed."""
        found = replace(found, execution=self._execution_for(found))
        execution = found.execution
        if execution is not None and execution.waiting_for == APPROVAL and found.approved_at is None:
            self._tell(f"{found.fault.name}: {execution.plan_id} asks for a person's approval, and gets it")
            self.home.holdfast("recover", "--approve", execution.id)
            found = replace(found, approved_at=datetime.now(UTC))
        if found.has_changed and found.recovered_at is None:
            at = datetime.now(UTC)
            now = returned(found.fault.part, self.sample, backed_up=found.backed_up, last=found.last)
            found = replace(found, returned=now, recovered_at=at if now.amiss is None else None)
        if found.has_ended:
            self._tell(f"{found.fault.name}: {'all is back' if found.ok else found.why_not}")
        return found

    def _execution_for(self, found: Recovery) -> Execution | None:
        """Find the execution that sees to it: the first that changed something, else the newest."""
        newest_first = self._catalog.executions.list(found.fault.plan, since=found.broken_at, limit=_MOST_EXECUTIONS)
        changed = [one for one in newest_first if first_change(one) is not None]
        return next(iter([*reversed(changed), *newest_first]), None)


def chosen(names: Sequence[str]) -> list[Fault]:
    """Find faults by their names, or all of them by `all`. Raises NotFoundError."""
    known = faults()
    if "all" in names:
        return in_turns(list(known.values()))
    for name in names:
        if name not in known:
            raise NotFoundError(f"there is no fault {name!r}", next_step=f"The faults are: all, {', '.join(known)}")
    return [known[name] for name in names]


def in_turns(found: Sequence[Fault]) -> list[Fault]:
    """Order faults so that parts take turns: the monitor has to see a part well before it tells of it again."""
    waiting = list(found)
    ordered: list[Fault] = []
    while waiting:
        last = ordered[-1].part if ordered else None
        parts = [one.part for one in waiting]
        following = min(waiting, key=lambda one: (one.part == last, -parts.count(one.part)))
        waiting.remove(following)
        ordered.append(following)
    return ordered


def home_of_game_days() -> DemoHome:
    """Name the folder of game days in this home."""
    return DemoHome(Path(os.environ.get("HOLDFAST_HOME") or ".holdfast").absolute() / "game-day", "drill --fault")


@contextmanager
def game_day(home: DemoHome, tell: Tell, megabytes: int = MEGABYTES) -> Iterator[GameDay]:
    """Build a sample with all that protects it, lend it, and stop all of it. Raises RefusedError where the folder is not ours."""
    try:
        home.prepare()
        with ExitStack() as running:
            sample = running.enter_context(Sample(home.folder / "content-pipeline", home=home.home))
            tell(f"Building a content pipeline of {megabytes} MB of rows in {home.folder}")
            set_up(home, sample, megabytes, lambda: sample.recovering | sample.calling | WATCHED)
            sample.add_service(home)
            tell("Starting 'holdfast serve', whose health monitor looks every 15 seconds; backing up everything")
            home.serve()
            running.enter_context(home.in_force())
            day = GameDay(home, sample, running.enter_context(closing(open_catalog(load_settings()))), tell)
            day.back_up()
            yield day
    finally:
        if home.is_ours:
            home.stop()
