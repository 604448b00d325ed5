"""Lays out the sample's files where the demo can lose them: Edge Functions, configuration, and a `.env` with secrets.

The secrets are made up at that moment and are nowhere else; the functions see them as their environment.
"""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path

_HERE = Path(__file__).parent
_MODES = {"workers.ini": 0o640, "limits.json": 0o600, "rebuild-index.sh": 0o755}  # of the others: 0644
_SETTINGS = {
    "PIPELINE_NAME": "content-pipeline",
    "FEED_TITLE": "Notes from the pipeline",
    "SUMMARY_SENTENCES": "3",
    "SEARCH_SHORTEST_WORD": "2",
}
_SECRETS = ("PUBLISH_SIGNING_KEY", "SUMMARY_API_KEY", "FEED_WEBHOOK_TOKEN", "SMTP_PASSWORD")


@dataclass(frozen=True, slots=True)
class SampleFiles:
    """Where everything lies; `secrets` are the values that no backup may hold."""

    functions: Path
    """The folder that holds `config.toml` and `functions/`."""
    settings: Path
    env_file: Path
    secrets: dict[str, str] = field(repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """What the functions see."""
        return _SETTINGS | self.secrets


def lay_out(folder: Path) -> SampleFiles:
    """Copy the sample into a folder, and write the `.env` beside it."""
    functions, settings, env_file = folder / "supabase", folder / "settings", folder / ".env"
    shutil.copytree(_HERE / "supabase", functions)
    shutil.copytree(_HERE / "settings", settings)
    for path in settings.iterdir():
        path.chmod(_MODES.get(path.name, 0o644))
    values = {name: secrets.token_urlsafe(24) for name in _SECRETS}
    env_file.touch(mode=0o600)
    env_file.write_text(_env_text(values))
    return SampleFiles(functions, settings, env_file, values)


def _env_text(values: dict[str, str]) -> str:
    lines = ["# What the pipeline's functions see", *(f'{name}="{value}"' for name, value in _SETTINGS.items()), "", "# Secrets"]
    return "\n".join(lines + [f"export {name}='{value}'" for name, value in values.items()]) + "\n"
