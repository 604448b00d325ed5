"""What runs in a project after its functions were brought back, or after that failed half-way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from holdfast.errors import (
    DamagedError,
    NotFoundError,
    RefusedError,
    SourceFailedError,
    SourceUnreachableError,
    TargetNotEmptyError,
    UnsafePathError,
)
from holdfast.sources.functions.directory import FunctionDirectory
from holdfast.sources.functions.redeploy import Redeployment, roll_back
from holdfast.sources.functions.supabase import SupabaseFunctions
from holdfast.sources.supabase import ManagementApi
from holdfast.sources.supabase.deployable import deployables
from tests.sources.functions.restored import back_up_and_restore
from tests.sources.supabase.conftest import PATIENT
from tests.sources.supabase.server import REF, TOKEN, Deployed, ManagementServer

HELLO = {
    "functions/hello/index.ts": b'import { hi } from "../_shared/hi.ts";\nimport { x } from "lib/x.ts";\nDeno.serve(() => x);\n',
    "functions/hello/page.html": b"<h1>hello</h1>\n",
    "functions/_shared/hi.ts": b'export const hi = "h\xc3\xaf";\r\n\r\n--not a boundary',
    "functions/_shared/lib/x.ts": b"export const x = 1;\n",
    "functions/deno.json": b'{"imports": {"lib/": "./_shared/lib/"}}\n',
}
HELLO_METADATA = {
    "name": "Hello, world",
    "entrypoint_path": "functions/hello/index.ts",
    "import_map_path": "functions/deno.json",
    "verify_jwt": False,
    "static_patterns": ["functions/hello/page.html"],
}
ALONE = {"index.ts": b"Deno.serve(() => new Response());\n"}


@pytest.fixture
def switches() -> list[dict[str, Deployed]]:
    return []


@pytest.fixture
def server(switches: list[dict[str, Deployed]]) -> Iterator[ManagementServer]:
    with ManagementServer() as running:
        running.project.deploy("hello", HELLO_METADATA, HELLO, bundle_only=False)
        running.project.deploy("alone", {"entrypoint_path": "index.ts", "verify_jwt": True}, ALONE, bundle_only=False)
        running.project.deploy("third", {"entrypoint_path": "index.ts", "verify_jwt": True}, ALONE, bundle_only=False)
        running.project.on_switch = switches.append
        yield running


@pytest.fixture
def api(server: ManagementServer) -> Iterator[ManagementApi]:
    with ManagementApi(server.address, REF, SecretStr(TOKEN), policy=PATIENT) as opened:
        yield opened


@pytest.fixture
def facts(api: ManagementApi, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """What a backup of the project says, restored to the folder `restored`."""
    return back_up_and_restore(SupabaseFunctions(api), tmp_path / "restored")


def _redeployment(
    api: ManagementApi, facts: dict[str, dict[str, Any]], tmp_path: Path, slugs: list[str] | None = None
) -> Redeployment:
    return Redeployment(api, deployables(facts, tmp_path / "restored", slugs), tmp_path / "previous")


def _lose_all(server: ManagementServer) -> None:
    server.project.functions.clear()


def _change(server: ManagementServer, slug: str, text: bytes = b"changed();\n") -> None:
    server.project.deploy(slug, {"entrypoint_path": "index.ts", "verify_jwt": True}, {"index.ts": text}, bundle_only=False)


def _running(server: ManagementServer) -> dict[str, tuple[dict[str, bytes], bool, object]]:
    return {
        slug: (one.files, one.info["verify_jwt"], one.metadata.get("import_map_path"))
        for slug, one in server.project.functions.items()
    }


def test_a_project_that_lost_all_functions_runs_the_same_ones_again(
    api: ManagementApi, server: ManagementServer, facts: dict[str, Any], tmp_path: Path, switches: list[dict[str, Deployed]]
) -> None:
    before = deepcopy(server.project.functions)
    _lose_all(server)
    redeployment = _redeployment(api, facts, tmp_path)
    assert {(one.slug, one.action) for one in redeployment.preflight()} == {(slug, "create") for slug in before}
    redeployment.deploy_each()
    assert server.project.functions == {}
    assert {one.slug for one in redeployment.switch()} == set(before)
    after = server.project.functions
    assert {slug: (one.files, one.metadata) for slug, one in after.items()} == {
        slug: (one.files, {"name": slug} | one.metadata) for slug, one in before.items()
    }
    assert after["hello"].info["verify_jwt"] is False
    assert after["hello"].info["ezbr_sha256"] == before["hello"].info["ezbr_sha256"]
    assert [set(one) for one in switches] == [set(before)]


def test_a_second_round_trip_gives_the_same_names_and_nests_nothing_deeper(
    api: ManagementApi, server: ManagementServer, facts: dict[str, Any], tmp_path: Path
) -> None:
    redeployment = _redeployment(api, facts, tmp_path)
    redeployment.deploy_each()
    redeployment.switch()
    again = back_up_and_restore(SupabaseFunctions(api), tmp_path / "again")
    for name in ("function/hello", "function/alone"):
        assert again[name]["names"] == facts[name]["names"]
        assert again[name]["entrypoint"] == facts[name]["entrypoint"]
        assert again[name]["supabase"]["ezbr_sha256"] == facts[name]["supabase"]["ezbr_sha256"]


def test_one_function_comes_back_and_the_others_are_not_touched(
    api: ManagementApi, server: ManagementServer, facts: dict[str, Any], tmp_path: Path
) -> None:
    _change(server, "hello")
    _change(server, "alone")
    others = {slug: deepcopy(one) for slug, one in server.project.functions.items() if slug != "hello"}
    redeployment = _redeployment(api, facts, tmp_path, ["hello"])
    redeployment.deploy_each()
    redeployment.switch()
    assert server.project.functions["hello"].files == HELLO
    assert {slug: one for slug, one in server.project.functions.items() if slug != "hello"} == others


def test_preflight_tells_what_is_new_what_differs_and_what_is_the_same(
    api: ManagementApi, server: ManagementServer, facts: dict[str, Any], tmp_path: Path
) -> None:
    _change(server, "hello")
    server.project.delete("third")
    planned = {one.slug: (one.action, one.version) for one in _redeployment(api, facts, tmp_path).preflight()}
    assert planned == {"hello": ("replace", 2), "alone": ("same", 1), "third": ("create", None)}


def test_a_function_that_can_not_be_bundled_leaves_all_as_they_were(
    api: ManagementApi, server: ManagementServer, facts: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "restored/functions/third/source/index.ts").write_text('import "./lost.ts";\n')
    _change(server, "hello")
    before = deepcopy(server.project.functions)
    with pytest.raises(SourceFailedError, match=r"deploy function third .*Module not found"):
        _redeployment(api, facts, tmp_path).deploy_each()
    assert server.project.functions == before


def test_a_switch_that_is_refused_leaves_all_as_they_were(
    api: ManagementApi, server: ManagementServer, facts: dict[str, Any], tmp_path: Path
) -> None:
    redeployment = _redeployment(api, facts, tmp_path)
    redeployment.deploy_each()
    before = deepcopy(server.project.functions)
    server.fail("PUT", "/functions", status=409, body=b'{"message":"another deployment is under way"}')
    with pytest.raises(SourceFailedError, match=r"switch the functions .*409.*under way"):
        redeployment.switch()
    assert server.project.functions == before


def test_a_switch_whose_answer_was_lost_is_done_once_and_found_done(
    api: ManagementApi, server: ManagementServer, facts: dict[str, Any], tmp_path: Path
) -> None:
    _lose_all(server)
    redeployment = _redeployment(api, facts, tmp_path)
    redeployment.deploy_each()
    server.fail("PUT", "/functions", "reset", after=True)
    assert {one.slug: one.version for one in redeployment.switch()} == {"hello": 1, "alone": 1, "third": 1}


def test_a_switch_that_the_service_says_it_did_and_did_not_is_noticed(
    api: ManagementApi, server: ManagementServer, facts: dict[str, Any], tmp_path: Path
) -> None:
    redeployment = _redeployment(api, facts, tmp_path, ["hello"])
    redeployment.deploy_each()
    server.fail("PUT", "/functions", status=200, body=b"{}")
    server.project.delete("third")
    with pytest.raises(SourceFailedError, match=r"not switched: hello; gone, and not by us: third"):
        redeployment.switch()


def test_what_was_replaced_comes_back_and_what_was_new_goes(
    api: ManagementApi, server: ManagementServer, facts: dict[str, Any], tmp_path: Path
) -> None:
    _change(server, "hello", b"newer();\n")
    server.project.delete("third")
    before = _running(server)
    redeployment = _redeployment(api, facts, tmp_path)
    redeployment.deploy_each()
    redeployment.switch()
    assert _running(server) != before
    assert redeployment.roll_back() == ["alone", "hello", "third"]
    assert _running(server) == before
    assert redeployment.roll_back() == ["alone", "hello", "third"]
    assert _running(server) == before


def test_a_redeployment_that_was_killed_after_the_switch_can_be_rolled_back_by_another_process(
    server: ManagementServer, api: ManagementApi, facts: dict[str, Any], tmp_path: Path
) -> None:
    _change(server, "hello", b"newer();\n")
    before = _running(server)
    died = subprocess.run(
        [sys.executable, "-c", _KILLED, server.address, REF, str(tmp_path)], env=os.environ | {"TOKEN": TOKEN}, check=False
    )
    assert died.returncode == -signal.SIGKILL
    assert server.project.functions["hello"].files == HELLO
    assert roll_back(api, tmp_path / "previous") == ["hello"]
    assert _running(server) == before


_KILLED = """
import os, signal, sys
from pathlib import Path
from pydantic import SecretStr
from holdfast.sources.functions.redeploy import Redeployment
from holdfast.sources.functions.supabase import SupabaseFunctions
from holdfast.sources.supabase import ManagementApi
from holdfast.sources.supabase.deployable import deployables

