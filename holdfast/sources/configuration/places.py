"""Where the files of a backup lay, and where they are to be put: at their own places, or at the same below another root."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import UnsafePathError
from holdfast.sources.configuration.source import origins_of
from holdfast.sources.files import shown


@dataclass(frozen=True, slots=True)
class Places:
    """The absolute path of each file, by its path in the backup."""

    origins: dict[str, str]

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Places:
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
