"""A sealed object gives back exactly what was sealed under its name, or nothing."""

from __future__ import annotations

import gzip
import os
import random
import struct

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import SettingsError
from holdfast.repository.compression import Compression, compress, decompress
from holdfast.repository.masterkey import Kind, MasterKey
from holdfast.repository.sealing import overhead_bytes, seal, unseal

_MASTER = MasterKey(bytes(range(32)), "00112233445566778899aabbccddeeff")
_masters = st.sampled_from([_MASTER, None])
_ways = st.one_of(
    st.builds(Compression, st.just("gzip"), st.none() | st.integers(1, 9)),
    st.builds(Compression, st.just("zstd"), st.none() | st.integers(1, 12)),
    st.just(Compression("none")),
)
_plain = st.one_of(
    st.binary(max_size=3000), st.builds(lambda part, times: part * times, st.binary(max_size=50), st.integers(0, 2000))
)


@given(_plain, _ways)
def test_any_bytes_come_back_from_any_compression(plain: bytes, how: Compression) -> None:
    code, packed = compress(plain, how)
    assert len(packed) <= len(plain)
    assert decompress(code, packed, len(plain)) == plain


@given(_plain, _ways, _masters, st.sampled_from(list(Kind)), st.binary(max_size=80))
def test_any_bytes_come_back_from_any_seal(
    plain: bytes, how: Compression, master: MasterKey | None, kind: Kind, name: bytes
) -> None:
    assert unseal(kind, name, seal(kind, name, plain, how, master), master) == plain


@settings(max_examples=400)
@given(st.binary(max_size=300), _ways, _masters, st.data())
def test_a_changed_object_is_never_opened(plain: bytes, how: Compression, master: MasterKey | None, data: st.DataObject) -> None:
    sealed = seal(Kind.CHUNK, b"name", plain, how, master)
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match="it"):
        unseal(Kind.CHUNK, b"name", sealed, master)


@given(st.binary(max_size=300), _ways, _masters, st.data())
def test_a_longer_or_shorter_object_is_never_opened(
    plain: bytes, how: Compression, master: MasterKey | None, data: st.DataObject
) -> None:
    sealed = seal(Kind.CHUNK, b"name", plain, how, master)
    cut = sealed[: data.draw(st.integers(0, len(sealed) - 1))]
    longer = sealed + data.draw(st.binary(min_size=1, max_size=40))
    for changed in (cut, longer):
        with pytest.raises(ValueError, match="it"):
            unseal(Kind.CHUNK, b"name", changed, master)


@pytest.mark.parametrize("master", [_MASTER, None])
def test_an_object_is_bound_to_its_name_and_kind_and_encryption(master: MasterKey | None) -> None:
    sealed = seal(Kind.MANIFEST, b"manifests/database/a", b"content", Compression("gzip"), master)
    with pytest.raises(ValueError, match="not what was stored under this name"):
        unseal(Kind.MANIFEST, b"manifests/database/b", sealed, master)
    with pytest.raises(ValueError, match="another kind"):
        unseal(Kind.PROOF, b"manifests/database/a", sealed, master)
    with pytest.raises(ValueError, match=r"cut off|encrypted otherwise"):
        unseal(Kind.MANIFEST, b"manifests/database/a", sealed, None if master else _MASTER)


def test_another_repositorys_key_opens_nothing() -> None:
    sealed = seal(Kind.CHUNK, b"n", b"x" * 100, Compression("zstd"), _MASTER)
    for other in (MasterKey(bytes(32), "00112233445566778899aabbccddeeff"), MasterKey(bytes(range(32)), "ff" * 16)):
        with pytest.raises(ValueError, match="not what was stored"):
            unseal(Kind.CHUNK, b"n", sealed, other)


def test_the_same_content_is_sealed_differently_each_time() -> None:
    assert seal(Kind.CHUNK, b"n", b"x", Compression("none"), _MASTER) != seal(
        Kind.CHUNK, b"n", b"x", Compression("none"), _MASTER
    )


def test_what_does_not_shrink_is_kept_raw() -> None:
    plain = os.urandom(5000)
    for algorithm in ("gzip", "zstd"):
        assert len(seal(Kind.CHUNK, b"n", plain, Compression(algorithm), _MASTER)) == 5000 + overhead_bytes(encrypted=True)


@pytest.mark.parametrize("packed", [gzip.compress(b"\0" * (64 << 20)), zstandard.compress(b"\0" * (64 << 20))])
def test_a_bomb_is_refused_before_it_grows(packed: bytes) -> None:
    code = 1 if packed[:2] == b"\x1f\x8b" else 2
    with pytest.raises(ValueError, match=r"length|holds"):
        decompress(code, packed, 1000)


def test_a_header_that_promises_too_much_is_refused() -> None:
    sealed = seal(Kind.CHUNK, b"n", b"x", Compression("none"), _MASTER)
    sealed[8:16] = struct.pack(">Q", 1 << 40)
    with pytest.raises(ValueError, match="more than there may be"):
        unseal(Kind.CHUNK, b"n", sealed, _MASTER)


def test_standard_tools_read_what_gzip_wrote() -> None:
    code, packed = compress(b"abc" * 1000, Compression("gzip"))
    assert code == 1
    assert gzip.decompress(packed) == b"abc" * 1000


@pytest.mark.parametrize(("algorithm", "level"), [("gzip", 0), ("gzip", 10), ("zstd", 0), ("zstd", 23), ("lz4", None)])
def test_a_level_or_algorithm_that_there_is_not_says_what_there_is(algorithm: str, level: int | None) -> None:
    with pytest.raises(SettingsError, match=r"allowed are|known are"):
        Compression(algorithm, level)  # type: ignore[arg-type]


def test_a_level_that_nobody_set_is_the_algorithms_own() -> None:
    assert (Compression("gzip").effective_level, Compression("zstd").effective_level) == (6, 1)
    assert Compression("zstd", 3).effective_level == 3


def test_long_content_takes_less_room_than_zstd_makes_of_it_by_itself() -> None:
    rng = random.Random(1)
    words = [f"{rng.getrandbits(60):x}"[: rng.randint(3, 12)] for _ in range(4000)]
    content = " ".join(rng.choices(words, k=150_000)).encode()[: 1 << 20]
    code, packed = compress(content, Compression("zstd"))
    assert code == 2
    assert len(packed) < 0.92 * len(zstandard.compress(content, 1))
    assert zstandard.decompress(packed) == content
    assert compress(content[: 1 << 16], Compression("zstd"))[1] == zstandard.compress(content[: 1 << 16], 1)