address, project, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
api = ManagementApi(address, project, SecretStr(os.environ["TOKEN"]))
restored = folder / "restored"
files = {str(path.relative_to(restored)): path for path in restored.rglob("*") if path.is_file() and "hello" in path.parts}
names = {path: path.removeprefix("functions/hello/") for path in files}
facts = {"slug": "hello", "entrypoint": "functions/hello/source/functions/hello/index.ts",
         "import_map": "functions/hello/source/functions/deno.json", "verify_jwt": False, "names": names,
         "supabase": {"name": "hello", "ezbr_sha256": None}}
redeployment = Redeployment(api, deployables({"function/hello": facts}, restored), folder / "previous")
redeployment.deploy_each()
redeployment.switch()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_function_without_source_is_replaced_all_the_same_and_a_roll_back_names_it(
    api: ManagementApi, server: ManagementServer, facts: dict[str, Any], tmp_path: Path
) -> None:
    _change(server, "alone")
    server.project.without_source.add("hello")
    redeployment = _redeployment(api, facts, tmp_path)
    redeployment.deploy_each()
    redeployment.switch()
    with pytest.raises(SourceFailedError, match=r"could be brought back: function hello: .*no source"):
        redeployment.roll_back()
    assert server.project.functions["alone"].files == {"index.ts": b"changed();\n"}


