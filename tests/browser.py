"""A headless Chromium for the tests of what is seen in a browser, driven by the DevTools protocol.

It asks no proxy, keeps its profile in a folder of its own, and ends with the context. Whoever waits for something that does not
come is told what the page showed instead, and what its console said; a picture of it lies in that folder.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import pytest
from websockets.sync.client import connect

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1000",
    "--remote-debugging-address=127.0.0.1",
    "--remote-debugging-port=0",
)
_START_SECONDS = 60
_END_SECONDS = 15
_ANSWER_SECONDS = 30
_SHOWN_CHARACTERS = 4000


class Browser:
    """One Chromium with one page; a context manager."""

    def __init__(self, folder: Path) -> None:
        found = list(filter(None, map(shutil.which, _PROGRAMS)))
        if not found:
            pytest.fail(f"The tests need a browser, and none of {', '.join(_PROGRAMS)} is here. Debian: apt-get install chromium")
        self._program = found[0]
        self.folder = folder
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []

    def __enter__(self) -> Self:
        profile = self.folder / "profile"
        profile.mkdir()
        with contextlib.ExitStack() as running:
            running.enter_context(self._process(profile))
            address = f"http://127.0.0.1:{self._port(profile)}/json"
            (page,) = [one for one in _read(address) if one["type"] == "page"]
            wire = connect(page["webSocketDebuggerUrl"], proxy=None, max_size=None, compression=None)
            self._wire = running.enter_context(wire)
            for domain in ("Page", "Runtime", "Log"):
                self._call(f"{domain}.enable")
            self._running = running.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._running.__exit__(kind, error, trace)

    def open(self, url: str, *texts: str, seconds: float = 60) -> str:
        """Go to an address, wait until the page shows all these texts, and return all that it shows."""
        went = self._call("Page.navigate", url=url)
        if "errorText" in went:
            pytest.fail(f"the browser can't open {url}: {went['errorText']}")
        return self.wait_for(*texts, seconds=seconds)

    def wait_for(self, *texts: str, seconds: float = 60) -> str:
        """Wait until the page shows all these texts, and return all that it shows."""
        end = time.monotonic() + seconds
        while True:
            shown = self.text()
            missing = [text for text in texts if text not in shown]
            if not missing:
                return shown
            if time.monotonic() > end:
                self.fail(f"{missing} did not appear within {seconds:g} s")
            time.sleep(0.1)

    def click(self, text: str, *, seconds: float = 60) -> None:
        """Click what says just this, the last and innermost of all that do, as soon as it is there."""
        script = f"""(() => {{
            const found = [...document.querySelectorAll('body *')]
                .filter(one => one.offsetParent !== null && one.innerText?.trim() === {json.dumps(text)});
            found.at(-1)?.click();
            return found.length;
        }})()"""
        self._until(script, f"nothing to click says {text!r}", seconds)

    def follow(self, link: str, *texts: str, seconds: float = 60) -> str:
        """Go where the first link leads whose address holds this, and wait there as `open` does."""
        script = f"document.querySelector(`a[href*=${{JSON.stringify({json.dumps(link)})}}]`)?.href"
        return self.open(str(self._until(script, f"no link leads to {link!r}", seconds)), *texts, seconds=seconds)

    def _until(self, script: str, otherwise: str, seconds: float) -> Any:
        """Work an expression out until it is true of anything, and return that."""
        end = time.monotonic() + seconds
        while not (found := self.evaluate(script)):
            if time.monotonic() > end:
                self.fail(otherwise)
            time.sleep(0.1)
        return found

    def text(self) -> str:
        """What the page shows now."""
        return str(self.evaluate("document.body ? document.body.innerText : ''") or "")

    @property
    def address(self) -> str:
        """Where the page is."""
        return str(self.evaluate("location.origin + location.pathname"))

    def evaluate(self, script: str) -> Any:
        """Have the page work out an expression, and return its value."""
        return self._call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def screenshot(self, name: str) -> Path:
        """Keep a picture of what the page shows, in the browser's folder."""
        path = self.folder / f"{name}.png"
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot")["data"]))
        return path

    def fail(self, what: str) -> None:
        """Fail the test, with what the page shows and what its console said."""
        picture = self.screenshot("failed")
        said = "\n".join(self.complaints) or "nothing"
        shown = self.text()[:_SHOWN_CHARACTERS]
        pytest.fail(f"{what} at {self.address}\nIt shows (picture: {picture}):\n{shown}\nIts console says:\n{said}")

    # The process and the wire to it

    @contextlib.contextmanager
    def _process(self, profile: Path) -> Iterator[None]:
        with (self.folder / "chromium.log").open("wb") as log:
            command = [self._program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self._started = process
            yield
        finally:
            family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            process.terminate()
            process.wait(_END_SECONDS)
            _, alive = psutil.wait_procs(family, _END_SECONDS)  # the children write into the profile to the end
            for one in alive:
                one.kill()

    def _port(self, profile: Path) -> int:
        """The port that it chose; it writes the file when it listens."""
        chosen = profile / "DevToolsActivePort"
        end = time.monotonic() + _START_SECONDS
        while not (chosen.exists() and (lines := chosen.read_text().splitlines())):
            if self._started.poll() is not None or time.monotonic() > end:
                pytest.fail(f"{self._program} did not start:\n{(self.folder / 'chromium.log').read_text(errors='replace')}")
            time.sleep(0.05)
        return int(lines[0])

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._wire.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._wire.recv(timeout=_ANSWER_SECONDS))
            if message.get("id") == number:
                if "error" in message:
                    raise AssertionError(f"{method}: {message['error']}")
                return dict(message["result"])
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        """Keep what went wrong in the page."""
        told = message.get("params", {})
        if message["method"] == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.complaints.append(str(details.get("exception", {}).get("description") or details["text"]))
        elif message["method"] == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.complaints.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
        elif message["method"] == "Runtime.consoleAPICalled" and told["type"] == "error":
            self.complaints.append(" ".join(str(one.get("value", one.get("description", ""))) for one in told["args"]))


def _read(address: str) -> Any:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(address, timeout=_ANSWER_SECONDS) as answer:
        return json.loads(answer.read())
