"""The sample's Edge Functions run on a real Deno and do their work; what is broken, lost or refused is told as by Supabase."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from examples.content_pipeline.edge_function import function_names
from examples.content_pipeline.edge_runtime import EdgeRuntime
from examples.content_pipeline.sample_files import SampleFiles, lay_out

TOKEN = {"Authorization": "Bearer anything"}


@pytest.fixture
def sample(tmp_path: Path) -> SampleFiles:
    """The sample's files, laid out afresh."""
    return lay_out(tmp_path / "sample")


@pytest.fixture
def runtime(sample: SampleFiles, tmp_path: Path) -> Iterator[EdgeRuntime]:
    """The sample's functions, served."""
    with EdgeRuntime(sample.functions, environment=sample.environment, home=tmp_path / "edge") as running:
        yield running


def call(runtime: EdgeRuntime, name: str, **request: object) -> httpx.Response:
    """GET, or POST where there is something to say."""
    method = "POST" if request else "GET"
    return httpx.request(method, f"{runtime.url}/{name}", headers=TOKEN, trust_env=False, timeout=60, **request)  # type: ignore[arg-type]


def code(response: httpx.Response) -> tuple[int, str]:
    """Status and error code, which header and body agree on."""
    assert response.json()["code"] == response.headers["sb-error-code"]
    return response.status_code, response.headers["sb-error-code"]


def test_every_function_answers_and_tells_its_name_and_version(runtime: EdgeRuntime) -> None:
    names = function_names(runtime.folder)
    assert names == ["healthz", "ingest-article", "publish", "search-index", "summarise"]
    for name in names:
        answer = call(runtime, name)
        assert answer.status_code == 200
        assert answer.json()["function"] == name
        assert answer.json()["version"]


def test_the_functions_do_their_work(runtime: EdgeRuntime) -> None:
    """Import maps of each kind, shared modules, static files and the environment are all needed for it."""
    assert call(runtime, "healthz").json()["healthy"] is True
    ingested = call(
        runtime, "ingest-article", json={"title": "  Café à São Paulo! ", "body": "One.\r\nTwo  three.", "language": "PT"}
    )
    assert ingested.status_code == 201
    assert ingested.json()["article"] == {
        "slug": "cafe-a-sao-paulo",
        "title": "Café à São Paulo!",
        "body": "One.\nTwo three.",
        "language": "pt",
        "words": 3,
    }
    assert call(runtime, "ingest-article", content=b"no JSON").json()["problems"][0].startswith("title:")
    text = "Ships came. The harbour had ships and ships. A cat slept. Ships left the harbour. Rain fell."
    assert call(runtime, "summarise", json={"text": text}).json()["summary"].startswith("Ships came. The harbour")
    feed = call(runtime, "publish", json={"articles": [{"slug": "a-b", "title": "A < B & more"}]}).json()
    assert "<title>A &lt; B &amp; more</title>" in feed["feed"]
    assert "Notes from the pipeline" in feed["feed"]
    assert len(feed["signature"]) == 64
    assert call(runtime, "search-index", json={"text": "The ship and the SHIP"}).json()["words"] == {"ship": 2}


def test_only_a_function_that_says_so_is_open_without_a_token(runtime: EdgeRuntime) -> None:
    assert httpx.get(f"{runtime.url}/healthz").status_code == 200
    assert code(httpx.get(f"{runtime.url}/summarise")) == (401, "UNAUTHORIZED_NO_AUTH_HEADER")
    basic = httpx.get(f"{runtime.url}/summarise", headers={"Authorization": "Basic YTpi"})
    assert code(basic) == (401, "UNAUTHORIZED_INVALID_JWT_FORMAT")
    assert httpx.options(f"{runtime.url}/summarise").status_code == 200  # browsers ask this without a token


@pytest.mark.parametrize("name", ["nope", "_shared", "..", "%2e%2e%2fconfig.toml", "", "import_map.json/x", "healthz%00"])
def test_what_is_no_function_is_not_found(runtime: EdgeRuntime, name: str) -> None:
    raw = httpx.URL(runtime.url).copy_with(raw_path=f"/functions/v1/{name}".encode())
    assert code(httpx.get(raw)) == (404, "NOT_FOUND")


def test_a_function_that_does_not_start_says_so_and_the_others_go_on(runtime: EdgeRuntime, sample: SampleFiles) -> None:
    broken = {
        "no-syntax": "Deno.serve(() => { return new Response('half",
        "throws": "throw new Error('no configuration');",
        "never-serves": "console.log('done');",
        "no-module": "import { gone } from '../_shared/gone.ts'; Deno.serve(() => new Response(gone));",
        "from-afar": "import { x } from 'https://example.com/x.ts'; Deno.serve(() => new Response(x));",
    }
    for name, text in broken.items():
        (sample.functions / "functions" / name).mkdir()
        (sample.functions / "functions" / name / "index.ts").write_text(text)
    (sample.functions / "functions" / "nothing-inside").mkdir()
    for name in [*broken, "nothing-inside"]:
        assert code(call(runtime, name)) == (503, "BOOT_ERROR")
    assert call(runtime, "healthz").status_code == 200
    assert "no configuration" in runtime.log_path.read_text()


def test_a_function_that_fails_at_work_or_dies_is_told_and_boots_again(runtime: EdgeRuntime, sample: SampleFiles) -> None:
    place = sample.functions / "functions" / "moody"
    place.mkdir()
    (place / "index.ts").write_text("""
        Deno.serve({ port: 8000 }, (request) => {
          const asked = new URL(request.url).searchParams.get("mood");
          if (asked === "throw") throw new Error("not today");
          if (asked === "die") Deno.exit(3);
          return new Response(asked);
        });
    """)
    failed = call(runtime, "moody?mood=throw")
    assert (failed.status_code, failed.headers["sb-error-code"]) == (500, "EDGE_FUNCTION_ERROR")
    assert code(call(runtime, "moody?mood=die")) == (500, "WORKER_ERROR")
    assert call(runtime, "moody/deep/er?mood=well").text == "well"