def test_what_was_kept_is_never_overwritten(
    api: ManagementApi, server: ManagementServer, facts: dict[str, Any], tmp_path: Path
) -> None:
    _redeployment(api, facts, tmp_path).deploy_each()
    with pytest.raises(TargetNotEmptyError):
        _redeployment(api, facts, tmp_path).deploy_each()


def test_nothing_is_rolled_back_from_a_folder_that_keeps_nothing_or_keeps_another_project(
    api: ManagementApi, server: ManagementServer, facts: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(NotFoundError):
        roll_back(api, tmp_path / "previous")
    _redeployment(api, facts, tmp_path).deploy_each()
    with ManagementApi(server.address, "other", SecretStr(TOKEN)) as other, pytest.raises(RefusedError, match=REF):
        roll_back(other, tmp_path / "previous")
    (tmp_path / "previous/redeployment.json").write_bytes(b'{"schema":')
    with pytest.raises(DamagedError):
        roll_back(api, tmp_path / "previous")


def test_a_service_that_is_down_while_what_is_there_is_kept_stops_all_before_anything_is_sent(
    api: ManagementApi, server: ManagementServer, facts: dict[str, Any], tmp_path: Path
) -> None:
    server.fail("GET", "/hello/body", status=503, times=9)
    with pytest.raises(SourceUnreachableError):
        _redeployment(api, facts, tmp_path).deploy_each()
    assert server.count("POST", "/deploy") == 0


def test_a_function_that_is_in_no_backup_is_named_with_those_that_are(facts: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no function 'helo'.*alone, hello, third"):
        deployables(facts, tmp_path / "restored", ["helo"])


CONFIG = """
[functions.hello]
verify_jwt = false
import_map = "./functions/deno.json"
static_files = ["./functions/hello/*.html"]
[functions.other]
entrypoint = "./functions/other/main.ts"
[functions.off]
enabled = false
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "supabase"
    files = HELLO | {
        "config.toml": CONFIG.encode(),
        "functions/other/main.ts": b'import { hi } from "../_shared/hi.ts";\n',
        "functions/other/deno.json": b"{}",
        "functions/off/index.ts": b"",
        "functions/.env": b"SECRET=canary",
        "functions/hello/.env.local": b"SECRET=canary",
        "migrations/1.sql": b"select 1;",
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "functions/hello/linked.ts").symlink_to("../_shared/hi.ts")
    return root


def test_functions_of_a_folder_are_deployed_with_what_they_share(
    api: ManagementApi, server: ManagementServer, folder: Path, tmp_path: Path
) -> None:
    _lose_all(server)
    facts = back_up_and_restore(FunctionDirectory(folder), tmp_path / "restored")
    redeployment = _redeployment(api, facts, tmp_path)
    redeployment.deploy_each()
    redeployment.switch()
    running = server.project.functions
    assert set(running) == {"hello", "other"}
    assert running["hello"].metadata == HELLO_METADATA | {"name": "hello", "static_patterns": ["functions/hello/*.html"]}
    assert running["hello"].files == HELLO | {"functions/hello/linked.ts": HELLO["functions/_shared/hi.ts"]}
    assert running["other"].metadata["entrypoint_path"] == "functions/other/main.ts"
    assert running["other"].metadata["import_map_path"] == "functions/other/deno.json"
    assert running["other"].info["verify_jwt"] is True
    assert "functions/_shared/hi.ts" in running["other"].files
    assert not any("hello" in name or "canary" in str(content) for name, content in running["other"].files.items())


def test_a_function_that_config_toml_disables_is_deployed_only_where_it_is_asked_for(folder: Path, tmp_path: Path) -> None:
    facts = back_up_and_restore(FunctionDirectory(folder), tmp_path / "restored")
    assert [one.slug for one in deployables(facts, tmp_path / "restored")] == ["hello", "other"]
    assert [one.slug for one in deployables(facts, tmp_path / "restored", ["off"])] == ["off"]


def test_a_link_that_leads_out_of_the_backup_is_not_sent(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("canary")
    (folder / "functions/hello/out.ts").symlink_to(tmp_path / "secret.txt")
    facts = back_up_and_restore(FunctionDirectory(folder), tmp_path / "restored")
    with pytest.raises(UnsafePathError, match=r"functions/hello/out\.ts"):
        deployables(facts, tmp_path / "restored", ["hello"])


def test_a_function_without_its_entrypoint_is_named_before_anything_is_sent(folder: Path, tmp_path: Path) -> None:
    (folder / "functions/hello/index.ts").rename(folder / "functions/hello/start.ts")
    facts = back_up_and_restore(FunctionDirectory(folder), tmp_path / "restored")
    with pytest.raises(SourceFailedError, match="function hello can't be deployed: its entrypoint is missing"):
        deployables(facts, tmp_path / "restored")


def test_static_files_are_sent_from_wherever_config_toml_names_them(folder: Path, tmp_path: Path) -> None:
    (folder / "assets").mkdir()
    (folder / "assets/größe [1].bin").write_bytes(bytes(range(256)))
    (folder / "config.toml").write_text('[functions.hello]\nstatic_files = ["assets/*.bin"]\n')
    facts = back_up_and_restore(FunctionDirectory(folder), tmp_path / "restored")
    [hello] = deployables(facts, tmp_path / "restored", ["hello"])
    assert hello.metadata()["static_patterns"] == ["assets/*.bin"]
    assert {file.name: file.content for file in hello.contents()}["assets/größe [1].bin"] == bytes(range(256))


@pytest.mark.parametrize(
    "said", ['static_files = ["assets/**.bin"]', 'static_files = ["../*.bin"]', 'entrypoint = "/etc/passwd"']
)
def test_a_configuration_that_names_what_can_not_be_sent_is_refused_with_the_function(
    folder: Path, tmp_path: Path, said: str
) -> None:
    (folder / "config.toml").write_text(f"[functions.hello]\n{said}\n")
    facts = back_up_and_restore(FunctionDirectory(folder), tmp_path / "restored")
    with pytest.raises((SourceFailedError, UnsafePathError), match="function hello"):
        deployables(facts, tmp_path / "restored", ["hello"])


def test_a_backup_with_nothing_to_deploy_is_refused(api: ManagementApi, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="no function to deploy"):
        Redeployment(api, [], tmp_path / "previous").preflight()
