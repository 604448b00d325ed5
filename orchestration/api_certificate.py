"""The certificate that the HTTP API shows, and its private key: looked at before anything listens, and read anew when renewed.

One that has expired is told, and can still be shown: nobody is led astray by that, and backups must not wait for it.
"""

from __future__ import annotations

import ssl
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import SettingsError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate as Read

    from holdfast.settings import Settings

_CERTIFICATE, _KEY = "BACKUP_API_TLS_CERTIFICATE_FILE", "BACKUP_API_TLS_KEY_FILE"
_READABLE_BY_ALL = stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP


@dataclass(frozen=True, slots=True)
class ApiCertificate:
    """Two PEM files."""

    certificate: Path
    key: Path

    @classmethod
    def of(cls, settings: Settings) -> ApiCertificate | None:
        """Return those that the settings name, None where they name none. Raises SettingsError where one is missing."""
        certificate, key = settings.api_tls_certificate_file, settings.api_tls_key_file
        if certificate is not None and key is not None:
            return cls(certificate, key)
        if certificate is None and key is None:
            return None
        given, missing = (_CERTIFICATE, _KEY) if key is None else (_KEY, _CERTIFICATE)
        raise SettingsError(f"{given} is set and {missing} is not", reason="TLS takes both", next_step="Set both, or neither")

    def context(self) -> ssl.SSLContext:
        """Return what shows it, by TLS 1.2 at least. Raises SettingsError where it can't be shown."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.load_into(context)
        return context

    def load_into(self, context: ssl.SSLContext) -> None:
        """Have whoever connects from now on be shown the files as they are now. Raises SettingsError, and changes nothing."""
        _require_private(self.key)
        _read(self.certificate)
        try:
            context.load_cert_chain(self.certificate, self.key, password=_no_passphrase)
        except ssl.SSLError as error:
            other = "KEY_VALUES_MISMATCH" in str(error)
            reason = "it is not the certificate's" if other else f"it is no key in PEM ({error.reason or 'no PEM'})"
            raise SettingsError(f"the key in {self.key} can't be used", reason=reason) from None
        except OSError as error:
            raise SettingsError(f"{self.key} can't be read", reason=error.strerror) from error

    def require_in_time(self) -> None:
        """Raise SettingsError where it has expired, or is not valid yet, so that no client would believe it."""
        found = _read(self.certificate)
        now = datetime.now(UTC)
        if now >= found.not_valid_after_utc:
            raise SettingsError(
                f"the certificate in {self.certificate} has expired",
                reason=f"it ended at {found.not_valid_after_utc:%Y-%m-%d %H:%M} UTC, and no client believes it",
                next_step=f"Renew it, or unset {_CERTIFICATE}",
            )
        if now < found.not_valid_before_utc:
            raise SettingsError(
                f"the certificate in {self.certificate} is not valid yet",
                reason=f"it begins at {found.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",
                next_step="Look at the clock of this host",
            )

    def mark(self) -> tuple[int, ...]:
        """Return what changes when one of the files does; nothing where one is not there, as while they are being renewed."""
        try:
            return tuple(part for path in (self.certificate, self.key) for part in _mark(path))
        except OSError:
            return ()


def _mark(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _require_private(key: Path) -> None:
    try:
        mode = key.stat().st_mode
    except OSError as error:
        raise SettingsError(f"{key} can't be read", reason=error.strerror, next_step=f"{_KEY} names it") from error
    if mode & _READABLE_BY_ALL:
        raise SettingsError(
            f"the key in {key} is not private", reason="others may read or write it", next_step=f"chmod 600 {key}"
        )


def _read(path: Path) -> Read:
    from cryptography.x509 import load_pem_x509_certificate

    try:
        return load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{path} can't be read", reason=error.strerror, next_step=f"{_CERTIFICATE} names it") from error
    except ValueError:
        raise SettingsError(f"{path} holds no certificate in PEM", next_step=f"{_CERTIFICATE} names it") from None


def _no_passphrase() -> str:
    """Refuse a key that asks for one: at three in the morning nobody is there to type it."""
    raise SettingsError(
        "the key of the HTTP API's certificate is locked by a passphrase",
        next_step=f"Give {_KEY} one without, which only its owner may read",
    )
