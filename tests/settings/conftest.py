"""A working directory with nothing in it, and no variable set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.settings import loading


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loading, "_told", set())
    return tmp_path


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set variables of the environment."""

    def set_variables(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_variables


class Kept:
    """A stored configuration without a database: what `load_settings` needs of a catalog."""

    def __init__(self, **stored: object) -> None:
        self.stored = stored

    def config(self) -> dict[str, object]:
        return dict(self.stored)
