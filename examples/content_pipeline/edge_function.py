"""One Edge Function as its folder and `config.toml` describe it, and the Deno process that runs it.

A process may read the functions' folder and listen on this machine, and nothing else; it sees the environment that it is given,
fetches nothing from the network, and ends with whoever started it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from holdfast.errors import SettingsError
from holdfast.postgres import supervise

_MAIN = Path(__file__).with_name("edge_main.ts")
_LISTENING = re.compile(rb"edge_main: listening on (\d+)\n")
_BOOT_SECONDS = 60.0
_STOP_SECONDS = 15.0
_MOST_MEGABYTES = 128  # of JavaScript heap; a process of the sample takes about 37 MB in all


@dataclass(frozen=True, slots=True)
class EdgeFunction:
    """What is to be run; `stamp` changes with any file that it could be made of."""

    slug: str
    functions: Path
    entrypoint: Path
    import_map: Path | None
    verify_jwt: bool
    stamp: int


def function_names(folder: Path) -> list[str]:
    """Name the functions in a folder of Supabase's layout; none where it is gone."""
    functions = folder / "functions"
    if not functions.is_dir():
        return []
    return sorted(place.name for place in functions.iterdir() if place.is_dir() and not place.name.startswith(("_", ".")))


def find_function(folder: Path, slug: str) -> EdgeFunction | None:
    """Find a function in a folder of Supabase's layout; None where none of that name is there, or it is switched off.

    Raises ValueError for a `config.toml` that can't be read as one, and OSError where files come and go meanwhile.
    """
    if slug not in function_names(folder):
        return None
    told = _told(folder / "config.toml", slug)
    if not told.get("enabled", True):
        return None
    return EdgeFunction(
        slug=slug,
        functions=folder / "functions",
        entrypoint=_entrypoint(folder, slug, told),
        import_map=_import_map(folder, slug, told),
        verify_jwt=bool(told.get("verify_jwt", True)),
        stamp=_stamp(folder),
    )


def _told(config: Path, slug: str) -> dict[str, Any]:
    functions = tomllib.loads(config.read_text(encoding="utf-8")).get("functions", {}) if config.exists() else {}
    told = functions.get(slug, {}) if isinstance(functions, dict) else functions
    if not isinstance(told, dict):
        raise ValueError(f"{config} has no table of functions")  # noqa: TRY004  a problem of the file
    return told


def _entrypoint(folder: Path, slug: str, told: dict[str, Any]) -> Path:
    return folder / str(told.get("entrypoint") or f"functions/{slug}/index.ts")


def _import_map(folder: Path, slug: str, told: dict[str, Any]) -> Path | None:
    if named := told.get("import_map"):
        return folder / str(named)
    functions = folder / "functions"
    places = (functions / slug / "deno.json", functions / slug / "deno.jsonc", functions / "import_map.json")
    return next((place for place in places if place.is_file()), None)


def _stamp(folder: Path) -> int:
    """Tell one state of the folder from another by its files' names, numbers, sizes and times."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            status = os.lstat(os.path.join(place, name))  # noqa: PTH118  every call of a function comes by here
            found.append((place, name, status.st_ino, status.st_size, status.st_mtime_ns))
    return hash(tuple(sorted(found)))


def find_deno() -> Path:
    """Find the program that the package `deno` brings, beside this Python. Raises SettingsError."""
    deno = Path(sys.executable).with_name("deno")
    if not deno.exists():
        raise SettingsError(
            "The sample's functions can't run",
            reason=f"there is no Deno beside {sys.executable}",
            next_step="Install it with: pip install 'holdfast[demo]'",
        )
    return deno


class FunctionProcess:
    """A function at work. `port` is None where it could not be booted: the log says why."""

    def __init__(self, function: EdgeFunction, *, deno: Path, environment: dict[str, str], home: Path, log: BinaryIO) -> None:
        self.function = function
        self.port: int | None = None
        self._log = log
        self._booted = threading.Event()
        self._process, self._death_end = _start(_command(deno, function), environment, home)
        self._reader = threading.Thread(target=self._read, name=f"function {function.slug}", daemon=True)
        self._reader.start()
        self._booted.wait(_BOOT_SECONDS)
        if self.port is None:
            self.stop()

    @property
    def is_running(self) -> bool:
        """Tell whether it can be called."""
        return self.port is not None and self._process.poll() is None

    def stop(self) -> None:
        """End the process, and wait for its end."""
        self._process.terminate()  # does nothing once the process was waited for
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()  # the kernel then kills Deno
            self._process.wait()
        self._reader.join()
        if self._death_end >= 0:
            os.close(self._death_end)
            self._death_end = -1

    def _read(self) -> None:
        """Wait for the line that names the port; all else that is printed goes into the log."""
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                found = None if self.port else _LISTENING.fullmatch(line)
                if found:
                    self.port = int(found[1])
                    self._booted.set()
                else:
                    self._log.write(f"[{self.function.slug}] ".encode() + line)
        self._booted.set()


def _start(command: list[str], environment: dict[str, str], home: Path) -> tuple[subprocess.Popen[bytes], int]:
    own = {"DENO_DIR": str(home / "deno"), "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"}
    death, death_end = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(supervise.__file__), str(death), "--", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment | own,
            cwd=home,
            pass_fds=(death,),
            start_new_session=True,
        )
    except BaseException:
        os.close(death_end)
        raise
    finally:
        os.close(death)
    return process, death_end


def _command(deno: Path, function: EdgeFunction) -> list[str]:
    return [
        str(deno),
        "run",
        "--quiet",
        "--no-prompt",
        "--no-remote",
        "--no-npm",
        "--no-lock",
        *_modules(function.import_map),
        f"--allow-read={function.functions}",
        "--allow-net=127.0.0.1:0",
        "--allow-env",  # of which there is only what was given
        f"--v8-flags=--max-old-space-size={_MOST_MEGABYTES}",
        str(_MAIN),
        function.entrypoint.absolute().as_uri(),
    ]


def _modules(import_map: Path | None) -> list[str]:
    if import_map is None:
        return ["--no-config"]
    if import_map.name in {"deno.json", "deno.jsonc"}:
        return [f"--config={import_map}"]
    return ["--no-config", f"--import-map={import_map}"]
