"""How a group of commands is made: every command takes `--json` and `--verbose`, and none has to say so.

`cli.output.configure` has read both before a command runs (errors of the command line itself obey them too), so a command
never sees them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

Function = TypeVar("Function", bound=Callable[..., Any])

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, errors too.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show logs, and the traceback of an error, on stderr.")]
_SHARED = {"json": AsJson, "verbose": Verbose}


class Commands(typer.Typer):
    """A group of commands; a Typer application whose commands all take the shared options."""

    def __init__(self, text: str, **settings: Any) -> None:
        super().__init__(help=text, rich_markup_mode="rich", add_completion=False, pretty_exceptions_enable=False, **settings)

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Function], Function]:
        """Register a command as Typer does, with the shared options added."""
        register = super().command(name, **settings)

        def decorate(function: Function) -> Function:
            register(with_shared_options(function))
            return function

        return decorate


def with_shared_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the command with the shared options in its signature; they are taken and not passed on."""

    @functools.wraps(function)
    def command(*arguments: Any, **options: Any) -> Any:
        for name in _SHARED:
            options.pop(name, None)
        return function(*arguments, **options)

    signature = inspect.signature(function, eval_str=True)
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind) for name, kind in _SHARED.items()
    ]
    command.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *shared])  # type: ignore[attr-defined]
    command.__annotations__ = {**function.__annotations__, **_SHARED}
    return command
