"""How the content of an object is made smaller: gzip, zstd or not at all. The object's header says which."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

import zstandard
from zlib_ng import zlib_ng

from holdfast.errors import SettingsError

Algorithm = Literal["gzip", "zstd", "none"]

NONE, GZIP, ZSTD = 0, 1, 2  # the header's compression byte

_DEFAULT_LEVEL = {"gzip": 6, "zstd": 1, "none": 0}
_LEVELS = {"gzip": range(1, 10), "zstd": range(1, 23), "none": range(1)}
_GZIP_ERROR: type[Exception] = zlib_ng.error  # type: ignore[assignment]  # its stub calls a class an instance
_LONG_BYTES = 256 << 10  # from here on zstd itself takes other settings
_LONG_HASH_LOG = 17  # level 1 would remember 2^14 places; 2^17 make long content 6 % smaller (docs/decisions/0011-intake.md)
_LONG_WINDOW_LOG = 20  # as long as a chunk is on average
_TIGHT_LEVEL = 6  # three to four times level 1's time for 7 % fewer bytes: right where there is little to compress
_GZIP_WINDOW = 31  # 15 bits with a gzip header (RFC 1952)


@dataclass(frozen=True, slots=True)
class Compression:
    """An algorithm and its level; `level` None is the algorithm's default (gzip 6, zstd 1)."""

    algorithm: Algorithm = "gzip"
    level: int | None = None

    def __post_init__(self) -> None:
        if self.algorithm not in _LEVELS:
            raise SettingsError(f"unknown compression algorithm {self.algorithm!r}", reason="known are gzip, zstd and none")
        if self.algorithm != "none" and self.effective_level not in _LEVELS[self.algorithm]:
            levels = _LEVELS[self.algorithm]
            raise SettingsError(
                f"compression level {self.level} is not one of {self.algorithm}",
                reason=f"allowed are {levels.start} to {levels.stop - 1}",
            )

    @property
    def effective_level(self) -> int:
        return _DEFAULT_LEVEL[self.algorithm] if self.level is None else self.level

    @property
    def tighter(self) -> Compression:
        """What makes it smaller and takes longer; the same for gzip, and where a level was asked for."""
        return Compression("zstd", _TIGHT_LEVEL) if self.algorithm == "zstd" and self.level is None else self


_thread = threading.local()  # a zstd context serves one thread at a time, and is dear to make


def compress(data: bytes | memoryview, how: Compression) -> tuple[int, bytes | memoryview]:
    """Compress; return the header's compression byte and the bytes, which are `data` itself where it does not shrink."""
    if how.algorithm == "none" or not data:
        return NONE, data
    if how.algorithm == "gzip":
        code, packed = GZIP, zlib_ng.compress(data, how.effective_level, _GZIP_WINDOW)
    else:
        code, packed = ZSTD, _zstd_compressor(how.effective_level, len(data)).compress(data)
    return (code, packed) if len(packed) < len(data) else (NONE, data)


def decompress(code: int, data: bytes | memoryview, length: int) -> bytes:
    """Undo `compress`; the result has exactly `length` bytes. Raises ValueError, and never makes more than that."""
    if code == NONE:
        plain = bytes(data)
    elif code == GZIP:
        plain = _gunzip(data, length)
    elif code == ZSTD:
        plain = _unzstd(data, length)
    else:
        raise ValueError(f"unknown compression {code}")
    if len(plain) != length:
        raise ValueError(f"it holds {len(plain)} bytes and should hold {length}")
    return plain


def _gunzip(data: bytes | memoryview, length: int) -> bytes:
    stream = zlib_ng.decompressobj(_GZIP_WINDOW)
    try:
        plain: bytes = stream.decompress(data, length + 1)
    except _GZIP_ERROR as error:
        raise ValueError(f"it can't be decompressed ({error})") from error
    if not stream.eof or stream.unused_data:
        raise ValueError("its compressed form has the wrong length")
    return plain


def _unzstd(data: bytes | memoryview, length: int) -> bytes:
    try:
        if zstandard.frame_content_size(data) != length:
            raise ValueError("its compressed form says another length")
        return _zstd_decompressor().decompress(data, max_output_size=length, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ValueError(f"it can't be decompressed ({error})") from error


def _zstd_compressor(level: int, length: int) -> zstandard.ZstdCompressor:
    made: dict[tuple[int, bool], zstandard.ZstdCompressor] = _thread.__dict__.setdefault("compressors", {})
    own = level == 1 and length > _LONG_BYTES
    if (level, own) not in made:
        made[level, own] = _long_compressor() if own else zstandard.ZstdCompressor(level=level)
    return made[level, own]


def _long_compressor() -> zstandard.ZstdCompressor:
    parameters = zstandard.ZstdCompressionParameters.from_level(1, hash_log=_LONG_HASH_LOG, window_log=_LONG_WINDOW_LOG)
    return zstandard.ZstdCompressor(compression_params=parameters)


def _zstd_decompressor() -> zstandard.ZstdDecompressor:
    if not hasattr(_thread, "decompressor"):
        _thread.decompressor = zstandard.ZstdDecompressor()
    decompressor: zstandard.ZstdDecompressor = _thread.decompressor
    return decompressor
