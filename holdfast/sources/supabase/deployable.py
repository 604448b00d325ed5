"""Functions as they are sent to a project, made from the files of a restored backup and its facts.

A backup of a Supabase project gives each file its own name back. The service lays what it is sent below a folder `source`, which
is taken off again, or each redeployment would nest one deeper. In a backup of a folder, a function is sent with all that its
imports may reach: its own folder, the shared ones (`_…`), and the files beside them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from holdfast.errors import NotFoundError, SourceFailedError, UnsafePathError
from holdfast.sources.files import shown
from holdfast.sources.stable import read_stably
from holdfast.sources.supabase.multipart import ApiFile
from holdfast.sources.supabase.paths import relative_path
from holdfast.sources.tree import walk

Json = dict[str, Any]
_EACH = "function/"
_MODULES = {".ts", ".js", ".tsx", ".jsx", ".mjs", ".mts", ".json", ".jsonc", ".wasm"}
_OF_THE_SERVICE = "source/"
_ENTRYPOINTS = ("index.ts", "index.js", "index.tsx", "index.jsx", "index.mjs")
_IMPORT_MAPS = (
    "{own}/deno.json",
    "{own}/deno.jsonc",
    "{own}/import_map.json",
    "functions/import_map.json",
    "functions/deno.json",
)


@dataclass(frozen=True, slots=True)
class Deployable:
    """A function to deploy; `files` are where each file that is sent lies on disk; `ezbr_sha256` is the backup's bundle's."""

    slug: str
    entrypoint: str
    import_map: str | None
    verify_jwt: bool
    static_patterns: list[str]
    files: dict[str, Path] = field(repr=False)
    name: str = ""
    ezbr_sha256: str | None = None

    def metadata(self) -> Json:
        """Write what is sent beside the files; `verify_jwt` always, or the service would choose."""
        value: Json = {"name": self.name or self.slug, "entrypoint_path": self.entrypoint, "verify_jwt": self.verify_jwt}
        if self.import_map is not None:
            value["import_map_path"] = self.import_map
        if self.static_patterns:
            value["static_patterns"] = self.static_patterns
        return value

    def contents(self) -> list[ApiFile]:
        """Read the files. Raises NotFoundError, SourceDeniedError, SourceFailedError."""
        return [ApiFile(name, _content(path)) for name, path in sorted(self.files.items())]


def deployables(facts: Mapping[str, Json], folder: Path, slugs: Collection[str] | None = None) -> list[Deployable]:
    """Make the functions of a backup, or those of these slugs, from its restored folder; `facts` are by the names of its parts.

    Functions that config.toml disables are only made where they are asked for. Raises NotFoundError for what is in no part.
    """
    known = {str(value["slug"]): value for name, value in facts.items() if name.startswith(_EACH)}
    for slug in sorted(set(slugs or ()) - set(known)):
        raise NotFoundError(f"the backup has no function {slug!r}", next_step=f"It has {', '.join(sorted(known)) or 'none'}")
    wanted = (
        sorted(slug for slug, value in known.items() if value.get("enabled") is not False)
        if slugs is None
        else sorted(set(slugs))
    )
    return [_made(known[slug], folder) for slug in wanted]


def _made(facts: Json, folder: Path) -> Deployable:
    return _from_project(facts, folder) if "names" in facts else _from_folder(facts, folder)


def _from_project(facts: Json, folder: Path) -> Deployable:
    slug = facts["slug"]
    sent = _sent_names(slug, facts["names"])
    if facts["entrypoint"] is None:
        raise _without_entrypoint(slug, "the service did not give it among the sources when the backup was made")
    return Deployable(
        slug=slug,
        entrypoint=sent[facts["entrypoint"]],
        import_map=sent.get(facts["import_map"]),
        verify_jwt=facts["verify_jwt"],
        static_patterns=_static(sent.values()),
        files={name: _inside(folder, path) for path, name in sent.items()},
        name=facts["supabase"]["name"],
        ezbr_sha256=facts["supabase"]["ezbr_sha256"],
    )


def _sent_names(slug: str, names: Mapping[str, str]) -> dict[str, str]:
    relative = {path: relative_path(name, f"function {slug}") for path, name in names.items()}
    if all(name.startswith(_OF_THE_SERVICE) for name in relative.values()):
        return {path: name.removeprefix(_OF_THE_SERVICE) for path, name in relative.items()}
    return relative


def _static(names: Collection[str]) -> list[str]:
    """The service does not tell which files are static: all are that no module is, as its own editor has it."""
    return sorted(name for name in names if PurePosixPath(name).suffix.lower() not in _MODULES)


def _from_folder(facts: Json, folder: Path) -> Deployable:
    slug = facts["slug"]
    own = f"functions/{slug}"
    files = dict(_reachable(slug, folder))
    entrypoints = [facts.get("entrypoint"), *(f"{own}/{name}" for name in _ENTRYPOINTS)]
    import_maps = [facts.get("import_map"), *(pattern.format(own=own) for pattern in _IMPORT_MAPS)]
    patterns = [_configured(slug, pattern) for pattern in facts.get("static_files") or ()]
    for pattern in patterns:
        files |= _matching(slug, pattern, folder)
    entrypoint = _first(slug, entrypoints, files, folder)
    if entrypoint is None:
        raise _without_entrypoint(slug, f"the backup has neither the one that config.toml names nor {own}/index.ts")
    return Deployable(
        slug=slug,
        entrypoint=entrypoint,
        import_map=_first(slug, import_maps, files, folder),
        verify_jwt=facts.get("verify_jwt") is not False,
        static_patterns=patterns,
        files={path: _inside(folder, path) for path in files},
    )


def _reachable(slug: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield what lies in `functions/` but for the folders of other functions, as nothing tells what is imported from where."""
    root = folder / "functions"

    def leave(path: str) -> bool:
        top = path.split("/", 1)[0]
        return top != slug and not top.startswith("_") and (root / top).is_dir()

    for file in walk(root, leave=leave):
        if (root / file.path).is_file():
            yield f"functions/{file.path}", root / file.path


def _matching(slug: str, pattern: str, folder: Path) -> dict[str, Path]:
    try:
        return {path.relative_to(folder).as_posix(): path for path in folder.glob(pattern) if path.is_file()}
    except ValueError as error:
        raise SourceFailedError(
            f"function {slug} can't be deployed: its static_files have the pattern {pattern!r}", reason=str(error)
        ) from error


def _first(slug: str, paths: list[str | None], files: dict[str, Path], folder: Path) -> str | None:
    """Find the first of some paths that exists, and have it sent, wherever in the folder it is."""
    for told in paths:
        path = _configured(slug, told) if told else ""
        if path and (folder / path).is_file():
            files[path] = folder / path
            return path
    return None


def _configured(slug: str, path: str) -> str:
    return relative_path(path, f"the configuration of function {slug}")


def _inside(folder: Path, path: str) -> Path:
    """Find a file of the folder, through links that stay in it. Raises UnsafePathError for those that don't."""
    found = (folder / path).resolve()
    if not found.is_relative_to(folder.resolve()):
        raise UnsafePathError(f"{shown(path)} is not sent anywhere", reason="it is a link that leads out of the backup")
    return found


def _content(path: Path) -> bytes:
    with read_stably(path) as found:
        return found.content.read()


def _without_entrypoint(slug: str, reason: str) -> SourceFailedError:
    return SourceFailedError(
        f"function {slug} can't be deployed: its entrypoint is missing",
        reason=reason,
        next_step="Deploy the others by their names",
    )
