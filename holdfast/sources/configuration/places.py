"""Where the files of a backup lay, how they are called in it, and where they are put: at their own places, or below a root."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from holdfast.errors import UnsafePathError
from holdfast.sources.files import shown

DOCUMENTS = "_holdfast"
_OUTSIDE = "_outside"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Places:
    """The absolute path of each file, by its path in the backup."""

    origins: dict[str, str]

    @classmethod
    def of(cls, facts: Json) -> Places:
        """Take them from what is known of the files of a backup."""
        return cls(origins_of(facts))

    def path_of(self, name: str) -> str:
        """Tell a file's path in the backup, where a person may have named the place where it lay."""
        if name in self.origins:
            return name
        return next((path for path, origin in self.origins.items() if origin == name), name)

    def place_of(self, path: str, root: Path | None) -> Path:
        """Tell where a file is to be put. Raises UnsafePathError for what is no place, or would leave the root."""
        origin = self.origins.get(path, "")
        if not origin.startswith("/") or os.path.normpath(origin) != origin or "\0" in origin:
            raise UnsafePathError(f"{shown(path)} can't be restored", reason="the backup does not say where it lay")
        if root is None:
            return Path(origin)
        place = root / origin.lstrip("/")
        if not place.parent.resolve().is_relative_to(root.resolve()):
            raise UnsafePathError(f"{shown(str(place))} would leave {root}", reason="a link leads out of there")
        return place


def tar_paths(paths: list[Path], folder: Path) -> dict[str, Path]:
    """Name files as a backup does: relative to the folder, else as absolute without the first `/`.

    Where that would not be a name of its own, or one of ours, a file goes below a folder for such.
    """
    named: dict[str, Path] = {}
    others: list[tuple[str, Path]] = []
    for path in paths:
        name = str(path.relative_to(folder)) if path.is_relative_to(folder) else ""
        if name and not _is_ours(name):
            named[name] = path
        else:
            others.append((str(path).lstrip("/"), path))
    folders = {str(parent) for name in named for parent in PurePosixPath(name).parents}
    for name, path in others:
        clashes = name in folders or any(str(one) in named for one in (PurePosixPath(name), *PurePosixPath(name).parents))
        named[f"{_OUTSIDE}/{name}" if clashes or _is_ours(name) or path.is_relative_to(folder) else name] = path
    return named


def _is_ours(name: str) -> bool:
    return name.partition("/")[0] in (DOCUMENTS, _OUTSIDE)


def remember_origin(facts: Json, name: str, path: Path) -> None:
    """Write down where a file lay; names that are no UTF-8 in base64."""
    try:
        f"{name}{path}".encode()
    except UnicodeEncodeError:
        facts["origins_base64"][_base64(name)] = _base64(str(path))
    else:
        facts["origins"][name] = str(path)


def origins_of(facts: Json) -> dict[str, str]:
    """Read what `remember_origin` wrote: where each file lay, by its path in the backup."""
    odd = facts.get("origins_base64", {}).items()
    return dict(facts.get("origins", {})) | {_from_base64(name): _from_base64(path) for name, path in odd}


def _base64(text: str) -> str:
    return base64.b64encode(os.fsencode(text)).decode("ascii")


def _from_base64(text: str) -> str:
    return os.fsdecode(base64.b64decode(text, validate=True))
