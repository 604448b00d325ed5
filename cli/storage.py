"""`holdfast storage …`: try storages out, and keep them under names as Prefect blocks.

Trying needs Prefect only where a storage is the name of a block. Credentials come from files or are asked for: what is typed on
a command line can be read in the process list.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import figures, logs, output, progress, secret_files
from cli.app import Commands
from cli.audited import audited
from cli.replicas import named
from cli.session import repository_settings
from holdfast.errors import HoldfastError, SettingsError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from holdfast.settings import Settings
    from holdfast.storage import StorageSettings
    from holdfast.storage.probe import ProbeReport

commands = Commands("Try storages out, and keep them under names.", no_args_is_help=True)

_SMALL_BYTES = 64 << 10

Name = Annotated[str, typer.Argument(help="What the storage is to be called.", show_default=False)]
Url = Annotated[
    str | None,
    typer.Argument(
        help="file:///path, s3://bucket/prefix, gs://bucket/prefix or az://account/container/prefix. "
        "May be left out where --block names a bucket or container.",
        show_default=False,
    ),
]
SecretFile = Annotated[
    Path | None, typer.Option(help="File that holds the secret of the access key; - asks for it.", show_default=False)
]


@commands.command("test")
def try_out(
    storages: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME|URL]...", help="Names of saved storages, or URLs.", show_default="the primary and all replicas"
        ),
    ] = None,
) -> None:
    """Write, read, list and delete objects in each storage, and measure how fast that is.

    Nothing is left behind. Every storage is told, and the exit code is that of the worst.
    """
    loaded = repository_settings()
    names: list[str | None] = [*storages] if storages else [None, *loaded.replicas]
    found = [_tried(name, loaded) for name in names]
    output.result([document for document, _ in found], lambda: _text([document for document, _ in found]))
    worst = max(error.exit_code if error else 0 for _, error in found)
    if worst:
        raise typer.Exit(worst)


@commands.command()
def add(
    name: Name,
    url: Url = None,
    *,
    region: Annotated[str | None, typer.Option(help="Region of the bucket (s3).", show_default=False)] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="Address of the service where it is not the provider's own.", show_default=False)
    ] = None,
    access_key: Annotated[
        str | None,
        typer.Option(help="Access key id (s3), e-mail of the service account (gcs), account (azure).", show_default=False),
    ] = None,
    secret_key_file: SecretFile = None,
    credentials_file: Annotated[
        Path | None, typer.Option(help="JSON file of a service account (gcs); it stays where it is.", show_default=False)
    ] = None,
    connection_string_file: Annotated[
        Path | None, typer.Option(help="File that holds a connection string (azure); - asks for it.", show_default=False)
    ] = None,
    storage_class: Annotated[
        str | None, typer.Option("--class", help="Storage class or access tier of chunks.", show_default=False)
    ] = None,
    immutable_days: Annotated[int, typer.Option(min=0, max=3650, help="Days for which backups can't be changed.")] = 0,
    bandwidth_limit: Annotated[int | None, typer.Option(min=1024, help="Bytes per second each way.", show_default=False)] = None,
    offsite: Annotated[
        bool | None, typer.Option("--offsite/--no-offsite", help="Somewhere else than the source.", show_default="by address")
    ] = None,
    block: Annotated[
        str | None,
        typer.Option(
            metavar="SLUG/NAME",
            help="A saved Prefect block whose bucket or credentials are used, such as aws-credentials/mine.",
            show_default=False,
        ),
    ] = None,
    test: Annotated[bool, typer.Option("--test/--no-test", help="Try it first, and save nothing where it fails.")] = True,
) -> None:
    """Save a storage under a name, which BACKUP_REPLICAS and --from then take.

    It is a BackupStorage block on the Prefect server. A storage of that name is replaced.
    """
    from holdfast.storage.described import described, name_of_block

    name_of_block(name)
    secret, connection = (
        secret_files.secret(
            secret_key_file, "Secret key", wanted=bool(access_key) and url is not None and not url.startswith("az:")
        ),
        secret_files.secret(connection_string_file, "Connection string"),
    )
    settings = described(
        url,
        region=region,
        endpoint=endpoint,
        access_key=access_key,
        secret_key=secret,
        credentials_file=credentials_file,
        connection_string=connection,
        storage_class=storage_class,
        immutable_days=immutable_days,
        bandwidth_limit=bandwidth_limit,
        offsite=offsite,
    )
    if url is None and block is None:
        raise SettingsError("Give the storage's URL, or a block that names a bucket with --block")
    loaded = repository_settings()
    with audited("storage.add", loaded, name) as doing:
        document = _saved(name, settings, block, loaded, test=test)
        doing.details["location"] = document["location"]
    output.result(document, lambda: f"Saved {document['location']} as {name}. Use it with: BACKUP_REPLICAS={name}")


@commands.command("list")
def list_storages() -> None:
    """List the storages that are saved as Prefect blocks, without their secrets."""
    _join_prefect(repository_settings())
    from blocks.listing import saved_storages

    found = saved_storages()
    output.result(found, lambda: _saved_table(found) if found else "No storage is saved.")


def _tried(name: str | None, loaded: Settings) -> tuple[dict[str, Any], HoldfastError | None]:
    from holdfast.opening import PRIMARY
    from holdfast.storage.probe import ProbeReport
    from holdfast.storage.trial import try_storage

    shown, settings, credentials = name or PRIMARY, loaded.storage_settings, None
    try:
        if name is not None:
            replica = named(name, loaded)
            settings, credentials = replica.settings, replica.credentials
    except HoldfastError as error:
        return _document(shown, None, ProbeReport("", "", error=error)), error
    with progress.waiting(f"Trying {shown}"):
        report = try_storage(settings, credentials=credentials)
    return _document(shown, settings, report), report.error


def _saved(name: str, settings: StorageSettings, block: str | None, loaded: Settings, *, test: bool) -> dict[str, Any]:
    _join_prefect(loaded)
    from blocks.saving import save_storage
    from blocks.services import completed, saved_service
    from holdfast.secret_texts import secret_parts, secrets_of
    from holdfast.storage.trial import try_storage

    service = saved_service(block) if block else None
    whole, credentials = (settings, None) if service is None else completed(settings, service)
    for secret in (*secrets_of(whole), *(secrets_of(service) if service is not None else ())):
        output.keep_secret(*secret_parts(secret.get_secret_value()))
    if test:
        with progress.waiting(f"Trying {whole.location}"):
            report = try_storage(whole, credentials=credentials, size_bytes=_SMALL_BYTES)
        if report.error is not None:
            raise report.error
    with progress.waiting("Saving the block"):
        save_storage(name, settings, service, keep_service=False)
    return {"name": name, "type": whole.type, "location": whole.location, "service": block, "tested": test}


def _join_prefect(loaded: Settings) -> None:
    from orchestration.server import ensure_prefect

    with progress.waiting("Waiting for the Prefect server"):
        ensure_prefect(loaded)
    logs.keep_prefect_quiet()


def _document(name: str, settings: StorageSettings | None, report: ProbeReport) -> dict[str, Any]:
    error = report.error
    return {
        "name": name,
        "location": report.location,
        "type": report.kind,
        "ok": report.ok,
        "latencyMs": report.latency_ms,
        "uploadBytesPerSecond": report.upload_bytes_per_second,
        "downloadBytesPerSecond": report.download_bytes_per_second,
        "putIfAbsent": report.put_if_absent,
        "listed": report.listed,
        "deleted": report.deleted,
        "immutableDays": settings.immutable_days if settings else 0,
        "lock": report.lock,
        "storageClass": settings.storage_class if settings else None,
        "error": None
        if error is None
        else {
            "code": error.code,
            "message": output.masked(error.message),
            "reason": error.reason and output.masked(error.reason),
            "nextStep": error.next_step and output.masked(error.next_step),
        },
    }


def _text(documents: list[dict[str, Any]]) -> Iterator[RenderableType]:
    columns = ("Storage", "Location", "", "Latency", "Upload", "Download", "Put if absent", "Lock", "Class")
    table = output.table(*columns, right=("Latency", "Upload", "Download"))
    for one in documents:
        table.add_row(
            "–" if one["name"] == one["location"] else one["name"],
            one["location"] or "–",
            "ok" if one["ok"] else "error",
            "–" if one["latencyMs"] is None else f"{one['latencyMs']:.1f} ms",
            _speed(one["uploadBytesPerSecond"]),
            _speed(one["downloadBytesPerSecond"]),
            "yes" if one["putIfAbsent"] else "–" if one["error"] else "no",
            one["lock"] or "–",
            one["storageClass"] or "–",
        )
    yield table
    for one in documents:
        if one["error"]:
            yield ""
            yield output.facts(
                (one["name"], f"{one['error']['message']} ({one['error']['code']})"),
                ("  Why", one["error"]["reason"]),
                ("  Next", one["error"]["nextStep"]),
            )


def _speed(per_second: float | None) -> str:
    return "–" if per_second is None else f"{per_second / 1e6:.1f} MB/s"


def _saved_table(found: list[dict[str, Any]]) -> RenderableType:
    table = output.table("Name", "Location", "Credentials", "Class", "Immutable", "Limit", "Off-site", whole=("Name",))
    for one in found:
        limit, offsite = one["bandwidthLimit"], one["offsite"]
        table.add_row(
            one["name"],
            one["location"] or one["error"] or "–",
            one["service"] or ("own" if one["ownCredentials"] else "–" if one["type"] == "local" else "default chain"),
            one["storageClass"] or "–",
            f"{one['immutableDays']} days" if one["immutableDays"] else "–",
            f"{figures.size(limit)}/s" if limit else "–",
            "by address" if offsite is None else "yes" if offsite else "no",
        )
    return table
