"""The options that say where the HTTP API answers: each is a setting by another way, and goes before it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import output
from cli.session import settings
from holdfast.errors import SettingsError

if TYPE_CHECKING:
    from holdfast.settings import Settings

Host = Annotated[str | None, typer.Option(help="Address to answer at; beyond this machine it takes a token.", show_default=False)]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the API; a free one otherwise.", show_default=False)]
Certificate = Annotated[Path | None, typer.Option(help="PEM file of the certificate for TLS.", show_default=False)]
Key = Annotated[Path | None, typer.Option(help="PEM file of its private key.", show_default=False)]
TrustedProxies = Annotated[
    str | None, typer.Option(metavar="ADDRESS,…", help="Proxies whose X-Forwarded-For is believed.", show_default=False)
]
RootPath = Annotated[str | None, typer.Option(help="Path that a proxy puts before the API's own.", show_default=False)]


def api_settings(
    *,
    host: str | None,
    port: int | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    trusted_proxies: str | None,
    root_path: str | None,
) -> Settings:
    """Load the settings with these before them, for this process and those that it starts.

    Raises SettingsError, and OutsideRefusedError where the API would answer others without a token.
    """
    given = {
        "BACKUP_API_HOST": host,
        "BACKUP_API_PORT": port,
        "BACKUP_API_TLS_CERTIFICATE_FILE": tls_certificate and tls_certificate.absolute(),
        "BACKUP_API_TLS_KEY_FILE": tls_key and tls_key.absolute(),
        "BACKUP_API_TRUSTED_PROXIES": trusted_proxies,
        "BACKUP_API_ROOT_PATH": root_path,
    }
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    loaded = settings()
    from orchestration.api_certificate import ApiCertificate
    from orchestration.api_exposure import require_safe

    require_safe(loaded)
    certificate = ApiCertificate.of(loaded)
    if certificate is not None:
        certificate.context()  # what is wrong with it shows now, before anything has been started
        try:
            certificate.require_in_time()
        except SettingsError as error:
            output.warn(str(error))  # backups go on, and so does who asks without looking at it
    return loaded
