"""The Edge Functions of a Supabase project, read by its Management API.

Each function is a part of its own: its files below `functions/<slug>/`, under the paths that the service gives, made relative.
Its facts keep what a redeployment needs: `entrypoint` and `import_map` as paths in the tar, `verify_jwt`, under `names` the
service's own name of each file, and under `supabase` all that the service tells of it. The part `functions` lists all functions.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from holdfast.errors import SourceUnreachableError
from holdfast.sources.contract import Content, LeftOut, Part, Source
from holdfast.sources.files import SourceFile
from holdfast.sources.supabase.answers import FunctionInfo
from holdfast.sources.supabase.client import ManagementApi
from holdfast.sources.supabase.multipart import FunctionBody
from holdfast.sources.supabase.paths import relative_path, without_address

Json = dict[str, Any]
LIST = "functions"
_EACH = "function/"
_TRIES = 3
_FILE_MODE, _FOLDER_MODE = 0o644, 0o755


class SupabaseFunctions(Source):
    """The functions of one project; closes the API with itself."""

    type = "function"

    def __init__(self, api: ManagementApi) -> None:
        self._api = api
        self._listed: dict[str, FunctionInfo] = {}

    @property
    def description(self) -> Json:
        return {"kind": "supabase", "name": self._api.project, "address": self._api.address}

    def parts(self) -> list[Part]:
        self._listed = {one.slug: one for one in self._api.functions()}
        if not self._listed:
            return []
        return [Part(LIST, "json"), *(Part(_EACH + slug, "tar") for slug in self._listed)]

    def read(self, part: Part) -> Content:
        """Read a part. Raises NotFoundError for a function that was deleted since it was listed."""
        if part.name == LIST:
            return Content(document={"functions": [one.to_json() for one in self._listed.values()]})
        return content_of(*self._one_version(part.name.removeprefix(_EACH)))

    def close(self) -> None:
        self._api.close()

    def _one_version(self, slug: str) -> tuple[FunctionInfo, FunctionBody]:
        """Read the sources of a function with what is known of the same version: it may be deployed anew meanwhile."""
        before = self._listed[slug]
        for _ in range(_TRIES):
            body = self._api.body(slug)
            after = self._api.function(slug)
            if (after.id, after.version, after.updated_at) == (before.id, before.version, before.updated_at):
                return after, body
            before = after
        raise SourceUnreachableError(
            f"could not read function {slug} of Supabase project {self._api.project} whole",
            reason=f"it was deployed anew while it was read, {_TRIES} times",
        )


def content_of(info: FunctionInfo, body: FunctionBody) -> Content:
    """Make the content of a function's part: files, facts, and a mention where its entrypoint or import map is not among them."""
    where = f"function {info.slug}"
    names = {f"functions/{info.slug}/{relative_path(file.name, where)}": file.name for file in body.files}
    contents = dict(zip(names, (file.content for file in body.files), strict=True))
    entrypoint = _among(names, info.slug, body.metadata.get("deno2_entrypoint_path"), info.entrypoint_path, "index.ts")
    import_map = _among(names, info.slug, info.import_map_path) or _alone(names, info.import_map_path)
    facts: Json = {
        "slug": info.slug,
        "entrypoint": entrypoint,
        "import_map": import_map,
        "verify_jwt": info.verify_jwt,
        "static_files": [],
        "names": names,
        "supabase": info.to_json(),
    }
    files = [SourceFile(path, "folder", _FOLDER_MODE, info.modified_ns) for path in _folders(names, info.slug)]
    files += [SourceFile(path, "file", _FILE_MODE, info.modified_ns, content) for path, content in contents.items()]
    missing = ["entrypoint"] * (entrypoint is None) + ["import map"] * (import_map is None and info.import_map)
    left_out = [LeftOut(f"{what} of {where}", "the service did not give it among the sources") for what in missing]
    return Content(files=sorted(files, key=lambda file: file.path.encode()), facts=facts, left_out=left_out)


def _folders(paths: dict[str, str], slug: str) -> set[str]:
    root = PurePosixPath("functions")
    above = {parent for path in paths for parent in PurePosixPath(path).parents if root in parent.parents}
    return {str(parent) for parent in above} | {f"functions/{slug}"}


def _among(paths: dict[str, str], slug: str, *told: object) -> str | None:
    """Find the file that the service means. It tells where a file lay when it was bundled, such as
    `file:///tmp/user_fn_…/source/index.ts`, so the longest path that ends the same is it.
    """
    for one in told:
        wanted = f"/{without_address(one)}" if isinstance(one, str) else ""
        found = [path for path in paths if wanted.endswith("/" + path.removeprefix(f"functions/{slug}/"))]
        if found:
            return max(found, key=len)
    return None


def _alone(paths: dict[str, str], told: str | None) -> str | None:
    """Find the only file of that name: the service may have cut folders off its files that it still tells."""
    name = PurePosixPath(without_address(told or "")).name
    found = [path for path in paths if name and PurePosixPath(path).name == name]
    return found[0] if len(found) == 1 else None
