"""A Supabase project as its Management API shows it: deployed functions, bundles that wait for a switch, and secrets."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
_IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["']([^"']+)["']""")
_MODULES = (".ts", ".js", ".tsx", ".jsx", ".mjs")


class RefusedError(Exception):
    """An answer other than success: its status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(slots=True)
class Deployed:
    """A version of a function: what the API tells of it, the files as they were sent, and the metadata sent with them."""

    info: Json
    files: dict[str, bytes]
    metadata: Json


@dataclass(slots=True)
class Project:
    """State of a project; `on_switch` is called with all functions after each change of what runs."""

    ref: str
    on_switch: Callable[[dict[str, Deployed]], None] | None = None
    functions: dict[str, Deployed] = field(default_factory=dict)
    secrets: dict[str, tuple[str, str]] = field(default_factory=dict)
    without_source: set[str] = field(default_factory=set)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _bundles: dict[tuple[str, int], Deployed] = field(default_factory=dict)

    def deploy(self, slug: str, metadata: Json, files: dict[str, bytes], *, bundle_only: bool) -> Json:
        """Bundle a function as its next version, and make that the live one unless `bundle_only`."""
        with self.lock:
            _require_bundles(metadata, files)
            before = self.functions.get(slug)
            info = self._next(slug, metadata, files, before.info if before else None)
            self._bundles[info["id"], info["version"]] = Deployed(info, files, metadata)
            if not bundle_only:
                self.replace([{key: value for key, value in info.items() if value is not None}])
            return info

    def _next(self, slug: str, metadata: Json, files: dict[str, bytes], before: Json | None) -> Json:
        now = int(time.time() * 1000)
        function_id = before["id"] if before else str(uuid.uuid4())
        version = before["version"] + 1 if before else 1
        root = f"file:///tmp/user_fn_{self.ref}_{function_id}_{version}/source/"
        import_map = metadata.get("import_map_path")
        digest = hashlib.sha256(repr((metadata["entrypoint_path"], import_map, sorted(files.items()))).encode()).hexdigest()
        return {
            "id": function_id,
            "slug": slug,
            "name": metadata.get("name", slug),
            "status": "ACTIVE",
            "version": version,
            "created_at": before["created_at"] if before else now,
            "updated_at": now,
            "verify_jwt": metadata.get("verify_jwt", True),
            "import_map": bool(import_map),
            "entrypoint_path": root + metadata["entrypoint_path"],
            "import_map_path": root + import_map if import_map else None,
            "ezbr_sha256": digest,
        }

    def replace(self, infos: list[Json]) -> None:
        """Create or replace these functions, all or none; others stay. Versions are taken as they are sent."""
        with self.lock:
            new = {}
            for info in infos:
                bundle = self._bundles.get((info.get("id", ""), info.get("version", 0)))
                if bundle is None or not {"id", "slug", "name", "status", "version"} <= info.keys() or None in info.values():
                    raise RefusedError(400, "body: expected functions that were bundled")
                changed = {**bundle.info, **info, "updated_at": int(time.time() * 1000)}
                new[info["slug"]] = Deployed(changed, bundle.files, bundle.metadata)
            self.functions |= new
            self._switched()

    def delete(self, slug: str) -> None:
        with self.lock:
            if self.functions.pop(slug, None) is None:
                raise RefusedError(404, "Function not found")
            self._switched()

    def _switched(self) -> None:
        if self.on_switch is not None:
            self.on_switch(dict(self.functions))


def _require_bundles(metadata: Json, files: dict[str, bytes]) -> None:
    """Refuse what a bundler would: a missing entrypoint, import map or module."""
    entrypoint, import_map = metadata.get("entrypoint_path"), metadata.get("import_map_path")
    if entrypoint not in files:
        raise RefusedError(400, f"Entrypoint path does not exist - {entrypoint}")
    if import_map and import_map not in files:
        raise RefusedError(400, f"Import map path does not exist - {import_map}")
    try:
        mapped = json.loads(files[import_map]).get("imports", {}) if import_map else {}
    except ValueError:
        raise RefusedError(400, "Failed to bundle the function (reason: import map is no JSON)") from None
    waiting, seen = [str(entrypoint)], set()
    while waiting:
        path = waiting.pop()
        if path not in files:
            raise RefusedError(400, f'Failed to bundle the function (reason: Module not found "{path}")')
        if path not in seen and path.endswith(_MODULES):
            waiting += [
                found for name in _IMPORT.findall(files[path].decode()) if (found := _resolved(name, path, mapped, import_map))
            ]
        seen.add(path)


def _resolved(name: str, importer: str, mapped: dict[str, str], import_map: str | None) -> str | None:
    for key in sorted(mapped, key=len, reverse=True):
        if name == key or (key.endswith("/") and name.startswith(key)):
            name, importer = mapped[key] + name[len(key) :], str(import_map)
            break
    if not name.startswith("."):
        return None  # of the network
    return posixpath.normpath(posixpath.join(posixpath.dirname(importer), name))
