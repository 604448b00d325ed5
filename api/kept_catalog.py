"""The catalog with its connections kept open from request to request, whichever server it is in now.

The embedded server may stop, start again elsewhere, or be restored: its address is looked up again every second, and after each
failure. Connections that the server has closed are noticed before they are used. Where it does not answer, those who came
meanwhile are told what the one learned who tried: else each would wait for it in turn.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import CatalogMissingError, DatabaseUnreachableError, SettingsError, UnreachableError
from holdfast.opening import running_catalog_address

if TYPE_CHECKING:
    from pydantic import SecretStr

    from holdfast.catalog import Catalog
    from holdfast.settings import Settings

CONNECTIONS = 8
_LOOKED_UP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Kept:
    address: str | SecretStr
    catalog: Catalog


class KeptCatalog:
    """The catalog of the settings in force. Safe to use from several threads."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._kept: _Kept | None = None
        self._looked_up_at = self._failed_at = float("-inf")
        self._failure: UnreachableError | None = None

    @contextmanager
    def opened(self) -> Iterator[Catalog]:
        """Give the catalog, migrated. Raises UnreachableError where it can't be used now, and what the body raises."""
        kept = self._now()
        try:
            yield kept.catalog
        except DatabaseUnreachableError:
            self._forget(kept)
            raise
        except CatalogMissingError:  # it was made again, and the next who asks has it migrated
            self._give_up(kept)
            raise

    def close(self) -> None:
        """Close the connections; it may be used again."""
        with self._lock:
            self._replace(None)

    def _now(self) -> _Kept:
        came_at = time.monotonic()
        with self._lock:
            if self._failure is not None and self._failed_at > came_at:
                raise _again(self._failure)
            try:
                return self._looked_up()
            except UnreachableError as error:
                self._failure, self._failed_at = error, time.monotonic()
                raise

    def _looked_up(self) -> _Kept:
        kept = self._kept
        if kept is not None and time.monotonic() - self._looked_up_at <= _LOOKED_UP_SECONDS:
            return kept
        address = running_catalog_address(self._settings())
        if kept is None or kept.address != address:
            kept = _Kept(address, _opened(address))
            self._replace(kept)
        self._looked_up_at = time.monotonic()
        return kept

    def _forget(self, kept: _Kept) -> None:
        with self._lock:
            if self._kept is kept:
                self._looked_up_at = float("-inf")

    def _give_up(self, kept: _Kept) -> None:
        with self._lock:
            if self._kept is kept:
                self._replace(None)

    def _replace(self, kept: _Kept | None) -> None:
        """Take another; who still uses the former one's connections gives them back to be closed."""
        former, self._kept = self._kept, kept
        if former is not None:
            former.catalog.close()


def _opened(address: str | SecretStr) -> Catalog:
    from holdfast.catalog import Catalog

    catalog = Catalog(address, connections=CONNECTIONS)
    try:
        catalog.migrate()
    except SettingsError as error:  # it is of a newer Holdfast, or can't be entered: that is no fault of the request
        catalog.close()
        raise UnreachableError(error.message, reason=error.reason, next_step=error.next_step) from error
    except BaseException:
        catalog.close()
        raise
    return catalog


def _again(error: UnreachableError) -> UnreachableError:
    """Make the same error once more: one that is raised in several threads gathers the traces of all."""
    return type(error)(error.message, reason=error.reason, next_step=error.next_step)
