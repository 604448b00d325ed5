"""What a backup of a Supabase project's functions holds, and what it says of what it could not read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from holdfast.errors import NotFoundError, SourceFailedError, SourceUnreachableError, UnsafePathError
from holdfast.sources.contract import Content, Part
from holdfast.sources.files import SourceFile
from holdfast.sources.functions.supabase import SupabaseFunctions
from holdfast.sources.supabase import ManagementApi
from holdfast.sources.tar import TarStream
from tests.sources.conformance import SourceConformance
from tests.sources.supabase.conftest import PATIENT
from tests.sources.supabase.server import REF, TOKEN, ManagementServer, multipart

INDEX = b'import { hi } from "../_shared/hi.ts";\nDeno.serve(() => new Response(hi));\n'
FILES = {
    "functions/hello/index.ts": INDEX,
    "functions/_shared/hi.ts": b"export const hi = 'hi';\n",
    "functions/deno.json": b'{"imports":{}}',
}
METADATA = {
    "name": "Hello, world",
    "entrypoint_path": "functions/hello/index.ts",
    "import_map_path": "functions/deno.json",
    "verify_jwt": False,
}


@pytest.fixture
def server() -> Iterator[ManagementServer]:
    with ManagementServer() as running:
        running.project.deploy("hello", METADATA, FILES, bundle_only=False)
        running.project.deploy("alone", {"entrypoint_path": "index.ts"}, {"index.ts": b"Deno.serve();"}, bundle_only=False)
        yield running


@pytest.fixture
def source(server: ManagementServer) -> Iterator[SupabaseFunctions]:
    opened = SupabaseFunctions(ManagementApi(server.address, REF, SecretStr(TOKEN), policy=PATIENT))
    yield opened
    opened.close()


class TestConformance(SourceConformance):
    @pytest.fixture
    def source(self, source: SupabaseFunctions) -> SupabaseFunctions:
        return source


def _contents(content: Content) -> dict[str, bytes]:
    return {file.path: file.content for file in content.files or () if isinstance(file.content, bytes)}


def _tar(content: Content) -> bytes:
    return b"".join(iter(lambda stream=TarStream(content.files or (), []): stream.read(1 << 16), b""))


def test_every_function_is_a_part_with_all_its_files_and_what_a_redeployment_needs(source: SupabaseFunctions) -> None:
    assert source.parts() == [Part("functions", "json"), Part("function/alone", "tar"), Part("function/hello", "tar")]
    content = source.read(Part("function/hello", "tar"))
    assert _contents(content) == {f"functions/hello/source/{name}": data for name, data in FILES.items()}
    facts = content.facts
    assert facts["entrypoint"] == "functions/hello/source/functions/hello/index.ts"
    assert facts["import_map"] == "functions/hello/source/functions/deno.json"
    assert facts["verify_jwt"] is False
    assert facts["names"]["functions/hello/source/functions/_shared/hi.ts"] == "source/functions/_shared/hi.ts"
    assert facts["supabase"]["name"] == "Hello, world"
    assert facts["supabase"]["version"] == 1
    assert content.left_out == []


def test_the_list_of_functions_is_a_part_of_its_own(source: SupabaseFunctions) -> None:
    parts = source.parts()
    document = source.read(parts[0]).document
    assert [one["slug"] for one in document["functions"]] == ["alone", "hello"]
    assert all(one["ezbr_sha256"] for one in document["functions"])


def test_an_unchanged_function_gives_the_same_bytes_again(source: SupabaseFunctions, server: ManagementServer) -> None:
    source.parts()
    first = _tar(source.read(Part("function/hello", "tar")))
    server.path_in_header = True
    source.parts()
    assert _tar(source.read(Part("function/hello", "tar"))) == first
    assert b"functions/hello/source" in first


def test_folders_come_before_their_files_and_all_have_the_time_of_the_deployment(source: SupabaseFunctions) -> None:
    source.parts()
    files: list[SourceFile] = list(source.read(Part("function/hello", "tar")).files or ())
    seen: set[str] = {"functions"}
    for file in files:
        assert file.path.rsplit("/", 1)[0] in seen
        seen.add(file.path)
    assert {file.modified_ns for file in files} == {
        source.read(Part("function/hello", "tar")).facts["supabase"]["updated_at"] * 10**6
    }


def test_a_project_without_functions_has_no_parts(source: SupabaseFunctions, server: ManagementServer) -> None:
    server.project.functions.clear()
    assert source.parts() == []


def test_the_source_names_project_and_address(source: SupabaseFunctions, server: ManagementServer) -> None:
    assert source.description == {"kind": "supabase", "name": REF, "address": server.address}


def test_a_function_that_was_deleted_meanwhile_is_named_and_the_others_are_read(
    source: SupabaseFunctions, server: ManagementServer
) -> None:
    source.parts()
    server.project.delete("hello")
    with pytest.raises(NotFoundError, match="function hello"):
        source.read(Part("function/hello", "tar"))
    assert _contents(source.read(Part("function/alone", "tar"))) == {"functions/alone/source/index.ts": b"Deno.serve();"}


def test_a_function_that_is_deployed_while_it_is_read_is_stored_as_one_version(
    source: SupabaseFunctions, server: ManagementServer
) -> None:
    source.parts()
    _deploy_after_each_body(server, times=1)
    content = source.read(Part("function/hello", "tar"))
    assert content.facts["supabase"]["version"] == 2
    assert _contents(content)["functions/hello/source/functions/hello/index.ts"] == INDEX + b"// 2\n"


def test_a_function_that_is_deployed_again_and_again_is_reported(source: SupabaseFunctions, server: ManagementServer) -> None:
    source.parts()
    _deploy_after_each_body(server, times=99)
    with pytest.raises(SourceUnreachableError, match=r"function hello .* deployed anew while it was read, 3 times"):
        source.read(Part("function/hello", "tar"))


def _deploy_after_each_body(server: ManagementServer, times: int) -> None:
    left = [times]

    def deploy(_: str, path: str) -> None:
        if path.endswith("/functions/hello") and left[0]:
            left[0] -= 1
            version = server.project.functions["hello"].info["version"] + 1
            changed = FILES | {"functions/hello/index.ts": INDEX + f"// {version}\n".encode()}
            server.project.deploy("hello", METADATA, changed, bundle_only=False)

    server.before_answer = deploy


def test_a_function_that_was_deployed_as_a_bundle_is_said_to_have_no_source(
    source: SupabaseFunctions, server: ManagementServer
) -> None:
    server.project.without_source.add("hello")
    source.parts()
    with pytest.raises(SourceFailedError, match=r"function hello .* has no source to back up.*octet-stream.*Deploy it again"):
        source.read(Part("function/hello", "tar"))


@pytest.mark.parametrize("name", ["../../x.ts", "/etc/passwd", ""])
def test_a_file_that_would_leave_its_folder_refuses_the_function_and_no_other(
    source: SupabaseFunctions, server: ManagementServer, name: str
) -> None:
    source.parts()
    _give_body(server, multipart([f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n\r\nx'.encode()]))
    with pytest.raises(UnsafePathError, match="function hello"):
        source.read(Part("function/hello", "tar"))
    assert source.read(Part("function/alone", "tar")).left_out == []


def test_an_entrypoint_that_the_service_does_not_give_is_listed_as_left_out(
    source: SupabaseFunctions, server: ManagementServer
) -> None:
    source.parts()
    _give_body(server, multipart([b'Content-Disposition: form-data; name="file"; filename="other.ts"\r\n\r\nx']))
    content = source.read(Part("function/hello", "tar"))
    assert [one.name for one in content.left_out] == ["entrypoint of function hello", "import map of function hello"]
    assert content.facts["entrypoint"] is None


def test_an_import_map_is_found_where_the_service_cut_the_folder_off_that_all_files_have_in_common(
    source: SupabaseFunctions, server: ManagementServer
) -> None:
    source.parts()
    names = ("source/hello/index.ts", "source/deno.json", "source/_shared/hi.ts")
    files = [f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n\r\nx'.encode() for name in names]
    metadata = b'Content-Disposition: form-data; name="metadata"\r\n\r\n{"deno2_entrypoint_path":"source/hello/index.ts"}'
    _give_body(server, multipart([metadata, *files]))
    content = source.read(Part("function/hello", "tar"))
    assert content.facts["entrypoint"] == "functions/hello/source/hello/index.ts"
    assert content.facts["import_map"] == "functions/hello/source/deno.json"
    assert content.left_out == []


def test_names_as_an_old_deployment_has_them_are_kept(source: SupabaseFunctions, server: ManagementServer) -> None:
    server.project.functions["hello"].info["entrypoint_path"] = "file:///src/index.ts"
    source.parts()
    _give_body(server, multipart([b'Content-Disposition: form-data; name="file"; filename="file:///src/index.ts"\r\n\r\nx']))
    content = source.read(Part("function/hello", "tar"))
    assert content.facts["names"] == {"functions/hello/src/index.ts": "file:///src/index.ts"}
    assert content.facts["entrypoint"] == "functions/hello/src/index.ts"


def _give_body(server: ManagementServer, body: bytes) -> None:
    kind = "multipart/form-data; boundary=" + body.split(b"\r\n", 1)[0].removeprefix(b"--").decode()
    server.fail("GET", "/functions/hello/body", status=200, headers={"Content-Type": kind}, body=body)


@pytest.mark.parametrize("slug", ["../x", "", "a/b", "a b", ".hidden"])
def test_a_slug_that_is_no_name_of_a_folder_is_refused(source: SupabaseFunctions, server: ManagementServer, slug: str) -> None:
    server.fail("GET", "/functions", status=200, body=b'[{"id":"1","version":1,"slug":"' + slug.encode() + b'"}]')
    with pytest.raises(UnsafePathError, match="slug"):
        source.parts()
