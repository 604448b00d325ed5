"""What manifests and proofs said when they were read: a cache in the home, so that of ten thousand only the new ones are read.

For lists a record counts for an object that the storage lists now, with the size and the time that it had when it was read. So
what is gone is gone, and what was replaced is read again; bytes that rotted in place are found by checks, which never look here,
and then the record counts no more. Whoever decides what goes reads every object, and asks here only what those very bytes say: a
record has their digest.

What is kept is sealed by a key of this repository, and bound to where the repository lies, to this version of Holdfast and to the
code that reads manifests and proofs. Without encryption it is protected against accident alone: whoever decides is told nothing.
Files are only added and removed whole; one that can't be read counts as not there, and all of them may be deleted. Where there is
no home none is made for them.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag

from holdfast.private_folder import make_private_folder
from holdfast.repository.compression import Compression, compress, decompress
from holdfast.repository.manifest import HOLDFAST_VERSION
from holdfast.repository.masterkey import MasterKey
from holdfast.storage import ObjectInfo

_MAGIC = b"HOLDFAST CACHE 2\n"
_LENGTH_BYTES = 8
_NONCE_BYTES = 12
_DIGEST_BYTES = 32
_FILES_MAX = 8  # more are merged into one
_GONE_MAX = 100  # beside as many as there are
_TOO_YOUNG = timedelta(minutes=1)
"""What is younger is read again: storages tell times by the second, and another object might take its place in the same one."""
_LEFT_OVER_SECONDS = 3600.0
_PACKED = Compression("zstd")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Kept:
    """What is kept of one object: `brief` is what lists need, `content` the whole record where it is kept."""

    size_bytes: int
    modified: int  # in microseconds since 1970
    brief: list[Any]
    _length: int
    _file: _File | None = None
    _start: int = 0
    _held: bytes = b""  # of what no file keeps yet: the digest, then the content
    opened: Any = None  # what the content was made into, for all in this process that ask

    @property
    def held(self) -> bytes:
        """The digest of the object's bytes, then the content. Raises ValueError where the file that keeps it is damaged."""
        if self._file is None:
            return self._held
        return self._file.contents[self._start : self._start + self._length]

    @property
    def content(self) -> bytes:
        """Raises ValueError where the file that keeps it is damaged."""
        return self.held[_DIGEST_BYTES:]

    def is_of(self, info: ObjectInfo) -> bool:
        """Tell whether the object seems to be as it was when it was read."""
        return self.size_bytes == info.size_bytes and self.modified == _microseconds(info.modified)

    def is_of_bytes(self, digest: bytes) -> bool:
        """Tell whether it was these bytes that were read. Where the file that keeps it is damaged nobody knows."""
        try:
            return digest == self.held[:_DIGEST_BYTES]
        except ValueError:
            return False


class CacheFolder:
    """Where one repository's records are kept: one folder for each place that a copy of it lies in."""

    def __init__(self, folder: Path, repository_id: str, location: str, master: MasterKey | None) -> None:
        place = f"{repository_id}\n{location}".encode()
        self._home = folder.parent
        self.path = folder / f"{repository_id}-{hashlib.sha256(place).hexdigest()[:16]}"
        self._bound_to = _MAGIC + f"{HOLDFAST_VERSION} {_readers()}\n".encode() + place
        self._cipher = None if master is None else master.cache_cipher()

    @property
    def has_home(self) -> bool:
        """Whether there is a home to keep anything in."""
        return self._home.is_dir()

    @property
    def can_be_forged(self) -> bool:
        """Whether anybody who may write there can have it say anything."""
        return self._cipher is None

    def sealed(self, name: str, plain: bytes | memoryview) -> bytes:
        """Compress and seal one part of a file."""
        code, packed = compress(plain, _PACKED)
        head = len(plain).to_bytes(_LENGTH_BYTES, "big") + bytes([code])
        about = self._about(name, head)
        if self._cipher is None:
            return head + hashlib.sha256(about + packed).digest() + packed
        nonce = os.urandom(_NONCE_BYTES)
        return head + nonce + self._cipher.encrypt(nonce, packed, about)

    def opened(self, name: str, sealed: memoryview) -> bytes:
        """Undo `sealed`. Raises ValueError for anything but what was sealed here under this name."""
        head, body = bytes(sealed[: _LENGTH_BYTES + 1]), sealed[_LENGTH_BYTES + 1 :]
        about = self._about(name, head)
        if self._cipher is None:
            packed = bytes(body[_DIGEST_BYTES:])
            if hashlib.sha256(about + packed).digest() != body[:_DIGEST_BYTES]:
                raise ValueError("its content is not what was kept under this name")
        else:
            try:
                packed = self._cipher.decrypt(bytes(body[:_NONCE_BYTES]), body[_NONCE_BYTES:], about)
            except InvalidTag as error:
                raise ValueError("its content is not what was kept under this name") from error
        return decompress(head[-1], packed, int.from_bytes(head[:-1], "big"))

    def _about(self, name: str, head: bytes) -> bytes:
        return b"\n".join((self._bound_to, name.encode(), head))


