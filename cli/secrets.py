"""`holdfast secrets …`: what backups know of secrets, how that differs from now, and new values. No value is ever shown.

Prefect is needed only where a provider is Prefect's own, or a block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import figures, logs, output, progress
from cli.app import Commands
from cli.audited import audited
from cli.replicas import FromReplica, opened
from cli.session import repository_settings, settings
from holdfast.errors import HoldfastError, NotFoundError, SettingsError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from holdfast.repository import Manifest, Repository
    from holdfast.settings import Settings
    from holdfast.sources.secrets.contract import Rotation, SecretProvider, SecretRecord
    from holdfast.sources.secrets.diff import SecretsDiff
    from holdfast.sources.secrets.kept import KeptSecrets

commands = Commands("What is known of secrets, never their values.", no_args_is_help=True)

Backup = Annotated[str, typer.Argument(metavar="BACKUP|latest", help="A backup of secrets; 'holdfast list' shows them.")]


@commands.command()
def diff(backup: Backup = "latest", source: FromReplica = None) -> None:
    """Compare the secrets with a backup: which are missing, changed or new since.

    Values are compared by digests under the repository's key. Every provider is told, and the exit code is that of the worst.
    """
    from holdfast.sources.secrets.diff import secrets_diff

    loaded = settings()
    with closing(opened(loaded, source)) as repository, providers_of_settings(loaded) as providers:
        manifest, kept = _kept(repository, backup)
        with progress.waiting("Looking at the secrets"):
            found = secrets_diff(kept, providers, repository.secret_digest)
    document = {
        "backup": manifest.id,
        "same": all(one.same for one in found),
        "providers": [_diff_document(one) for one in found],
    }
    output.result(document, lambda: _diff_text(document))
    if worst := max((one.error.exit_code for one in found if one.error), default=0):
        raise typer.Exit(worst)


@commands.command("list")
def list_secrets(backup: Backup = "latest", source: FromReplica = None) -> None:
    """List the secrets that a backup knows, with what it knows of each."""
    with closing(opened(repository_settings(), source)) as repository:
        manifest, kept = _kept(repository, backup)
    document = {
        "backup": manifest.id,
        "providers": [
            {"name": one.name, "kind": one.kind, "notes": one.notes, "secrets": [_record(record) for record in one.records]}
            for one in kept
        ],
    }
    output.result(document, lambda: _list_text(kept))


@commands.command()
def rotate(
    provider: Annotated[str, typer.Argument(help="Where the secret is kept, as 'holdfast secrets list' names it.")],
    name: Annotated[str, typer.Argument(help="The secret; of AWS's that hold several values, SECRET#FIELD.")],
    *,
    into: Annotated[
        str | None,
        typer.Option(
            metavar="VARIABLE", help="Keep a PostgreSQL role's new password in BACKUP_SECRETS_ENV_FILE, too.", show_default=False
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Change a PostgreSQL role's password though nobody will know it.")
    ] = False,
) -> None:
    """Put a new random value in force. It is shown nowhere; the provider has it.

    Whoever uses the secret must read it again.
    """
    loaded = settings()
    with audited("secret.rotate", loaded, name, provider=provider, into=into), providers_of_settings(loaded) as providers:
        done = _rotated(_named(provider, providers), name, _delivery(into, providers), force=force)
    document = {
        "provider": done.provider,
        "name": done.name,
        "rotatedAt": done.rotated_at.isoformat(),
        "version": done.version,
        "into": into,
    }
    output.result(document, lambda: f"{done.name} of {done.provider} has a new value{f', kept as {into} too' if into else ''}.")


@contextmanager
def providers_of_settings(loaded: Settings) -> Iterator[list[SecretProvider]]:
    """Open the providers that the settings name, and close them."""
    from holdfast.sources.secrets.configured import providers_of

    def further(name: str) -> SecretProvider:
        from orchestration.server import ensure_prefect

        with progress.waiting("Waiting for the Prefect server"):
            ensure_prefect(loaded)
        logs.keep_prefect_quiet()
        from blocks.providers import open_provider

        return open_provider(name)

    with ExitStack() as held:
        found = providers_of(loaded, further)
        for one in found:
            held.callback(one.close)
        if not found:
            raise SettingsError(
                "the settings name no provider of secrets",
                next_step="Set BACKUP_SECRETS_ENV_FILE or BACKUP_SECRETS_PROVIDERS",
            )
        yield found


def _kept(repository: Repository, backup: str) -> tuple[Manifest, list[KeptSecrets]]:
    from holdfast.sources.secrets.kept import kept_secrets
    from holdfast.verification import find_backup

    manifest = find_backup(repository, backup, "secrets")
    return manifest, kept_secrets(repository, manifest)


def _named(name: str, providers: list[SecretProvider]) -> SecretProvider:
    for provider in providers:
        if provider.name == name:
            return provider
    raise NotFoundError(
        f"the settings name no provider {name!r}", reason=f"they name {', '.join(provider.name for provider in providers)}"
    )


def _delivery(into: str | None, providers: list[SecretProvider]) -> Callable[[str], None] | None:
    """Tell where a new password is kept besides the server."""
    from holdfast.sources.secrets.env_file import EnvFile

    if into is None:
        return None
    for provider in providers:
        if isinstance(provider, EnvFile):
            return lambda password: provider.put(into, password)
    raise SettingsError("--into needs BACKUP_SECRETS_ENV_FILE, where the password is to be kept")


def _rotated(provider: SecretProvider, name: str, deliver: Callable[[str], None] | None, *, force: bool) -> Rotation:
    from holdfast.sources.secrets.postgres_roles import PostgresRoles

    if isinstance(provider, PostgresRoles):
        return provider.rotate(name, deliver=deliver, force=force)
    if deliver is not None or force:
        raise SettingsError(f"--into and --force are for PostgreSQL roles, and {provider.name} keeps its values itself")
    return provider.rotate(name)


def _record(record: SecretRecord) -> dict[str, Any]:
    value = record.to_json()
    return {
        "name": value["name"],
        "digest": value["digest"],
        "version": value["version"],
        "createdAt": value["created_at"],
        "changedAt": value["changed_at"],
        "lastAccessedAt": value["last_accessed_at"],
        "rotation": value["rotation"],
        "tags": value["tags"],
        "readers": value["readers"],
        "usedIn": value["used_in"],
        "attributes": value["attributes"],
    }


def _diff_document(one: SecretsDiff) -> dict[str, Any]:
    return {
        "name": one.provider,
        "missing": one.missing,
        "changed": one.changed,
        "new": one.new,
        "unknown": one.unknown,
        "unchanged": one.unchanged,
        "metadata": [{"name": name, "fields": fields} for name, fields in one.metadata.items()],
        "placeholders": one.placeholders,
        "leftOut": [{"name": left.name, "reason": left.reason} for left in one.left_out],
        "notes": one.notes,
        "error": one.error and _error(one.error),
    }


def _error(error: HoldfastError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": output.masked(error.message),
        "reason": error.reason and output.masked(error.reason),
        "nextStep": error.next_step and output.masked(error.next_step),
    }


def _diff_text(document: dict[str, Any]) -> Iterator[RenderableType]:
    if document["same"]:
        yield f"All secrets are as backup {document['backup']} knows them."
        return
    table = output.table("Provider", "Secret", f"Since {document['backup']}", whole=("Secret",))
    for one in document["providers"]:
        for what in ("missing", "changed", "new", "unknown"):
            for name in one[what]:
                table.add_row(one["name"], name, what + (", a placeholder" if name in one["placeholders"] else ""))
        for changed in one["metadata"]:
            table.add_row(one["name"], changed["name"], f"{', '.join(changed['fields'])} changed")
        for left in one["leftOut"]:
            table.add_row(one["name"], left["name"], f"not compared: {left['reason']}")
    if table.row_count:
        yield table
    yield from _remarks(document["providers"])


def _remarks(providers: list[dict[str, Any]]) -> Iterator[str]:
    for one in providers:
        if error := one["error"]:
            yield f"{one['name']}: {': '.join(filter(None, (error['message'], error['reason'])))} ({error['code']})"
        else:
            yield from (f"{one['name']}: {text}" for text in (f"{one['unchanged']} unchanged", *one["notes"]))


def _list_text(kept: list[KeptSecrets]) -> Iterator[RenderableType]:
    table = output.table("Provider", "Secret", "Changed", "Last read", "Readers", "Used in", whole=("Secret",))
    for one in kept:
        for record in one.records:
            table.add_row(
                one.name,
                record.name,
                figures.minute(record.changed_at),
                figures.minute(record.last_accessed_at),
                "–" if record.readers is None else ", ".join(record.readers) or "nobody else",
                ", ".join(record.used_in) or "–",
            )
    yield table
    for one in kept:
        yield from (f"{one.name}: {note}" for note in one.notes)
