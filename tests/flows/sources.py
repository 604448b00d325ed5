"""A small content pipeline beside the database: functions, configuration and secrets, as the tests of flows protect them."""

from __future__ import annotations

from pathlib import Path

SECRET = "canary-of-a-secret-4f1c9a07d2"
CONFIG = """\
project_id = "pipeline"

[functions.hello]
verify_jwt = false
"""


def make_functions(folder: Path) -> Path:
    """Lay out two functions with what they share, as Supabase does."""
    for slug in ("hello", "publish"):
        (folder / "functions" / slug).mkdir(parents=True)
        (folder / "functions" / slug / "index.ts").write_text(f'Deno.serve(() => new Response("{slug}"))\n')
    (folder / "functions" / "_shared").mkdir()
    (folder / "functions" / "_shared" / "cors.ts").write_text("export const cors = {}\n")
    (folder / "functions" / "publish" / "deno.json").write_text('{"imports": {}}\n')
    (folder / "functions" / "publish" / "index.ts").chmod(0o640)
    (folder / "functions" / "publish" / "a 'quoted' link.ts").symlink_to("../_shared/cors.ts")
    (folder / "config.toml").write_text(CONFIG)
    return folder


def make_configuration(folder: Path) -> Path:
    """Write configuration files of several formats, one with a mode of its own."""
    folder.mkdir(parents=True)
    (folder / "pipeline.toml").write_text('title = "Pipeline"\n[limits]\narticles = 500\n')
    (folder / "feeds.yaml").write_text("feeds:\n  - name: news\n    every: 15\n")
    (folder / "workers.ini").write_bytes(b"[workers]\r\ncount = 4\r\n")
    (folder / "workers.ini").chmod(0o640)
    return folder


def make_env_file(path: Path) -> Path:
    """Write an .env file that holds secrets."""
    path.write_text(f"# secrets of the pipeline\nFEED_TOKEN={SECRET}\nexport MAIL_PASSWORD='{SECRET}-2'\n")
    path.chmod(0o600)
    return path


def tree(folder: Path) -> dict[str, tuple[int, bytes | str | None]]:
    """Describe all that is in a folder: mode, and content or where a link leads."""
    found: dict[str, tuple[int, bytes | str | None]] = {}
    for path in sorted(folder.rglob("*")):
        content: bytes | str | None = None
        if path.is_symlink():
            content = str(path.readlink())
        elif path.is_file():
            content = path.read_bytes()
        found[str(path.relative_to(folder))] = (path.lstat().st_mode, content)
    return found
