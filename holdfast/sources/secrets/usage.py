"""Where secrets are used: the files of some folders that name them. As good as a search for a word can be, and no better."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.sources.files import shown
from holdfast.sources.tree import walk

_ENDINGS = frozenset(
    {".cjs", ".js", ".json", ".jsx", ".mjs", ".mts", ".py", ".sh", ".sql", ".toml", ".ts", ".tsx", ".yaml", ".yml"}
)
_NOT_OURS = frozenset({".git", "node_modules", ".venv", "__pycache__"})
_LARGEST_BYTES = 1 << 20
_WORD = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")


def uses(names: Iterable[str], folders: Iterable[Path]) -> dict[str, list[str]]:
    """Tell for each name the files that hold it as a word, such as `functions/hello/index.ts`; what can't be read is skipped."""
    wanted = {name.encode(): name for name in names}
    found: dict[str, list[str]] = {name: [] for name in wanted.values()}
    for place, shown_as in _texts(folders) if wanted else ():
        try:
            words = set(_WORD.findall(place.read_bytes()))
        except OSError:
            continue
        for word in wanted.keys() & words:
            found[wanted[word]].append(shown_as)
    return found


def _texts(folders: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    for folder in folders:
        try:
            for file in walk(folder, leave=lambda path: path.rpartition("/")[2] in _NOT_OURS, left_out=[]):
                place = folder / file.path
                if file.kind == "file" and place.suffix in _ENDINGS and place.stat().st_size <= _LARGEST_BYTES:
                    yield place, shown(f"{folder.name}/{file.path}")
        except (HoldfastError, OSError):
            continue
