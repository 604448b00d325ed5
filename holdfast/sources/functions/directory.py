"""The Edge Functions of a folder in Supabase's layout: `config.toml`, `functions/<slug>/…`, and all that lies beside them.

Each function is a part of its own, and all else is the part `project`, so that nothing is in no part; every path is relative to
the folder itself. Files of secrets are left out and named in the facts: what a backup of functions holds may be shown.
"""

from __future__ import annotations

import os
import posixpath
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from holdfast.errors import HoldfastError, NotFoundError
from holdfast.sources.contract import Content, Json, LeftOut, Part, Source
from holdfast.sources.files import SourceFile, shown
from holdfast.sources.stable import read_stably, unreadable
from holdfast.sources.tree import walk

_PROJECT = "project"
_FUNCTIONS = "functions"
_CONFIG = "config.toml"
_RUBBISH = {".git", ".DS_Store", "Thumbs.db"}
_STATE = {".temp", ".branches"}  # of Supabase's own command line, at the top of the folder
_SIGNING_KEYS = {"signing_key.json", "signing_keys.json"}  # at the top, too
_EXAMPLES = {".env.example", ".env.sample", ".env.template"}


class FunctionDirectory(Source):
    """The functions below one folder, and what they share."""

    type = "function"

    def __init__(self, root: Path) -> None:
        self._root = root.expanduser().absolute()
        self._folders: dict[str, str] = {}

    @property
    def description(self) -> Json:
        return {"kind": "directory", "name": shown(str(self._root))}

    def parts(self) -> list[Part]:
        """Name the parts. Raises NotFoundError, SourceDeniedError."""
        if not self._root.is_dir():
            raise NotFoundError(
                f"there is no folder {shown(str(self._root))}",
                next_step=f"Set BACKUP_FUNCTIONS_PATH to the folder that holds {_CONFIG} and {_FUNCTIONS}/",
            )
        self._folders = {f"function/{_printable(name)}": name for name in self._functions()}
        return [Part(_PROJECT, "tar"), *(Part(name, "tar") for name in self._folders)] if self._folders else []

    def read(self, part: Part) -> Content:
        """Read one part. Raises NotFoundError for a function that was removed since."""
        if not self._folders:
            self.parts()
        settings, problem = self._settings()
        if part.name == _PROJECT:
            apart = {f"{_FUNCTIONS}/{name}" for name in self._folders.values()}
            content = self._content("", apart)
            content.facts["functions"] = [shown(name) for name in self._folders.values()]
            if problem is not None:  # else a function that is open to all would come back closed, and nobody had been told
                content.left_out.append(LeftOut("settings of functions", problem))
        else:
            name = self._folders[part.name]
            content = self._content(f"{_FUNCTIONS}/{name}", set())
            content.facts |= _facts(name, settings.get(name))
        if problem is not None:
            content.facts["config_problem"] = problem
        return content

    def _functions(self) -> list[str]:
        """List the folders that are functions: those that hold something, and are not there for others."""
        place = self._root / _FUNCTIONS
        if place.is_symlink() or not place.is_dir():
            return []
        try:
            names = sorted((entry.name for entry in place.iterdir()), key=os.fsencode)
        except OSError as error:
            raise unreadable(place, error) from error
        return [
            name for name in names if not name.startswith(("_", ".")) and name != "node_modules" and self._holds_something(name)
        ]

    def _holds_something(self, name: str) -> bool:
        place = self._root / _FUNCTIONS / name
        if place.is_symlink() or not place.is_dir():
            return False
        try:
            below = f"{_FUNCTIONS}/{name}"
            return any(file.kind != "folder" for file in walk(self._root, below=below, leave=_is_never_kept))
        except HoldfastError:
            return True  # then reading it tells why it can't be read

    def _content(self, below: str, apart: set[str]) -> Content:
        """Take what is in a folder, but for some that are apart."""
        secrets: list[str] = []
        left_out: list[LeftOut] = []

        def leave(path: str) -> bool:
            if _is_secret(path):
                secrets.append(shown(path))
            return path in apart or _is_never_kept(path)

        files = list(walk(self._root, below=below, leave=leave, left_out=left_out))
        return Content(files, facts={"secret_files_left_out": secrets}, left_out=left_out)

    def _settings(self) -> tuple[Json, str | None]:
        """Read what config.toml says of each function, or why that can't be told; the file itself is kept byte for byte."""
        try:
            with read_stably(self._root / _CONFIG) as file:
                said = tomllib.loads(file.content.read().decode()).get(_FUNCTIONS, {})
        except NotFoundError:
            return {}, None
        except HoldfastError as error:
            return {}, f"{_CONFIG} can't be read: {error.reason}"
        except (ValueError, RecursionError) as error:
            return {}, f"{_CONFIG} is no TOML: {error}"
        return (said, None) if isinstance(said, dict) else ({}, f"{_CONFIG} says nothing of functions that can be understood")


def never_kept(root: Path, *, below: str = "") -> Iterator[SourceFile]:
    """Yield what of such a folder no backup holds, as secrets: a restore that takes the folder's place has to carry it over."""
    for file in walk(root, below=below):
        parts = file.path.split("/")
        if any(_is_never_kept("/".join(parts[:count])) for count in range(1, len(parts) + 1)):
            yield file


def _facts(name: str, said: Any) -> Json:
    """Say of a function what redeploying it needs: paths relative to the folder, and what holds where nothing is said."""
    said = said if isinstance(said, dict) else {}
    static = said.get("static_files")
    return {
        "slug": shown(name),
        "entrypoint": _path(said.get("entrypoint")) or f"{_FUNCTIONS}/{shown(name)}/index.ts",
        "verify_jwt": said.get("verify_jwt") is not False,
        "import_map": _path(said.get("import_map")),
        "static_files": [path for path in map(_path, static) if path] if isinstance(static, list) else [],
        "enabled": said.get("enabled") is not False,
    }


def _path(value: object) -> str | None:
    return posixpath.normpath(value) if isinstance(value, str) and value else None


def _is_never_kept(path: str) -> bool:
    return posixpath.basename(path) in _RUBBISH or path in _STATE or _is_secret(path)


def _is_secret(path: str) -> bool:
    name = posixpath.basename(path)
    is_env = name in (".env", ".envrc") or (name.startswith(".env.") and name not in _EXAMPLES)
    return is_env or path in _SIGNING_KEYS


def _printable(name: str) -> str:
    """Write a folder's name with letters, digits and `._-` only; two names never become one."""
    return quote(os.fsencode(name), safe="").replace("~", "%7E")
