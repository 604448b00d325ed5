"""A configuration file is written over with what is no text."""

from __future__ import annotations

from examples.content_pipeline.fault import Fault, Parts

_FILE = "pipeline.toml"


class ConfigCorrupted(Fault):
    name = "config-corrupted"
    part = "config"
    plan = "config_corruption"
    trigger = "config_corruption_detected"
    title = "a configuration file overwritten with garbage"

    def _break(self, parts: Parts) -> str:
        file = parts.settings / _FILE
        file.write_bytes(bytes(range(256)) * 2)
        return f"{file.name} overwritten with 512 bytes that are no text"


FAULT = ConfigCorrupted()