class RecordCache:
    """The records of one kind. Safe to use from several threads, and by several processes at once."""

    def __init__(self, folder: CacheFolder, kind: str) -> None:
        self._folder = folder
        self._kind = kind
        self._lock = threading.Lock()
        self._files: list[Path] = []
        self._known: dict[str, Kept] | None = None
        self._learned: dict[str, Kept] = {}
        self._dropped = False

    def find(self, info: ObjectInfo) -> Kept | None:
        """Return what is kept of an object, where it seems to be as it was: not for whoever decides what goes."""
        found = self._kept(info.name)
        return found if found is not None and found.is_of(info) else None

    def recall(self, info: ObjectInfo, stored: bytes) -> Kept | None:
        """Return what is kept of an object whose bytes were just read; None where it was made out of other bytes than these."""
        found = None if self._folder.can_be_forged else self._kept(info.name)
        if found is None or not found.is_of_bytes(hashlib.sha256(stored).digest()):
            return None
        if not found.is_of(info):  # put again since, the same
            self.learn(info, stored, found.brief, found.content)
        return found

    def learn(self, info: ObjectInfo, stored: bytes, brief: list[Any], content: bytes = b"") -> None:
        """Note what was just made out of the bytes of an object; the next `save` keeps it."""
        if datetime.now(UTC) - info.modified < _TOO_YOUNG:
            return
        held = hashlib.sha256(stored).digest() + content
        known = self.find(info)
        if known is not None and known.is_of_bytes(held[:_DIGEST_BYTES]):
            return
        with self._lock:
            self._learned[info.name] = Kept(info.size_bytes, _microseconds(info.modified), brief, len(held), _held=held)
            self._dropped = self._dropped or known is not None  # of size and time alone nobody could tell it from the one before

    def drop(self, name: str) -> None:
        """Take it that nothing is known of an object, for it was found damaged; the next `save` removes its record for good."""
        with self._lock:
            known, learned = self._all().pop(name, None), self._learned.pop(name, None)
            self._dropped = self._dropped or known is not None or learned is not None

    def save(self, living: Collection[str] | None = None) -> None:
        """Keep what was learned, and nothing of what was dropped.

        With the names of all that there is, what is gone may go too, and files be merged. A home that can't be written to is told
        in the log; the next list is slower for it, and nothing else.
        """
        with self._lock:
            if not self._learned and not self._dropped and living is None:
                return
            known, learned = self._all(), self._learned
            self._learned = {}
            known.update(learned)
            if not self._folder.has_home:
                return
            try:
                if self._dropped or (living is not None and self._is_untidy(len(living), bool(learned))):
                    self._merge(known if living is None else {name: known[name] for name in living if name in known})
                elif learned:
                    self._files.append(self._write(learned))
            except (OSError, TypeError) as error:  # the latter for numbers that the file can't hold
                _log.info("What manifests and proofs say could not be kept in %s: %s", self._folder.path, error)

    def _kept(self, name: str) -> Kept | None:
        with self._lock:
            return self._all().get(name)

    def _all(self) -> dict[str, Kept]:
        if self._known is None:
            self._known = self._read()
        return self._known

    def _is_untidy(self, living: int, is_new: bool) -> bool:
        gone = len(self._all()) - living
        return (is_new and len(self._files) >= _FILES_MAX) or gone > living + _GONE_MAX

    def _read(self) -> dict[str, Kept]:
        known: dict[str, Kept] = {}
        for path in sorted(self._folder.path.glob(f"{self._kind}-*")):
            try:
                known.update(_File(self._folder, path.name, path.read_bytes()).records())
            except FileNotFoundError:
                continue  # another process has just merged it into a newer one
            except (OSError, ValueError) as error:
                _log.info("%s is of no use, so what it should hold is read again: %s", path, error)
            self._files.append(path)
        return known

    def _merge(self, kept: dict[str, Kept]) -> None:
        merged, self._files = self._files, [self._write(kept)]
        self._known, self._dropped = kept, False
        for path in merged:
            path.unlink(missing_ok=True)
        _remove_left_overs(self._folder.path)

    def _write(self, kept: dict[str, Kept]) -> Path:
        """Put a file whole. It need not survive a power loss, so nothing waits for the disk."""
        make_private_folder(self._folder.path)
        path = self._folder.path / f"{self._kind}-{secrets.token_hex(8)}"
        handle, beside = tempfile.mkstemp(prefix=".", dir=path.parent)  # made with mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_file_bytes(self._folder, path.name, kept))
            Path(beside).replace(path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
        return path


class _File:
    """One file of a cache: an index, sealed, then the contents of the records one after the other, sealed by themselves."""

    def __init__(self, folder: CacheFolder, name: str, data: bytes) -> None:
        """Raises ValueError for what is no such file, or was sealed for another repository, place or name."""
        self._folder = folder
        self._name = name
        start = len(_MAGIC) + _LENGTH_BYTES
        length = int.from_bytes(data[len(_MAGIC) : start], "big")
        if not data.startswith(_MAGIC) or len(data) < start + length:
            raise ValueError("it is no file of a cache, or cut off")
        self._index = memoryview(data)[start : start + length]
        self._sealed = memoryview(data)[start + length :]
        self._contents: bytes | None = None

    def records(self) -> dict[str, Kept]:
        """Raises ValueError."""
        rows = orjson.loads(self._folder.opened(f"{self._name} index", self._index))
        return {name: Kept(size, modified, brief, length, self, start) for name, size, modified, start, length, brief in rows}

    @property
    def contents(self) -> bytes:
        """Opened when it is first needed: lists need the index alone. Raises ValueError."""
        if self._contents is None:
            self._contents = self._folder.opened(f"{self._name} contents", self._sealed)
        return self._contents


def _file_bytes(folder: CacheFolder, name: str, kept: dict[str, Kept]) -> bytes:
    rows: list[list[Any]] = []
    contents = bytearray()
    for object_name, one in kept.items():
        try:
            held = one.held
        except ValueError:  # of a file that is being replaced: what it should hold is read again
            continue
        rows.append([object_name, one.size_bytes, one.modified, len(contents), len(held), one.brief])
        contents += held
    index = folder.sealed(f"{name} index", orjson.dumps(rows))
    return b"".join(
        (_MAGIC, len(index).to_bytes(_LENGTH_BYTES, "big"), index, folder.sealed(f"{name} contents", bytes(contents)))
    )


def _remove_left_overs(folder: Path) -> None:
    """Remove what killed processes have left half written."""
    for path in folder.glob(".*"):
        try:
            if time.time() - path.stat().st_mtime > _LEFT_OVER_SECONDS:
                path.unlink()
        except FileNotFoundError:
            continue


def _readers() -> str:
    """Name the code that makes records out of bytes: what other code made out does not count. Nothing where it has no source."""
    try:
        sources = [Path(__file__).with_name(name).read_bytes() for name in ("canonical.py", "manifest.py", "proof.py")]
    except OSError:
        return ""
    return hashlib.sha256(b"\n".join(sources)).hexdigest()[:16]


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
