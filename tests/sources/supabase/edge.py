"""What becomes of deployed functions: they are laid out in a folder, which an edge runtime serves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests.sources.supabase.server import Deployed


class Edge:
    """What Supabase does with deployed functions: after each switch they, and no others, run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def switch(self, functions: dict[str, Deployed]) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        for slug, deployed in functions.items():
            for name, content in deployed.files.items():
                path = self.folder / "functions" / slug / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        (self.folder / "config.toml").write_text("\n".join(_table(slug, deployed) for slug, deployed in functions.items()))


def _table(slug: str, deployed: Deployed) -> str:
    settings: dict[str, Any] = {"entrypoint": f"functions/{slug}/{deployed.metadata['entrypoint_path']}"}
    if import_map := deployed.metadata.get("import_map_path"):
        settings["import_map"] = f"functions/{slug}/{import_map}"
    settings["verify_jwt"] = deployed.info["verify_jwt"]
    return "\n".join([f"[functions.{slug}]", *(f"{name} = {json.dumps(value)}" for name, value in settings.items())])
