"""`holdfast services …`: the services that recovery plans may restart: tell Holdfast of one, ask whether it is well, restart it.

They are Prefect blocks. What is secret comes from files or is asked for: what is typed on a command line can be read in the
process list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli import logs, output, progress, secret_files
from cli.app import Commands
from cli.audited import audited
from cli.session import settings
from holdfast.errors import HoldfastError, NotFoundError, ServiceFailedError, SettingsError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from holdfast.recovery.service import Health
    from holdfast.recovery.services.description import ServiceDescription
    from holdfast.settings import Settings

commands = Commands("The services that recovery plans may restart.", no_args_is_help=True)

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_SECONDS = 300.0
Kind = Literal["systemd", "docker", "kubernetes", "supervisor", "command"]
Name = Annotated[str, typer.Argument(help="The service, as 'holdfast services list' names it.", show_default=False)]
Text = str | None


def _option(text: str, *names: str) -> Any:
    return typer.Option(*names, help=text, show_default=False)


@commands.command()
def add(
    name: Annotated[str, typer.Argument(help="What plans are to call it: small letters, digits and '-'.", show_default=False)],
    *,
    kind: Annotated[Kind, _option("What runs it; 'command' for commands of your own.")],
    unit: Annotated[Text, _option("Unit, container, deployment or program.")] = None,
    namespace: Annotated[Text, _option("Namespace (kubernetes).")] = None,
    context: Annotated[Text, _option("Context (kubernetes, docker).")] = None,
    host: Annotated[Text, _option("user@host (systemd), address of the daemon (docker, supervisor).")] = None,
    config_file: Annotated[Text, _option("The tool's own configuration (kubernetes, supervisor).")] = None,
    sudo: Annotated[bool, typer.Option("--sudo", help="Run the tool by 'sudo -n'.")] = False,
    start: Annotated[Text, _option("Command that starts it, and ends.")] = None,
    stop: Annotated[Text, _option("Command that stops it, and ends when it has stopped.")] = None,
    restart_command: Annotated[Text, _option("Command that restarts it.", "--restart")] = None,
    kill: Annotated[Text, _option("Command that ends it where it does not stop.")] = None,
    drill: Annotated[Text, _option("Command that tries a scratch copy in a drill.")] = None,
    stop_seconds: Annotated[float | None, _option("Seconds after which a stop or restart counts as hung.")] = None,
    health_url: Annotated[Text, _option("Address that answers where it is well; - asks for one that holds a secret.")] = None,
    health_status: Annotated[int | None, _option("Status that it answers with.")] = None,
    health_address: Annotated[Text, _option("host:port that takes connections where it is well.")] = None,
    health_command: Annotated[Text, _option("Command that ends with exit code 0 where it is well.")] = None,
    interval: Annotated[float, typer.Option(help="Seconds between two questions.")] = 2,
    grace: Annotated[float, typer.Option(help="Seconds after a start within which it has to become well.")] = 60,
    environment_file: Annotated[
        Path | None, _option("An .env file; what it holds, its commands find in their environment.")
    ] = None,
) -> None:
    """Tell Holdfast of a service. One of that name is replaced.

    A command is one line in quotes, such as --stop 'systemctl --user stop web'. It is split into words, and no shell runs it.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{name!r} can't be the name of a service", reason="a name has small letters, digits and '-' between")
    given = {
        "unit": unit,
        "namespace": namespace,
        "context": context,
        "host": host,
        "config_file": config_file,
        "start": start,
        "stop": stop,
        "restart": restart_command,
        "kill": kill,
        "drill": drill,
        "stop_seconds": stop_seconds,
        "health_url": _url(health_url),
        "health_status": health_status,
        "health_address": health_address,
        "health_command": health_command,
        "environment": _variables(environment_file),
    }
    described = _described(kind=kind, sudo=sudo, interval_seconds=interval, grace_seconds=grace, **given)
    loaded = settings()
    _join_prefect(loaded)
    from blocks.managed_service import save_service

    with audited("service.add", loaded, name, kind=kind), progress.waiting("Saving the block"):
        block = save_service(name, described, loaded.target)
    document = _document(name, described) | {"block": block}
    output.result(document, lambda: f"{name} is known now. Ask it: holdfast services check {name}")


@commands.command("list")
def list_services() -> None:
    """List the services that plans may restart."""
    loaded = settings()
    found = [_read(name, loaded) for name in _names(loaded)]
    nothing = "No service is known. 'holdfast services add' tells Holdfast of one."
    output.result(found, lambda: _table(found) if found else nothing)


@commands.command()
def show(name: Name) -> None:
    """Show all that is known of a service, without its secrets."""
    loaded = settings()
    _join_prefect(loaded)
    from blocks.managed_service import read_service

    found = _document(name, read_service(name, loaded.target).described())
    output.result(found, lambda: output.facts(*((key, _said(value)) for key, value in found.items())))


@commands.command()
def remove(name: Name) -> None:
    """Forget a service. The service itself is left as it is."""
    loaded = settings()
    _join_prefect(loaded)
    from blocks.managed_service import remove_service

    with audited("service.remove", loaded, name):
        remove_service(name, loaded.target)
    output.result({"name": name, "removed": True}, lambda: f"{name} is forgotten; it runs on as it did.")


