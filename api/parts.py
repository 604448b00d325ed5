"""What the handlers work with: settings in force, the catalog, Prefect over HTTP, the latest look. Each may be down by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from api.latest_look import LatestLook
from holdfast.errors import DatabaseUnreachableError, HoldfastError, PrefectUnreachableError
from holdfast.opening import catalog_if_running
from holdfast.patience import Askers
from holdfast.settings import Settings, load_settings
from holdfast.tokens import Tokens
from orchestration.looking import in_force_if_known, prefect_to_ask
from orchestration.server import prefect_address
from orchestration.standing.gathering import Gathering, Standing
from orchestration.trying.running import SelfTest

if TYPE_CHECKING:
    from holdfast.catalog import Catalog
    from orchestration.next_runs import Ask

_SETTINGS_SECONDS = 5.0
_TEST_SECONDS = 20.0
_TEST = "the self-test"


class Parts:
    """The parts of one API process. Safe to use from several threads."""

    def __init__(self, load: Callable[[], Settings] = load_settings, looks: LatestLook[Standing] | None = None) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._settings: Settings | None = None
        self._tokens: Tokens | None = None
        self._read_at = float("-inf")
        gathering = Gathering()
        self.looks = looks or LatestLook(lambda: gathering.gather(load()))
        self._testing, self._askers = SelfTest(), Askers()

    @property
    def settings(self) -> Settings:
        """The settings in force, of a few seconds ago at most. Raises SettingsError."""
        with self._lock:
            if self._settings is None or time.monotonic() - self._read_at > _SETTINGS_SECONDS:
                self._settings, self._read_at = in_force_if_known(self._load()), time.monotonic()
            return self._settings

    def forget_settings(self) -> None:
        """Have the settings read afresh: they were changed."""
        with self._lock:
            self._settings = None

    @property
    def tokens(self) -> Tokens:
        """The tokens; where they lie is settled when they are needed first. Raises SettingsError."""
        if self._tokens is None:
            self._tokens = Tokens.of(self._load())
        return self._tokens

    def self_test(self) -> dict[str, Any]:
        """Try everything out; who asks while one goes on is told what that one finds. Raises SettingsError, UnreachableError."""
        answer = self._askers.ask_all({_TEST: lambda: self._testing.run(self._load())}, _TEST_SECONDS)[_TEST]
        if isinstance(answer, HoldfastError):
            raise answer
        return answer

    @contextmanager
    def catalog(self) -> Iterator[Catalog]:
        """Open the catalog. Raises DatabaseUnreachableError where it does not run."""
        with catalog_if_running(self.settings) as catalog:
            if catalog is None:
                raise DatabaseUnreachableError(
                    "the catalog does not run",
                    reason="the embedded PostgreSQL of this home is down",
                    next_step="'holdfast serve' starts it, and so does 'holdfast init'",
                )
            yield catalog

    def prefect(self) -> Ask:
        """Return what asks the Prefect server. Raises PrefectUnreachableError."""
        ask = prefect_to_ask(self.settings)
        if ask is None:
            raise PrefectUnreachableError(
                "no Prefect server answers", next_step="Start one with 'holdfast serve', or set PREFECT_API_URL"
            )
        return ask

    def run_url(self, flow_run_id: str) -> str | None:
        """Return where a person sees a run in Prefect's UI; None where no server is known."""
        base = self.settings.prefect_ui_url or (prefect_address(self.settings) or "").removesuffix("/api")
        return f"{base.rstrip('/')}/runs/flow-run/{flow_run_id}" if base else None
