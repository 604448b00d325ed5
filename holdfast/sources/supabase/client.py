"""The Management API of one Supabase project: what of it is used here, each endpoint a method.

Paths, fields and codes are those of Supabase's published API description and of its own command line. Updating a set of functions
creates or replaces the functions that are sent and leaves all others alone; the service takes versions as they are sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from pydantic import SecretStr

from holdfast.errors import SourceFailedError
from holdfast.sources.supabase.address import project_ref
from holdfast.sources.supabase.answers import FunctionInfo, SecretDigest, items, secret_digest
from holdfast.sources.supabase.answers import slug as checked_slug
from holdfast.sources.supabase.multipart import ApiFile, FunctionBody, read_body
from holdfast.sources.supabase.transport import Call, Transport
from holdfast.storage.retrying import RetryPolicy

Json = dict[str, Any]
DEFAULT_TIMEOUT_SECONDS = 60.0
_READ, _WRITE = "edge_functions_read", "edge_functions_write"
_READ_SECRETS, _WRITE_SECRETS = "edge_functions_secrets_read", "edge_functions_secrets_write"


class ManagementApi:
    """One project; several threads may use it at once. Raises SettingsError for an address that would show the token to others.

    All methods raise SourceDeniedError, NotFoundError, SourceFailedError, SourceUnreachableError.
    """

    def __init__(
        self,
        base_url: str,
        project: str,
        token: SecretStr,
        *,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        policy: RetryPolicy | None = None,
    ) -> None:
        self.project = project_ref(project)
        self._transport = Transport(base_url, token, timeout_seconds=timeout_seconds, policy=policy or RetryPolicy())
        self.address = str(self._transport.address)

    def __repr__(self) -> str:
        return f"ManagementApi({self.address!r}, {self.project!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def functions(self) -> list[FunctionInfo]:
        """List the deployed functions, by slug. Raises UnsafePathError for a slug that is none, too."""
        call = self._call("GET", "/functions", "list the functions", _READ)
        found = [FunctionInfo.from_json(one, call.what) for one in items(self._transport.send(call).json(), call.what)]
        return sorted((one for one in found if one.status != "REMOVED"), key=lambda one: one.slug)

    def function(self, slug: str) -> FunctionInfo:
        """Look one function up."""
        call = self._call("GET", f"/functions/{checked_slug(slug)}", f"look up function {slug}", _READ)
        return FunctionInfo.from_json(self._transport.send(call).json(), call.what)

    def body(self, slug: str) -> FunctionBody:
        """Read the source files of a function. Raises UnsafePathError for a file that would leave its folder."""
        call = self._call("GET", f"/functions/{checked_slug(slug)}/body", f"read the sources of function {slug}", _READ)
        answer = self._transport.send(call, headers={"Accept": "multipart/form-data"})
        if not answer.content_type.lower().startswith("multipart/"):
            raise self._without_source(slug, f"the service answered {answer.content_type or 'without a type'}")
        body = read_body(answer.content_type, answer.content, f"function {slug} of Supabase project {self.project}")
        if not body.files:
            raise self._without_source(slug, "the service gave no files")
        return body

    def deploy(
        self, slug: str, metadata: Mapping[str, Any], files: Sequence[ApiFile], *, bundle_only: bool = True
    ) -> FunctionInfo:
        """Have a function bundled from its sources; with `bundle_only` nothing changes until `replace_all` has the result."""
        call = self._call("POST", "/functions/deploy", f"deploy function {checked_slug(slug)}", _WRITE, repeatable=bundle_only)
        answer = self._transport.send(
            call,
            params={"slug": slug, "bundleOnly": "true" if bundle_only else "false"},
            data={"metadata": json.dumps(dict(metadata))},
            files=[("file", (file.name, file.content, "application/octet-stream")) for file in files],
        )
        return FunctionInfo.from_json(answer.json(), call.what)

    def replace_all(self, results: Iterable[FunctionInfo]) -> None:
        """Make a set of functions the live ones, all at once."""
        call = self._call("PUT", "/functions", "switch the functions", _WRITE)
        self._transport.send(call, json=[one.for_switch() for one in results])

    def delete(self, slug: str) -> None:
        """Delete a function."""
        self._transport.send(self._call("DELETE", f"/functions/{checked_slug(slug)}", f"delete function {slug}", _WRITE))

    def secrets(self) -> list[SecretDigest]:
        """List the secrets, by name; `value` is the service's digest of a value."""
        call = self._call("GET", "/secrets", "list the secrets", _READ_SECRETS)
        found = [secret_digest(one, call.what) for one in items(self._transport.send(call).json(), call.what)]
        return sorted(found, key=lambda one: one["name"])

    def set_secrets(self, secrets: Iterable[Mapping[str, str]]) -> None:
        """Create or replace secrets, each with `name` and `value`; no error quotes the service, which may quote a value."""
        call = self._call("POST", "/secrets", "set secrets", _WRITE_SECRETS, quotable=False)
        self._transport.send(call, json=[{"name": one["name"], "value": one["value"]} for one in secrets])

    def delete_secrets(self, names: Iterable[str]) -> None:
        """Delete secrets by name."""
        self._transport.send(self._call("DELETE", "/secrets", "delete secrets", _WRITE_SECRETS), json=list(names))

    def _call(self, method: str, path: str, what: str, right: str, *, repeatable: bool = True, quotable: bool = True) -> Call:
        whole = f"{what} of Supabase project {self.project}"
        return Call(method, f"/v1/projects/{self.project}{path}", whole, right, repeatable, quotable)

    def _without_source(self, slug: str, reason: str) -> SourceFailedError:
        return SourceFailedError(
            f"function {slug} of Supabase project {self.project} has no source to back up",
            reason=reason,
            next_step="Deploy it again from its sources; a bundle alone, as old command lines sent, can't be read back",
        )
