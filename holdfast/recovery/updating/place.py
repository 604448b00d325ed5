"""The contract of a place where one value of the configuration stands.

What was there before is noted before anything is changed, and put back only where nobody has changed it since. No secret is ever
put anywhere by a step: it would stand in the plan, and in the record of every execution.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from holdfast.errors import RefusedError
from holdfast.sources.configuration.never import NeverKept
from holdfast.sources.configuration.secretness import looks_secret

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.settings import Settings

Json = dict[str, Any]
NO_PLACE = "it looks like a secret, and a plan is no place for one"
INSTEAD = "Use a step of type secrets, or 'holdfast secrets rotate PROVIDER NAME'; what another service gave out is set by hand"


class Place(ABC):
    """One place; `key` is how the step names it."""

    def __init__(self, key: str, rest: str, settings: Settings) -> None:
        self.key = key
        self._rest = rest
        self._settings = settings

    @classmethod
    @abstractmethod
    def problems(cls, rest: str, value: Any) -> Iterator[str]:
        """Tell what is wrong with what stands behind the kind in a key, and with a value."""

    @classmethod
    def why_not_from_outside(cls, rest: str, value: Any) -> str | None:
        """Say why a plan that comes by the HTTP API may not change this place; None where it may."""
        del rest, value
        return "files of the host, and variables that programs read, may hold a command or an address; name a setting"

    @abstractmethod
    def now(self) -> Any:
        """Read the value that is there; None where there is none. Raises RefusedError where it is a secret."""

    @abstractmethod
    def put(self, value: Any, keep_in: Path) -> None:
        """Put a value there. Raises, with nothing changed."""

    @abstractmethod
    def noted(self, keep_in: Path) -> Json:
        """Return what `undo` needs, besides the former value, to put that back in the place of what is there now."""

    @abstractmethod
    def undo(self, former: Any, noted: Json) -> None:
        """Put the former value back. Raises RefusedError where somebody has changed it since."""

    @abstractmethod
    def rehearse(self, value: Any, scratch: Path) -> None:
        """Put it into a scratch copy, and see that it holds. Raises what `put` does."""

    def same(self, there: Any, value: Any) -> bool:
        """Tell whether a value is there already."""
        return bool(there == value)

    def _require_no_secret(self, name: str, value: Any) -> None:
        """Raises RefusedError, which shows nothing of the value."""
        text = "" if value is None else str(value)
        if looks_secret(name, text) or NeverKept.of(self._settings).has(name, text):
            raise RefusedError(f"{self.key} was not changed", reason=NO_PLACE, next_step=INSTEAD)


def changed_since(key: str) -> RefusedError:
    """Say that somebody has changed it since."""
    return RefusedError(
        f"{key} was not put back as it was",
        reason="somebody has changed it since the step did",
        next_step="See which value is right, and set it by hand; the record of the execution has the former one",
    )


def scalar_problem(value: Any) -> Iterator[str]:
    """Tell where a value is none that a line of a file can hold."""
    if isinstance(value, dict | list):
        yield "configValue: a single text, number or truth value can be put there, no list or object"
