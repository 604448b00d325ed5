"""What every source must do; a source adds a class of `SourceConformance` with a `source` fixture that has two parts or more."""

from __future__ import annotations

import io
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from holdfast.repository import canonical
from holdfast.sources.contract import Part, Source
from holdfast.sources.files import FileRecord
from holdfast.sources.staging import FolderRestore
from holdfast.sources.tar import TarStream

_PRINTABLE = re.compile(r"[!-~]+")

Stored = tuple[bytes, list[FileRecord], dict[str, Any], list[str]]


def stored(source: Source, part: Part) -> Stored:
    """Read a part as a backup does: its bytes, the records of its files, its facts, and what was left out."""
    content = source.read(part)
    if part.kind == "json":
        data, records = canonical.to_bytes(content.document), []
    else:
        assert content.files is not None
        stream = TarStream(content.files, content.left_out)
        data, records = stream.readall(), stream.records
    return data, records, content.facts, [str(one) for one in content.left_out]


class SourceConformance:
    """The suite."""

    @pytest.fixture
    def source(self) -> Source:
        raise NotImplementedError

    def test_it_says_what_it_is_in_words_that_can_be_kept(self, source: Source) -> None:
        assert source.type in ("function", "config", "secrets")
        assert {"kind", "name"} <= source.description.keys()
        assert canonical.from_bytes(canonical.to_bytes(source.description)) == source.description

    def test_its_parts_are_the_same_at_every_look_and_their_names_are_printable_and_no_two_the_same(self, source: Source) -> None:
        parts = source.parts()
        assert len(parts) >= 2
        assert source.parts() == parts
        assert all(_PRINTABLE.fullmatch(part.name) for part in parts)
        assert len({part.name for part in parts}) == len(parts)

    def test_unchanged_it_gives_the_same_bytes_again_also_to_several_threads_at_once(self, source: Source) -> None:
        parts = source.parts()
        first = [stored(source, part) for part in parts]
        with ThreadPoolExecutor(4) as pool:
            again = list(pool.map(lambda part: stored(source, part), parts * 2))
        assert again == first * 2

    def test_what_is_known_of_a_part_can_be_kept_beside_it(self, source: Source) -> None:
        for part in source.parts():
            facts = stored(source, part)[2]
            assert canonical.from_bytes(canonical.to_bytes(facts)) == facts

    def test_no_file_is_in_two_parts_and_all_together_come_back_to_a_folder(self, source: Source, tmp_path: Path) -> None:
        read = [stored(source, part) for part in source.parts() if part.kind == "tar"]
        records = [record for _, records, _, _ in read for record in records]
        assert [path for path, count in Counter(record.path for record in records).items() if count > 1] == []
        with FolderRestore(tmp_path / "restored", "new", job_id="restore_1") as restore:
            for data, of_part, _, _ in read:
                restore.extract(io.BytesIO(data), of_part)
            assert restore.check(records) == []