def test_a_function_that_exports_fetch_is_served(runtime: EdgeRuntime, sample: SampleFiles) -> None:
    place = sample.functions / "functions" / "modern"
    place.mkdir()
    (place / "index.ts").write_text("""
        console.log("edge_main: listening on the sea");
        export default { fetch: (asked: Request) => new Response(new URL(asked.url).pathname) };
    """)
    assert call(runtime, "modern/a%20b").text == "/modern/a%20b"
    assert "[modern] edge_main: listening on the sea" in runtime.log_path.read_text()


def test_a_function_sees_its_own_environment_and_no_other_file(
    runtime: EdgeRuntime, sample: SampleFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "canary")
    place = sample.functions / "functions" / "nosy"
    place.mkdir()
    (place / "index.ts").write_text("""
        const tried = async (what: () => unknown) => {
          try { return String(await what()); } catch (error) { return error.name; }
        };
        Deno.serve(async () => Response.json({
          env: Object.keys(Deno.env.toObject()),
          file: await tried(() => Deno.readTextFile(new URL("../../../.env", import.meta.url))),
          write: await tried(() => Deno.writeTextFile(new URL("./new.txt", import.meta.url), "x")),
          run: await tried(() => new Deno.Command("/bin/true").output()),
          net: await tried(() => fetch("http://127.0.0.1:8123/")),
        }));
    """)
    seen = call(runtime, "nosy").json()
    names = set(seen.pop("env"))
    assert sample.environment.keys() <= names
    assert not names & {"SECRET_OF_THE_HOST", "HOME", "USER"}
    assert seen == dict.fromkeys(("file", "write", "run", "net"), "NotCapable")


def test_a_lost_folder_answers_no_more_and_one_brought_back_answers_at_once(runtime: EdgeRuntime, sample: SampleFiles) -> None:
    kept = sample.functions.with_name("kept")
    assert call(runtime, "publish").status_code == 200
    shutil.copytree(sample.functions, kept)
    shutil.rmtree(sample.functions)
    assert code(call(runtime, "publish")) == (404, "NOT_FOUND")
    reply = kept / "functions" / "_shared" / "reply.ts"
    reply.write_text(reply.read_text().replace("function: who.name", 'function: who.name + " again"'))
    kept.rename(sample.functions)
    assert call(runtime, "publish").json()["function"] == "publish again"


def test_a_config_that_nobody_can_read_is_told(runtime: EdgeRuntime, sample: SampleFiles) -> None:
    for text in ("[functions.publish\n", "functions = 3\n", "[functions]\npublish = 3\n"):
        (sample.functions / "config.toml").write_text(text)
        assert code(call(runtime, "publish")) == (503, "LOAD_FUNCTION_METADATA_ERROR")
    (sample.functions / "config.toml").write_text("[functions.publish]\nenabled = false\n")
    assert code(call(runtime, "publish")) == (404, "NOT_FOUND")


def test_many_callers_at_once_share_one_process(runtime: EdgeRuntime) -> None:
    statuses: list[int] = []
    callers = [threading.Thread(target=lambda: statuses.append(call(runtime, "healthz").status_code)) for _ in range(12)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert statuses == [200] * 12
    assert len(_deno_below(psutil.Process())) == 1


def test_a_caller_that_hangs_up_disturbs_nobody(runtime: EdgeRuntime, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection(("127.0.0.1", httpx.URL(runtime.url).port or 0)) as caller:
        caller.sendall(b"GET /functions/v1/healthz HT")
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert call(runtime, "healthz").status_code == 200
    end = time.monotonic() + 60
    while "ConnectionResetError" not in runtime.log_path.read_text() and time.monotonic() < end:
        time.sleep(0.02)
    assert "ConnectionResetError" in runtime.log_path.read_text()
    assert capfd.readouterr().err == ""


def test_nothing_is_left_running_even_when_the_runtime_is_killed(sample: SampleFiles, tmp_path: Path) -> None:
    script = f"""
import sys, time
from pathlib import Path
from examples.content_pipeline.edge_runtime import EdgeRuntime
with EdgeRuntime(Path({str(sample.functions)!r}), environment={{}}, home=Path({str(tmp_path / "edge")!r})) as runtime:
    print(runtime.url, flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert httpx.get(f"{process.stdout.readline().strip()}/healthz").status_code == 200
        running = _deno_below(psutil.Process(process.pid))
        assert len(running) == 1
        os.kill(process.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(running, timeout=60)
    assert alive == []


def test_the_secrets_are_new_each_time_and_in_one_file_only(sample: SampleFiles, tmp_path: Path) -> None:
    other = lay_out(tmp_path / "other")
    assert sample.secrets.keys() == other.secrets.keys()
    assert not set(sample.secrets.values()) & set(other.secrets.values())
    assert sample.env_file.stat().st_mode & 0o777 == 0o600
    for path in (path for path in sample.env_file.parent.rglob("*") if path.is_file()):
        held = [value for value in sample.secrets.values() if value.encode() in path.read_bytes()]
        assert held == (list(sample.secrets.values()) if path == sample.env_file else [])


def _deno_below(process: psutil.Process) -> list[psutil.Process]:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        below = [child for child in process.children(recursive=True) if child.name() == "deno"]
        if below:
            return below
        time.sleep(0.05)
    return []
