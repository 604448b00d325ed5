"""What is known of a managed service: what runs it, how it is told to stop and start, and how it is asked whether it is well.

A command is a line that is split into words as a shell does; no shell runs it unless the line begins with one. A word that looks
like a secret is refused, for any process of a machine can read a command line: secrets go into the commands' environment.
"""

from __future__ import annotations

import re
import shlex
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, Secret, SecretStr, field_validator, model_validator

from holdfast.sources.configuration.secretness import looks_secret

Kind = Literal["systemd", "docker", "kubernetes", "supervisor", "command"]
KINDS: tuple[Kind, ...] = ("systemd", "docker", "kubernetes", "supervisor", "command")

OF_ENVIRONMENT = "Variables, such as passwords, that its commands find in their environment."
COMMANDS = ("start", "stop", "restart", "kill", "drill", "health_command")
_TAKES: dict[str, tuple[Kind, ...]] = {
    "unit": ("systemd", "docker", "kubernetes", "supervisor"),
    "namespace": ("kubernetes",),
    "context": ("kubernetes", "docker"),
    "host": ("systemd", "docker", "supervisor"),
    "config_file": ("kubernetes", "supervisor"),
    **dict.fromkeys(("start", "stop", "restart", "kill", "drill"), ("command",)),
}
_WORD = re.compile(r"[A-Za-z0-9_@][^\s]*")


class ServiceDescription(BaseModel):
    """A managed service as its block has it."""

    model_config = ConfigDict(hide_input_in_errors=True)

    kind: Kind = Field(..., description="What runs it; 'command' is for commands of your own.")
    unit: str | None = Field(
        None, description="Unit (systemd), container (docker), deployment or type/name (kubernetes), program (supervisor)."
    )
    namespace: str | None = Field(None, description="Namespace of the deployment (kubernetes).")
    context: str | None = Field(None, description="Context of the tool's own configuration (kubernetes, docker).")
    host: str | None = Field(
        None,
        description="Where it runs if not on the worker's host: user@host (systemd), address of the daemon (docker, supervisor).",
    )
    config_file: str | None = Field(
        None, description="Configuration file that the tool is to read, as an absolute path (kubernetes, supervisor)."
    )
    sudo: bool = Field(False, description="Whether the tool, or the commands, are run by 'sudo -n'.")
    start: str | None = Field(None, description="Command that starts it and then ends (command).")
    stop: str | None = Field(None, description="Command that stops it and ends when it has stopped (command).")
    restart: str | None = Field(None, description="Command that restarts it; goes before stop and start (command).")
    kill: str | None = Field(None, description="Command that ends it where it does not stop when told to (command).")
    drill: str | None = Field(None, description="Command that tries a scratch copy of it in a drill, and ends (command).")
    stop_seconds: float | None = Field(
        None, gt=0, le=3600, description="Seconds after which a stop or restart counts as hung; unset, 60 (kubernetes: 300)."
    )
    health_url: SecretStr | None = Field(None, description="Address that answers where it is well.")
    health_status: int | None = Field(None, ge=100, le=599, description="Status that is to be answered; unset, 200 to 399.")
    health_address: str | None = Field(None, description="Address host:port that takes connections where it is well.")
    health_command: str | None = Field(None, description="Command that ends with exit code 0 where it is well.")
    health_seconds: float = Field(5, gt=0, le=300, description="Seconds that one answer may take.")
    interval_seconds: float = Field(2, gt=0, le=300, description="Seconds between two questions while it is waited for.")
    grace_seconds: float = Field(60, ge=0, le=3600, description="Seconds after a start within which it has to become well.")
    environment: Secret[dict[str, Any]] = Field(default_factory=lambda: Secret[dict[str, Any]]({}), description=OF_ENVIRONMENT)

    @field_validator(*COMMANDS)
    @classmethod
    def _may_be_seen(cls, value: str | None) -> str | None:
        """Take only what can be split, and shows nothing that is secret; it is never quoted."""
        if value is None:
            return None
        try:
            words = shlex.split(value)
        except ValueError:
            raise ValueError("a quote in it is never closed") from None
        if not words:
            raise ValueError("it is empty")
        if any(_is_secret(name, word) for name, word in zip(["", *words], words, strict=False)):
            raise ValueError("a word of it looks like a secret, which any process may read; put it into the environment")
        return value

    @field_validator("health_url")
    @classmethod
    def _of_http(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("it is no http:// or https:// address")
        return value

    @field_validator("health_address")
    @classmethod
    def _host_and_port(cls, value: str | None) -> str | None:
        if value is not None:
            host_and_port(value)
        return value

    @field_validator("unit", "namespace", "context", "host")
    @classmethod
    def _no_option(cls, value: str | None) -> str | None:
        """Keep what names something from being read as an option of the tool."""
        if value is not None and not _WORD.fullmatch(value):
            raise ValueError("it is one word, and does not begin with '-'")
        return value

    @field_validator("host")
    @classmethod
    def _without_password(cls, value: str | None) -> str | None:
        if value is not None and "://" in value and urlsplit(value).password:
            raise ValueError("it holds a password; put that into the tool's own configuration file")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name, kinds in _TAKES.items():
            if getattr(self, name) is not None and self.kind not in kinds:
                raise ValueError(f"{name} is for {' and '.join(kinds)}, and this is {self.kind}")
        if self.kind != "command" and self.unit is None:
            raise ValueError(f"a service of kind {self.kind} needs its unit")
        if self.kind == "command" and self.restart is None and (self.stop is None or self.start is None):
            raise ValueError("a service of kind command needs start and stop, or restart")
        asked = [name for name in ("health_url", "health_address", "health_command") if getattr(self, name) is not None]
        if len(asked) > 1:
            raise ValueError(f"{' and '.join(asked)}: it is asked in one way")
        if self.health_status is not None and self.health_url is None:
            raise ValueError("health_status is for health_url")
        return self

    @property
    def patience_seconds(self) -> float:
        """How long a stop or restart may take."""
        return self.stop_seconds or (300.0 if self.kind == "kubernetes" else 60.0)

    def variables(self) -> dict[str, str]:
        """Give what its commands find in their environment."""
        return {name: str(value) for name, value in self.environment.get_secret_value().items()}

    def secrets(self) -> list[str]:
        """Name everything of it that must not be shown."""
        found = list(self.variables().values())
        if self.health_url is not None:
            parts = urlsplit(self.health_url.get_secret_value())
            found += [self.health_url.get_secret_value(), parts.password or "", parts.query]
        return [one for one in found if one]

    def document(self) -> dict[str, Any]:
        """Describe it for people and machines, without what is secret."""
        shown = self.model_dump(mode="json", exclude={"health_url", "environment"}, exclude_none=True)
        if self.health_url is not None:
            parts = urlsplit(self.health_url.get_secret_value())
            shown["health_url"] = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        return shown | ({"environment": sorted(self.variables())} if self.variables() else {})


def host_and_port(address: str) -> tuple[str, int]:
    """Take host:port apart, `[::1]:80` too. Raises ValueError."""
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None:
        raise ValueError("it is not host:port")
    return host, port


def _is_secret(before: str, word: str) -> bool:
    """Tell whether a word looks like a secret by itself, or as the value of the option before it."""
    return looks_secret(before.lstrip("-") if before.startswith("-") else "", word)
