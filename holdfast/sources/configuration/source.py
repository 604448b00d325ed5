"""The configuration of a host and its working directory: environment variables, files, what the catalog keeps, Prefect's objects.

What looks like a secret is left out, and named. The catalog's and Prefect's part are given as functions that read them.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from holdfast.errors import HoldfastError, RefusedError
from holdfast.repository import BackupType
from holdfast.settings.kinds import working_directory
from holdfast.sources.configuration.environment import NEVER, SUSPECTED, Environment, select
from holdfast.sources.configuration.globs import Matches, match
from holdfast.sources.configuration.inspection import inspect
from holdfast.sources.configuration.never import NeverKept
from holdfast.sources.configuration.places import remember_origin, tar_paths
from holdfast.sources.contract import Content, LeftOut, Part, Source
from holdfast.sources.files import SourceFile, shown
from holdfast.sources.stable import read_stably, unreadable

if TYPE_CHECKING:
    from holdfast.settings import Settings

Json = dict[str, Any]
ENVIRONMENT = Part("environment", "json")
FILES = Part("files", "tar")
BACKUP_CONFIG = Part("backup_config", "json")
RECOVERY_PLANS = Part("recovery_plans", "json")
PREFECT = Part("prefect", "json")

_KEYS_NAMED = 20
_LONGEST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class ConfigurationOptions:
    """What to back up: patterns of files and variables; and the folders that are Holdfast's own, which hold no configuration."""

    working_directory: Path
    files: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    environment_deny: tuple[str, ...] = ()
    include_secrets: bool = False
    never: NeverKept = field(default_factory=NeverKept)
    without: tuple[Path, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> ConfigurationOptions:
        """Take them from the settings."""
        return cls(
            working_directory=working_directory(),
            files=tuple(settings.config_files),
            environment=tuple(settings.config_env),
            environment_deny=tuple(settings.config_env_deny),
            include_secrets=settings.config_include_secrets,
            never=NeverKept.of(settings),
            without=(settings.home, *([settings.storage_path] if settings.storage_path else [])),
        )


class ConfigurationSource(Source):
    """The configuration as it is now; `backup_config`, `recovery_plans` and `prefect` read the catalog and Prefect's objects."""

    type: ClassVar[BackupType] = "config"

    def __init__(
        self,
        options: ConfigurationOptions,
        *,
        backup_config: Callable[[], Json] | None = None,
        recovery_plans: Callable[[], Json] | None = None,
        prefect: Callable[[], Json] | None = None,
    ) -> None:
        self._options = options
        self._documents = {BACKUP_CONFIG: backup_config, RECOVERY_PLANS: recovery_plans, PREFECT: prefect}

    @property
    def description(self) -> Json:
        host, folder = socket.gethostname(), shown(str(self._options.working_directory))
        return {"kind": "configuration", "name": f"{host}:{folder}", "host": host, "working_directory": folder}

    @property
    def readable(self) -> list[Part]:
        """All parts that can be read, those that hold nothing too."""
        return [ENVIRONMENT, FILES, *(part for part, read in self._documents.items() if read is not None)]

    def parts(self) -> list[Part]:
        """Name the parts that hold something; where there are any, also those that only have to say what they left out.

        Recovery plans alone are no configuration: every installation has some.
        """
        environment, files = self._environment(), self._matches()
        documents = [part for part, read in self._documents.items() if read is not None and _holds_something(read)]
        if not (environment.variables or files.paths or set(documents) - {RECOVERY_PLANS}):
            return []
        found = [ENVIRONMENT] if environment.variables or environment.left_out else []
        found += [FILES] if files.paths or files.left_out else []
        return found + documents

    def read(self, part: Part) -> Content:
        if part == ENVIRONMENT:
            found = self._environment()
            return Content(document=found.variables, facts={"secret": found.secret}, left_out=found.left_out)
        if part == FILES:
            return self._files()
        read = self._documents[part]
        return Content(document={} if read is None else read())

    def _environment(self) -> Environment:
        options = self._options
        return select(
            os.environ,
            options.environment,
            options.environment_deny,
            include_secrets=options.include_secrets,
            never=options.never,
        )

    def _matches(self) -> Matches:
        return match(self._options.files, self._options.working_directory, without=self._options.without)

    def _files(self) -> Content:
        """Facts and what was left out are complete once the last file was taken."""
        matches = self._matches()
        facts: Json = {"origins": {}, "origins_base64": {}, "invalid": {}, "secret": {}}
        content = Content(facts=facts, left_out=matches.left_out)
        content.files = self._each(matches.paths, content)
        return content

    def _each(self, paths: list[Path], content: Content) -> Iterator[SourceFile]:
        names = tar_paths(paths, self._options.working_directory.resolve())
        for name, path in sorted(names.items(), key=lambda item: os.fsencode(item[0])):
            try:
                file = _read(name, path)
            except HoldfastError as error:
                content.left_out.append(LeftOut(f"file:{shown(name)}", error.reason or error.message))
                continue
            if self._may_be_kept(file, path, content):
                remember_origin(content.facts, name, path)
                yield file

    def _may_be_kept(self, file: SourceFile, path: Path, content: Content) -> bool:
        """Look into a file, and note what was found."""
        if not isinstance(file.content, bytes):
            return True
        name, options = shown(file.path), self._options
        found = inspect(file.path, file.content, options.never)
        if found.secret:
            content.facts["secret"][name] = found.secret
        if found.never or path in options.never.files:
            content.left_out.append(LeftOut(f"file:{name}", f"{NEVER}: {_some(found.never or ['the key file'])}", withheld=True))
            return False
        if found.secret and not options.include_secrets:
            content.left_out.append(LeftOut(f"file:{name}", f"{SUSPECTED}: {_some(found.secret)}", withheld=True))
            return False
        if found.invalid:
            content.facts["invalid"][name] = found.invalid
        return True


def _read(name: str, path: Path) -> SourceFile:
    """Read a file whole, so that what is looked into is what is stored."""
    try:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            target = os.readlink(path)  # noqa: PTH115  pathlib would tidy the text
            return SourceFile(name, "link", stat.S_IMODE(found.st_mode), found.st_mtime_ns, link_target=target)
    except OSError as error:
        raise unreadable(path, error) from error
    if found.st_size > _LONGEST_BYTES:
        raise RefusedError(
            f"{shown(name)} is not kept", reason=f"it is larger than {_LONGEST_BYTES >> 20} MiB: no configuration is"
        )
    with read_stably(path) as file:
        return SourceFile(name, "file", file.mode, file.modified_ns, content=file.content.read())


def _holds_something(read: Callable[[], Json]) -> bool:
    """Whether there is something to read, or an error to be told when the part is read."""
    try:
        return bool(read())
    except HoldfastError:
        return True


def _some(names: list[str]) -> str:
    more = len(names) - _KEYS_NAMED
    return ", ".join(shown(name) for name in names[:_KEYS_NAMED]) + (f" and {more} more" if more > 0 else "")
