"""The `holdfast` command: its groups, and what becomes of an error.

Nothing slow is imported here or by the modules of the groups: Prefect, the engine and drivers are imported by the command
that needs them.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Annotated

import typer

from cli import (
    alarm_drill,
    api,
    audit,
    backup,
    cleanup,
    config,
    demonstration,
    deploy,
    drill,
    emit,
    init,
    keys,
    listing,
    logs,
    notify,
    output,
    pins,
    plans,
    recover,
    repo,
    report,
    restore,
    roll_back,
    secrets,
    serve,
    services,
    status,
    storage,
    tokens,
    trying,
    verify,
)
from cli.app import AsJson, Commands, Verbose
from cli.ending import Ending
from holdfast.allocation import share_arenas
from holdfast.errors import ExitCode, HoldfastError, SettingsError
from holdfast.garbage import look_hardly

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        output.result({"version": version("holdfast")}, lambda: f"holdfast {version('holdfast')}")
        raise typer.Exit


app = Commands(
    "Backups that are proven to come back.",
    no_args_is_help=True,
    epilog="Exit codes: 0 done · 1 the work failed · 2 usage or settings · 3 not found · 4 refused for safety · "
    "5 damaged or unverifiable data · 6 busy · 7 storage, database or server unreachable · 130 interrupted. More in docs/cli.md.",
)


@app.callback()
def shared(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
    json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """The options that all commands share may stand before the command too."""


for group in (
    init,
    backup,
    verify,
    drill,
    restore,
    roll_back,
    recover,
    emit,
    cleanup,
    pins,
    listing,
    status,
    trying,
    report,
    serve,
    api,
    deploy,
    demonstration,
    alarm_drill,
):
    app.add_typer(group.commands)
app.add_typer(plans.commands, name="plans", rich_help_panel="Recover")
app.add_typer(services.commands, name="services", rich_help_panel="Recover")
app.add_typer(repo.commands, name="repo", rich_help_panel="Without anything else")
app.add_typer(storage.commands, name="storage", rich_help_panel="Set up")
app.add_typer(keys.commands, name="keys", rich_help_panel="Set up")
app.add_typer(tokens.commands, name="tokens", rich_help_panel="Set up")
app.add_typer(audit.commands, name="audit", rich_help_panel="Look")
app.add_typer(secrets.commands, name="secrets", rich_help_panel="Look")
app.add_typer(config.commands, name="config", rich_help_panel="Set up")
app.add_typer(notify.commands, name="notify", rich_help_panel="Set up")


def main() -> None:
    """Run the command line and exit with the code of what came of it."""
    look_hardly()
    share_arenas()
    ending = Ending()
    ending.leave(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command; tell every error in the way that was asked for."""
    output.configure(arguments)
    logs.listen()
    ended_by = _listen_for_termination()
    try:
        code = app(args=list(arguments), prog_name="holdfast", standalone_mode=False) or ExitCode.DONE
    except HoldfastError as error:
        output.failure(error.code, error.message, error.reason, error.next_step)
        return error.exit_code
    except typer.Abort:
        code = INTERRUPTED
    except typer.TyperException as error:
        return _usage_error(error)
    except Exception as error:  # noqa: BLE001  the last place where it can be told
        output.failure(HoldfastError.code, "Something unforeseen went wrong", f"{type(error).__name__}: {error}", _REPORT)
        return ExitCode.WORK_FAILED
    if code == INTERRUPTED:
        code = ended_by[-1]
        output.failure("HF-001", "Interrupted", None, "What was begun was given up; the same command can simply be run again")
    return int(code)


_REPORT = "Run it again with --verbose for the traceback; this is a fault of Holdfast worth reporting"


def _usage_error(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        return ExitCode.USAGE
    command = context.command_path if context is not None else "holdfast"
    message = error.format_message().replace(": Value error, ", ": ")  # pydantic's words, which say nothing here
    output.failure(SettingsError.code, message, None, f"'{command} --help' shows how it is used")
    return ExitCode.USAGE


def _listen_for_termination() -> list[int]:
    """Treat SIGTERM as Ctrl-C, so that what was begun is cleaned up; the exit code to end with is the list's last."""
    code = [INTERRUPTED]

    def terminate(number: int, frame: FrameType | None) -> None:
        code.append(TERMINATED)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, terminate)
    return code
