"""What the handlers work with: settings in force, the catalog, Prefect over HTTP, the latest look. Each may be down by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING, Any, TypeVar

from api.kept_catalog import KeptCatalog
from api.latest_look import LatestLook
from holdfast.errors import HoldfastError, PrefectUnreachableError, UnreachableError
from holdfast.opening import read_repository
from holdfast.patience import Askers, Question
from holdfast.settings import Settings, load_settings
from holdfast.tokens import Tokens
from orchestration.looking import in_force_if_known, prefect_to_ask
from orchestration.server import prefect_address
from orchestration.standing.gathering import Gathering, Standing
from orchestration.trying.running import SelfTest

if TYPE_CHECKING:
    from holdfast.catalog import Catalog
    from holdfast.repository import Repository
    from orchestration.next_runs import Ask

_SETTINGS_SECONDS = 5.0
_TEST_SECONDS = 20.0
_TEST = "the self-test"
_REPOSITORY_SECONDS = 5.0
_REPOSITORY_AT_ONCE = 4
T = TypeVar("T")


class Parts:
    """The parts of one API process. Safe to use from several threads."""

    def __init__(self, load: Callable[[], Settings] = load_settings, looks: LatestLook[Standing] | None = None) -> None:
        self._load = load
        self._settings: Settings | None = None
        self._tokens: Tokens | None = None
        self._refreshing = threading.Lock()
        self._askable = threading.BoundedSemaphore(_REPOSITORY_AT_ONCE)
        self._catalog = KeptCatalog(lambda: self.settings)
        self._read_at = float("-inf")
        gathering = Gathering()
        self.looks = looks or LatestLook(lambda: gathering.gather(load()))
        self._testing, self._askers = SelfTest(), Askers()

    @property
    def settings(self) -> Settings:
        """The settings in force, of a few seconds ago at most; one who asks reads them anew, and nobody else waits for it.

        Raises SettingsError.
        """
        known = self._settings
        if known is not None and time.monotonic() - self._read_at <= _SETTINGS_SECONDS:
            return known
        if known is not None and not self._refreshing.acquire(blocking=False):
            return known
        if known is None:
            self._refreshing.acquire()
        try:
            return self._settings or self._read() if known is None else self._read()
        finally:
            self._refreshing.release()

    def _read(self) -> Settings:
        settings = in_force_if_known(self._load())
        self._settings, self._read_at = settings, time.monotonic()
        return settings

    def forget_settings(self) -> None:
        """Have the settings read afresh: they were changed."""
        with self._refreshing:
            self._settings = None

    @property
    def target(self) -> str | None:
        """The target of a fleet that this host's settings name; the catalog is not asked for it. Raises SettingsError."""
        return self._load().target

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

    def catalog(self) -> AbstractContextManager[Catalog]:
        """Give the catalog, whose connections are kept open. Raises DatabaseUnreachableError where it does not run."""
        return self._catalog.opened()

    def ask_repository(self, question: Callable[[Repository], T]) -> T:
        """Ask the repository, or the replica that stands in for it.

        Raises UnreachableError where that takes long, and what opening and asking raise.
        """
        if not self._askable.acquire(blocking=False):
            raise UnreachableError("the repository is asked by others, and has not answered them yet")

        def ask() -> T:
            try:
                with closing(read_repository(self.settings)) as repository:
                    return question(repository)
            finally:
                self._askable.release()

        return Question("the repository", ask).answer(time.monotonic() + _REPOSITORY_SECONDS, _REPOSITORY_SECONDS)

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
