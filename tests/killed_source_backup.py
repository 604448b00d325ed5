"""Kills a backup of functions (SIGKILL) before each single step that it takes at the storage, and looks at what it left behind.

Run as a script with FOLDER; it prints how many deaths it went through.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent / "repository"))

from dying import Deed, die_before_each_step
from killed import Mortal

from holdfast.repository import Repository
from holdfast.sources.functions.directory import FunctionDirectory
from holdfast.sources.truth import read_truth
from tests.flows.sources import make_functions, tree
from tests.sources.backing_up import KEY, back_up, bring_back, verify


def _deed(folder: Path, number: int | None, changed: str | None) -> None:
    """Back the functions of a folder up, with one of them changed."""
    source = folder / "supabase"
    if changed is not None:
        (source / "functions" / "hello" / "index.ts").write_text(changed)
    storage = Mortal(folder / "repository")
    repository = Repository.create(storage, key=KEY)
    storage.steps_left = number
    back_up(repository, FunctionDirectory(source))


def before(folder: Path, _: int | None) -> None:
    make_functions(folder / "supabase")
    _deed(folder, None, None)


def work(folder: Path, steps: int | None) -> None:
    _deed(folder, steps, "another text")


def look(folder: Path, _: int | None) -> None:
    """What must be true whenever death came."""
    repository = Repository.open(Mortal(folder / "repository"), key=KEY)
    assert repository.check(level="read").ok
    for one in repository.backups():
        assert read_truth(repository, one.manifest).left_out == []
        bring_back(repository, one.manifest, folder / one.id)
    manifest = back_up(repository, FunctionDirectory(folder / "supabase"))
    assert verify(repository, manifest, "proven", folder / "spool").ok
    bring_back(repository, manifest, folder / "target")
    assert tree(folder / "target") == tree(folder / "supabase")
    shutil.rmtree(folder / "target")


if __name__ == "__main__":
    deeds: tuple[Deed, Deed, Deed] = (before, work, look)
    print(die_before_each_step(*deeds, Path(sys.argv[1])))
