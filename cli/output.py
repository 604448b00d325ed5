"""The one way in which the command answers: one JSON document, or text for a person.

With `--json` stdout carries exactly one document and nothing else can get there: file descriptor 1 is led to stderr
first, so that a library or child process that prints does no harm. Without it, results go to stdout, everything else to stderr.
No secret that the environment or a file of ours gave us leaves here: what we know of them is masked in every error.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod, RenderableType
    from rich.table import Table

PIPED_WIDTH = 200


@dataclass
class _Output:
    json: bool = False
    verbose: bool = False
    document: TextIO | None = None
    secrets: set[str] = field(default_factory=set)
    live: Console | None = None


_output = _Output()


def configure(arguments: Sequence[str]) -> None:
    """Learn from the command line how to answer; called once, before anything else."""
    options = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    _output.json = "--json" in options
    _output.verbose = "--verbose" in options or bool(os.environ.get("HOLDFAST_DEBUG"))
    if _output.json and _output.document is None:
        sys.stdout.flush()
        _output.document = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)


def verbose() -> bool:
    """Tell whether logs and tracebacks are wanted."""
    return _output.verbose


def keep_password(url: str) -> None:
    """Mask the password of a URL, as it stands there and as it is meant."""
    from urllib.parse import unquote

    login, at, _ = url.partition("//")[2].rpartition("@")
    if at and ":" in login:
        password = login.partition(":")[2]
        keep_secret(password, unquote(password))


def keep_secret(*values: str | None) -> None:
    """Mask these values in whatever is said from now on."""
    _output.secrets.update(value for value in values if value and len(value) >= 4)


def masked(text: str) -> str:
    """Return the text without the secrets that we know."""
    for secret in sorted(_output.secrets, key=len, reverse=True):
        text = text.replace(secret, "********")
    return text


def result(document: Any, text: Callable[[], RenderableType | Iterable[RenderableType]]) -> None:
    """Print what the command found or did; the one call that a command ends with."""
    if _output.json:
        _print_document(document)
        return
    shown = text()
    parts = [shown] if isinstance(shown, str) or not isinstance(shown, Iterable) else list(shown)
    out = console()
    with _closed_pipe_is_fine():
        for part in parts:
            out.print(part)
        sys.stdout.flush()


def note(text: str) -> None:
    """Say something beside the result, on stderr; nothing in JSON mode."""
    if not _output.json:
        _beside().print(masked(text), style="dim")


def aside(text: str) -> None:
    """Say beside the result, on stderr, in both modes, what the result leaves out."""
    _beside().print(masked(text), style="dim")


def warn(text: str) -> None:
    """Say on stderr, in both modes, what the user should know although the work goes on."""
    _beside().print(f"Warning: {masked(text)}", style="yellow")


def log(text: str) -> None:
    """Say on stderr what only `--verbose` asks for."""
    _beside().print(masked(text), style="dim")


@contextlib.contextmanager
def above(live: Console) -> Iterator[None]:
    """Say what is said beside the result by this console meanwhile: it writes above what moves on it."""
    before, _output.live = _output.live, live
    try:
        yield
    finally:
        _output.live = before


def _beside() -> Console:
    return _output.live or console(stderr=True)


def failure(code: str, message: str, reason: str | None, next_step: str | None) -> None:
    """Print an error: a document, or what, why and the next step on stderr. The traceback too where it is wanted."""
    message, reason, next_step = masked(message), reason and masked(reason), next_step and masked(next_step)
    if _output.verbose and sys.exc_info()[0] is not None:
        sys.stderr.write(masked(traceback.format_exc()))
    if _output.json:
        _print_document({"error": {"code": code, "message": message, "reason": reason, "nextStep": next_step}})
        return
    from rich.text import Text

    lines = Text.assemble(("Error: ", "bold red"), (f"{message} ({code})", "bold"))
    for label, said in (("Why:   ", reason), ("Next:  ", next_step)):
        if said:
            lines.append(f"\n{label}", style="dim")
            lines.append(said.replace("\n", "\n       "))
    console(stderr=True).print(lines, soft_wrap=True)


def console(*, stderr: bool = False) -> Console:
    """Make a console for a stream; wide where no terminal cuts the lines."""
    from cli.terminal import Terminal

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or os.environ.get("COLUMNS") else PIPED_WIDTH
    return Terminal(file=stream, width=width, highlight=False, markup=False, emoji=False)


def table(*columns: str, right: Sequence[str] = (), whole: Sequence[str] = ()) -> Table:
    """Make an empty table in the one look that all commands share.

    `right` names the columns of figures, `whole` those that are never broken into lines, for they are there to be copied.
    """
    from rich.box import SIMPLE_HEAD

    from cli.quick_table import QuickTable

    made = QuickTable(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="dim", border_style="dim")
    made.pad_edge = made.show_edge = False
    for column in columns:
        justify: JustifyMethod = "right" if column in right else "left"
        made.add_column(column, justify=justify, overflow="fold", no_wrap=column in whole)
    return made


def facts(*pairs: tuple[str, RenderableType | None]) -> Table:
    """Make a list of named facts; a fact that is None is left out."""
    from rich.table import Table

    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs:
        if value is not None:
            made.add_row(name, value)
    return made


def _print_document(document: Any) -> None:
    stream = _output.document or sys.stdout
    with _closed_pipe_is_fine():
        stream.write(json.dumps(document, indent=2, ensure_ascii=False, default=_plain) + "\n")
        stream.flush()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} has no place in a JSON document")


@contextlib.contextmanager
def _closed_pipe_is_fine() -> Any:
    """Whoever reads us may stop early (`| head`): the work is done by then, and its exit code stays what it was."""
    try:
        yield
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (_output.document, sys.stdout):
            if stream is not None:
                os.dup2(nowhere, stream.fileno())
