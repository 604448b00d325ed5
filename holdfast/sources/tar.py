"""Files as one stream and back: a PAX tar that any tar can read, always the same bytes for the same files.

Nothing of the machine is in it: no owner, no order of a folder's listing, no time of reading. A name keeps every byte. A header
is only written once its file was read whole, so that both always agree. Reading never makes a file: whoever reads decides where.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self, cast

from holdfast.errors import DamagedError, NotFoundError, SourceDeniedError, SourceFailedError, UnsafePathError
from holdfast.repository.intake import Reads
from holdfast.repository.reader import EntryStream
from holdfast.sources.contract import LeftOut
from holdfast.sources.files import FileKind, FileRecord, SourceFile, shown
from holdfast.sources.stable import StableFile, read_stably

_BLOCK_BYTES = 1 << 20
_TYPES: dict[FileKind, bytes] = {"file": tarfile.REGTYPE, "folder": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}
_KINDS: dict[bytes, FileKind] = {kind: name for name, kind in _TYPES.items()}
_END = bytes(2 * tarfile.BLOCKSIZE)


class TarStream(EntryStream):
    """Files as a tar, made while it is read. `records` are what was stored so far, all at its end.

    What can't be read is left out and added to `left_out`. Reading raises UnsafePathError for a path that is none of a tar's.
    """

    def __init__(self, files: Iterable[SourceFile], left_out: list[LeftOut]) -> None:
        self.records: list[FileRecord] = []
        self._left_out = left_out
        self._names: set[str] = set()
        super().__init__(self._tar(files))

    def _tar(self, files: Iterable[SourceFile]) -> Iterator[bytes]:
        for file in files:
            self._take_name(file.path)
            if isinstance(file.content, Path):
                yield from self._from_disk(file, file.content)
            else:
                yield from self._from_memory(file)
        yield _END

    def _take_name(self, path: str) -> None:
        checked_path(path)
        if path in self._names:
            raise SourceFailedError(f"{shown(path)} can't be stored", reason="the source names it twice")
        self._names.add(path)

    def _from_disk(self, file: SourceFile, path: Path) -> Iterator[bytes]:
        try:
            found = read_stably(path)
        except (NotFoundError, SourceDeniedError, SourceFailedError) as error:
            self._left_out.append(LeftOut(shown(file.path), error.reason or error.message))
            return
        with found:
            self.records.append(FileRecord(file.path, "file", found.mode, found.size_bytes, found.sha256))
            yield _header(file, mode=found.mode, modified_ns=found.modified_ns, size_bytes=found.size_bytes)
            yield from _blocks(found)
            yield _padding(found.size_bytes)

    def _from_memory(self, file: SourceFile) -> Iterator[bytes]:
        if file.kind == "file" and file.content is None:
            raise SourceFailedError(f"{shown(file.path)} can't be stored", reason="the source gave no content for it")
        data = file.content if isinstance(file.content, bytes) else b""
        digest = hashlib.sha256(data).hexdigest() if file.kind == "file" else None
        self.records.append(FileRecord(file.path, file.kind, file.mode, len(data), digest, file.link_target))
        yield _header(file, mode=file.mode, modified_ns=file.modified_ns, size_bytes=len(data))
        yield data
        yield _padding(len(data))


class FileContent:
    """The content of one file of a tar; only to be read until the next file is taken."""

    def __init__(self, path: str, content: IO[bytes]) -> None:
        self._path = path
        self._content = content

    def read(self, size: int = -1) -> bytes:
        """Raises DamagedError where the tar ends early."""
        with _damage(shown(self._path)):
            return self._content.read(size)


def read_tar(stream: Reads) -> Iterator[tuple[SourceFile, FileContent | None]]:
    """Yield what a tar holds, each file with its content, in one pass; read the stream to its end, so that it can prove itself.

    Raises UnsafePathError for a path that would leave the folder that it is put in, DamagedError.
    """
    with (
        _damage("a tar"),
        tarfile.open(
            fileobj=cast("IO[bytes]", stream), mode="r|", tarinfo=_StrictInfo, encoding="utf-8", errors="surrogateescape"
        ) as tar,
    ):
        while (found := tar.next()) is not None:
            cast("Any", tar).members = []  # it would remember all
            content = tar.extractfile(found) if found.isreg() else None
            yield _file(found), None if content is None else FileContent(found.name, content)
    while stream.read(_BLOCK_BYTES):
        pass


def checked_path(path: str) -> str:
    """Return a path that stays below the folder that it is put in. Raises UnsafePathError."""
    if "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise UnsafePathError(f"{shown(path)!r} is no path within a folder", reason="it would lead out of it, or nowhere")
    return path


class _StrictInfo(tarfile.TarInfo):
    """tarfile takes a damaged header for the end of the tar; here only an empty block is one."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise
            raise tarfile.ReadError(str(error)) from error


def _header(file: SourceFile, *, mode: int, modified_ns: int, size_bytes: int) -> bytes:
    info = tarfile.TarInfo(file.path)
    info.type = _TYPES[file.kind]
    info.mode = mode
    info.size = size_bytes
    info.mtime = modified_ns // 10**9
    if modified_ns % 10**9:
        info.pax_headers = {"mtime": f"{'-' if modified_ns < 0 else ''}{abs(modified_ns) // 10**9}.{abs(modified_ns) % 10**9:09}"}
    info.linkname = file.link_target or ""
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _blocks(found: StableFile) -> Iterator[bytes]:
    while block := found.content.read(_BLOCK_BYTES):
        yield block


def _padding(size_bytes: int) -> bytes:
    return bytes(-size_bytes % tarfile.BLOCKSIZE)


def _file(found: tarfile.TarInfo) -> SourceFile:
    kind = _KINDS.get(found.type)
    if kind is None:
        raise DamagedError(f"{shown(found.name)} in a tar is no file, folder or link", reason=f"its type is {found.type!r}")
    target = found.linkname if kind == "link" else None
    return SourceFile(checked_path(found.name), kind, found.mode & 0o7777, _modified_ns(found), link_target=target)


def _modified_ns(found: tarfile.TarInfo) -> int:
    seconds, _, fraction = found.pax_headers.get("mtime", str(found.mtime)).partition(".")
    nanoseconds = int(fraction.ljust(9, "0")[:9]) if fraction else 0
    modified_ns = int(seconds) * 10**9 + (-nanoseconds if seconds.startswith("-") else nanoseconds)
    if abs(modified_ns) >= 2**63:
        raise OverflowError(f"no file is as old or as young as {seconds} seconds")
    return modified_ns


@contextmanager
def _damage(what: str) -> Iterator[None]:
    """Take what a reader of tars may stumble over for damage."""
    try:
        yield
    except (tarfile.TarError, ValueError, EOFError, IndexError, OverflowError) as error:
        raise DamagedError(f"{what} can't be read back", reason=str(error) or type(error).__name__) from error
