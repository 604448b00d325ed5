"""What a function's sources are after they went through a multipart answer: every byte, under the right name, or an error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import SourceFailedError, UnsafePathError
from holdfast.sources.supabase import ApiFile
from holdfast.sources.supabase.multipart import read_body
from tests.sources.supabase.server import BOUNDARY, multipart

TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def _file(name: str, content: bytes = b"x", *more: str) -> bytes:
    head = [f'Content-Disposition: form-data; name="file"; filename="{name}"', *more]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + content


def _read(*parts: bytes) -> list[ApiFile]:
    return read_body(TYPE, multipart(list(parts)), "function hello").files


@given(st.lists(st.binary(max_size=200) | st.sampled_from([b"\r\n", b"\r\n--", b"--" + BOUNDARY.encode()[:-1], b"\n\n\r\n\r\n"])))
def test_every_byte_of_a_file_survives(contents: list[bytes]) -> None:
    files = _read(*(_file(f"source/{number}.bin", content) for number, content in enumerate(contents))) if contents else []
    assert [file.content for file in files] == contents


def test_a_file_that_quotes_the_boundary_is_not_cut_there() -> None:
    content = f"const text = `\r\n--{BOUNDARY}-not-the-end\r\n`;\n".encode()
    assert _read(_file("index.ts", content)) == [ApiFile("index.ts", content)]


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (_file("source/_shared/cors.ts"), "source/_shared/cors.ts"),
        (_file("index.ts", b"x", "Supabase-Path: source/lib/index.ts"), "source/lib/index.ts"),
        (_file("index.ts", b"x", "supabase-path: source/lib/index.ts"), "source/lib/index.ts"),
        (_file("file:///src/index.ts"), "file:///src/index.ts"),
        (_file("source/a%22b.ts"), 'source/a"b.ts'),
        (_file('source/a\\"b.ts'), 'source/a"b.ts'),
        (_file("source/größe und 名前.ts"), "source/größe und 名前.ts"),
        (_file("source/semi;colon=1.ts"), "source/semi;colon=1.ts"),
        (_file("source/..hidden.ts"), "source/..hidden.ts"),
    ],
)
def test_the_path_of_a_file_is_the_one_that_the_service_means(part: bytes, name: str) -> None:
    assert [file.name for file in _read(part)] == [name]


@pytest.mark.parametrize(
    "name",
    ["../secret.env", "source/../../x.ts", "/etc/passwd", "..", ".", "", "source/", "a\\..\\..\\x.ts", "\\x.ts", "C:\\x.ts",
     "C:/x.ts", "a/" * 3000 + "x.ts", "source/a\tb.ts", "file:///..%2f..%2fx.ts", "file:///src/%2e%2e/x.ts", "file://",
     "source/a\x00.ts"],
)  # fmt: skip
def test_a_path_that_would_leave_the_function_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnsafePathError, match="function hello"):
        _read(_file("source/index.ts"), _file(name))


def test_a_path_that_would_leave_by_the_header_is_refused_however_harmless_its_filename() -> None:
    with pytest.raises(UnsafePathError, match=r"\.\./secret\.env"):
        _read(_file("source/secret.env", b"x", "Supabase-Path: ../secret.env"))


@pytest.mark.parametrize("names", [("a.ts", "a.ts"), ("a.ts", "./a.ts"), ("lib", "lib/a.ts"), ("file:///src/a.ts", "src/a.ts")])
def test_two_files_of_one_name_are_refused(names: tuple[str, str]) -> None:
    with pytest.raises(UnsafePathError):
        _read(*map(_file, names))


def test_metadata_is_told_apart_from_files() -> None:
    metadata = b'Content-Disposition: form-data; name="metadata"\r\n\r\n{"deno2_entrypoint_path":"source/index.ts"}'
    body = read_body(
        f'Multipart/Form-Data; charset=utf-8; boundary="{BOUNDARY}"', multipart([metadata, _file("source/index.ts")]), "it"
    )
    assert body.metadata == {"deno2_entrypoint_path": "source/index.ts"}
    assert len(body.files) == 1


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (TYPE, b""),
        (TYPE, multipart([_file("a.ts", b"x" * 100)])[:90]),
        (TYPE, multipart([_file("a.ts"), _file("b.ts")]).rsplit(b"--" + BOUNDARY.encode(), 1)[0]),
        (TYPE, multipart([_file("a.ts")])[:-4]),
        (TYPE, multipart([b"no head"])),
        (TYPE, multipart([b'Content-Disposition: form-data; name="metadata"\r\n\r\n{"a":'])),
        (TYPE, multipart([b'Content-Disposition: form-data; name="metadata"\r\n\r\n[1]'])),
        (TYPE, multipart([b'Content-Disposition: form-data; name="file"; filename="\xff.ts"\r\n\r\nx'])),
        ("multipart/form-data", multipart([_file("a.ts")])),
        ("multipart/form-data; boundary=other", multipart([_file("a.ts")])),
    ],
)
def test_an_answer_that_is_broken_or_ends_early_is_an_error_and_not_fewer_files(kind: str, data: bytes) -> None:
    with pytest.raises(SourceFailedError, match="function hello"):
        read_body(kind, data, "function hello")
