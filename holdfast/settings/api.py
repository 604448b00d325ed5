"""The settings of the HTTP API: where it answers, who may ask, and what stands in front of it. Each belongs to one host."""

from __future__ import annotations

from pydantic import BaseModel, Field

from holdfast.settings.kinds import OptionalPath
from holdfast.settings.network_kinds import Host, PortNumber, Proxies, UrlPath, WebUrl


class ApiSettings(BaseModel):
    """How the HTTP API and its page are reached."""

    api_host: Host = Field(
        "127.0.0.1",
        validation_alias="BACKUP_API_HOST",
        description="Address that the HTTP API answers at; one beyond this machine needs a token (holdfast tokens create)",
    )
    api_port: PortNumber = Field(None, validation_alias="BACKUP_API_PORT", description="Port of the HTTP API; unset, a free one")
    api_tokens_file: OptionalPath = Field(
        None,
        validation_alias="BACKUP_API_TOKENS_FILE",
        description="File of the HTTP API's tokens, as digests; unset, api/tokens.json in HOLDFAST_HOME",
    )
    api_tls_certificate_file: OptionalPath = Field(
        None,
        validation_alias="BACKUP_API_TLS_CERTIFICATE_FILE",
        description="PEM file of the certificate that the HTTP API shows",
    )
    api_tls_key_file: OptionalPath = Field(
        None, validation_alias="BACKUP_API_TLS_KEY_FILE", description="PEM file of that certificate's private key"
    )
    api_trusted_proxies: Proxies = Field(
        [],
        validation_alias="BACKUP_API_TRUSTED_PROXIES",
        description="Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed",
    )
    api_root_path: UrlPath = Field(
        "",
        validation_alias="BACKUP_API_ROOT_PATH",
        description="Path that a proxy puts before the API's own, such as /backup",
    )
    prefect_ui_url: WebUrl = Field(
        None,
        validation_alias="BACKUP_PREFECT_UI_URL",
        description="URL at which a browser finds the Prefect UI, for links to runs; unset, the Prefect server's own address",
    )
