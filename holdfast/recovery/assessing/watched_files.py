"""The files in which no secret's value may stand: those that the settings name, configuration, and the files of functions.

The places of secrets themselves are none of them, and neither is a configuration file that its newest backup knows to hold one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError
from holdfast.recovery.assessing.reference import newest_reference
from holdfast.settings.kinds import working_directory
from holdfast.sources.configuration.globs import match
from holdfast.sources.configuration.places import origins_of
from holdfast.sources.configuration.source import FILES
from holdfast.sources.files import shown
from holdfast.sources.functions.directory import never_kept
from holdfast.sources.tree import walk
from holdfast.sources.truth import read_truth

if TYPE_CHECKING:
    from holdfast.recovery.world import World

_NOT_OURS = frozenset({".git", "node_modules"})
Named = list[tuple[Path, str]]


def logs(world: World) -> Named:
    """List the files of BACKUP_LEAK_FILES."""
    return _matching(world, world.settings.leak_files, _places_of_secrets(world))


def sources(world: World) -> Named:
    """List the files of the configuration and of the functions."""
    kept = _places_of_secrets(world) | _known_to_hold_secrets(world)
    return _matching(world, world.settings.config_files, kept) + [
        (path, name) for path, name in _of_functions(world) if path.resolve() not in kept
    ]


def _matching(world: World, patterns: list[str], without: set[Path]) -> Named:
    settings = world.settings
    ours = [settings.home, *([settings.storage_path] if settings.storage_path else [])]
    found = match(patterns, working_directory(), without=ours).paths if patterns else []
    return [(path, shown(str(path))) for path in found if path.is_file() and path.resolve() not in without]


def _of_functions(world: World) -> Iterator[tuple[Path, str]]:
    root = world.settings.functions_path
    if root is None or not root.is_dir():
        return
    try:
        secret = {file.path for file in never_kept(root)}
        files = [file for file in walk(root, leave=_is_not_ours, left_out=[]) if file.kind == "file" and file.path not in secret]
    except HoldfastError:
        return  # what the functions are is another subject's
    yield from ((root / file.path, shown(str(root / file.path))) for file in files)


def _is_not_ours(path: str) -> bool:
    return path.rpartition("/")[2] in _NOT_OURS


def _places_of_secrets(world: World) -> set[Path]:
    settings = world.settings
    return {path.resolve() for path in (settings.secrets_env_file, settings.encryption_key_file) if path is not None}


def _known_to_hold_secrets(world: World) -> set[Path]:
    """Name the configuration files in which the newest good backup has already seen a secret: finding it there is no news."""
    reference = newest_reference(world, "config")
    if isinstance(reference, str):
        return set()
    try:
        truth = read_truth(reference.repository, reference.manifest)
    except HoldfastError:
        return set()
    facts = truth.parts[FILES.name].facts if FILES.name in truth.parts else {}
    origins = origins_of(facts)
    known = {origins.get(name, name) for name in facts.get("secret", {})}
    known |= {one.name.removeprefix("file:") for one in truth.left_out if one.withheld}
    return {(working_directory() / name).resolve() for name in known}