@commands.command()
def check(
    name: Annotated[str | None, typer.Argument(help="Only this service.", show_default="all")] = None,
) -> None:
    """Ask services whether they are well. The exit code is 1 where one is not."""
    loaded = settings()
    names = _names(loaded)
    if name is not None and name not in names:
        raise NotFoundError(
            f"there is no managed service {name}", next_step="'holdfast services list' names those that there are"
        )
    with progress.waiting("Asking"):
        found = [_asked(one, loaded) for one in ([name] if name is not None else names)]
    output.result(found, lambda: _health_table(found) if found else "No service is known.")
    if any(one["health"] == "not well" for one in found):
        raise typer.Exit(ServiceFailedError.exit_code)


@commands.command()
def restart(
    name: Name,
    *,
    force: Annotated[bool, typer.Option("--force", help="Kill it where it does not stop when told to.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is well.")] = True,
) -> None:
    """Restart a service now, as a step of a plan would."""
    loaded = settings()
    _join_prefect(loaded)
    from blocks.managed_service import read_service
    from holdfast.recovery.deadline import Deadline

    block = read_service(name, loaded.target)
    output.keep_secret(*block.secrets())
    service, deadline = block.service(name), Deadline(_SECONDS, f"restarting {name}")
    with audited("service.restart", loaded, name, forced=force), progress.waiting(f"Restarting {name}"):
        did = service.restart(deadline, force=force)
        health = service.wait_for_health(deadline) if wait else None
    found = {"name": name, "did": [output.masked(one) for one in did], **_health(health)}
    output.result(found, lambda: [*found["did"], f"{name}: {found['reason'] or 'restarted, and not asked'}"])


def _described(**values: Any) -> ServiceDescription:
    """Read what was given. Raises SettingsError, which quotes none of it."""
    from pydantic import ValidationError

    from holdfast.recovery.services.description import ServiceDescription

    try:
        described = ServiceDescription(**{name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        said = [": ".join([*(str(part) for part in one["loc"]), one["msg"].removeprefix("Value error, ")]) for one in problems]
        reason = "\n".join(said)
        raise SettingsError("This service can't be managed", reason=reason, next_step="docs/services.md shows how") from None
    output.keep_secret(*described.secrets())
    return described


def _url(given: str | None) -> str | None:
    """Take the address as it was typed only where it shows nothing."""
    if given is None:
        return None
    if given == "-":
        asked = secret_files.secret(Path("-"), "Health address")
        return asked.get_secret_value() if asked is not None else None
    from holdfast.sources.configuration.secretness import has_known_form, looks_secret

    if has_known_form(given) or looks_secret("", given):
        raise SettingsError(
            "--health-url holds a secret, and any process can read a command line", next_step="Give - and type it when asked"
        )
    return given


def _variables(file: Path | None) -> dict[str, str] | None:
    if file is None:
        return None
    from holdfast.sources.dotenv import Dotenv

    read = secret_files.secret(file, "Environment")
    found = Dotenv.parse(read.get_secret_value() if read is not None else "")
    if found.broken:
        raise SettingsError(f"{file} can't be read", reason=f"line {found.broken[0].line}: {found.broken[0].reason}")
    return found.variables()


def _names(loaded: Settings) -> list[str]:
    _join_prefect(loaded)
    from blocks.managed_service import service_names

    return service_names(loaded.target)


def _read(name: str, loaded: Settings) -> dict[str, Any]:
    """Describe a service; one that can't be used with why."""
    from blocks.managed_service import read_service

    try:
        return _document(name, read_service(name, loaded.target).described())
    except SettingsError as error:
        return {"name": name, "kind": None, "error": output.masked(error.what_and_why)}


def _asked(name: str, loaded: Settings) -> dict[str, Any]:
    from blocks.managed_service import read_service
    from holdfast.recovery.deadline import Deadline

    try:
        block = read_service(name, loaded.target)
        output.keep_secret(*block.secrets())
        return {"name": name, **_health(block.service(name).health(Deadline(_SECONDS, f"asking {name}")))}
    except HoldfastError as error:
        return {"name": name, "health": "not well", "reason": output.masked(error.what_and_why)}


def _health(found: Health | None) -> dict[str, Any]:
    if found is None:
        return {"health": None, "reason": None}
    word = "unknown" if found.ok is None else "well" if found.ok else "not well"
    return {"health": word, "reason": output.masked(found.reason)}


def _document(name: str, described: ServiceDescription) -> dict[str, Any]:
    from pydantic.alias_generators import to_camel

    return {"name": name, **{to_camel(key): value for key, value in described.document().items()}}


def _table(found: list[dict[str, Any]]) -> RenderableType:
    table = output.table("Name", "Kind", "What", "Asked by", whole=("Name",))
    for one in found:
        what = one.get("unit") or one.get("restart") or one.get("start") or one.get("error") or "–"
        asked = one.get("healthUrl") or one.get("healthAddress") or one.get("healthCommand") or "nobody said how"
        table.add_row(one["name"], one["kind"] or "–", what, asked)
    return table


def _health_table(found: list[dict[str, Any]]) -> Iterator[RenderableType]:
    table = output.table("Service", "", "What it says", whole=("Service",))
    for one in found:
        table.add_row(one["name"], one["health"], one["reason"])
    yield table


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return "yes" if value is True else "no" if value is False else str(value)


def _join_prefect(loaded: Settings) -> None:
    from orchestration.server import ensure_prefect

    with progress.waiting("Waiting for the Prefect server"):
        ensure_prefect(loaded)
    logs.keep_prefect_quiet()
