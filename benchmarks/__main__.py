"""`python -m benchmarks --sizes 100:3,1000:3 --sections compare,days`: measure Holdfast beside what people use today."""

from __future__ import annotations

import argparse
import importlib
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from benchmarks import compare, days, files
from benchmarks.compare import tell
from benchmarks.contenders import KEYS
from benchmarks.machine import machine
from benchmarks.results import SECTIONS, Measured, Results
from benchmarks.section import Section

_FIGURES = Path("bench-results/benchmarks.json")
_NEXT = "Next: .venv/bin/python -m benchmarks.report puts them into docs/performance.md"
_MODULES = {"readers": "benchmarks.readers", "prefect": "benchmarks.prefect_share", "scale": "benchmarks.scale"}


def main(arguments: list[str] | None = None) -> int:
    """Measure the sections that are asked for, print them, and put them beside those that were measured before."""
    options = (parser := _parser()).parse_args(arguments)
    if unknown := set(options.sections.split(",")) - SECTIONS.keys():
        parser.error(f"there is no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    if options.only and options.out is None:
        parser.error("--only measures a part, which would take the place of the whole: name another file with --out")
    if unknown := set(filter(None, options.only.split(","))) - set(KEYS):
        parser.error(f"there is no contender {', '.join(sorted(unknown))}; there are {', '.join(KEYS)}")
    options.out = options.out or _FIGURES
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing is left running
    results = Results.read(options.out)
    wanted = [name for name in SECTIONS if name in options.sections.split(",")]
    failed: list[str] = []
    for name in wanted:
        tell(f"{name}: {SECTIONS[name]}")
        try:
            measured = _measured(name, options, results)
        except Exception:  # noqa: BLE001 - hours of the others are not lost for one; the command ends with 1
            traceback.print_exc()
            failed.append(name)
            continue
        if any(note.startswith("failed") for note in measured.section.notes):
            failed.append(name)
        print(measured.as_markdown(), flush=True)
    tell(
        f"Figures: {options.out}. "
        + (f"Not whole: {', '.join(failed)}; what was said above tells why. " if failed else "")
        + _NEXT
    )
    return 1 if failed or not wanted else 0


def wanted_sizes(text: str, rounds: int) -> list[tuple[int, int]]:
    """Read `--sizes` as MB and rounds."""
    parts = [part.partition(":") for part in text.split(",")]
    return [(int(megabytes), int(own or rounds)) for megabytes, _, own in parts]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--sizes",
        default="100,1000",
        help="compare: MB that the database takes on disk, with commas; 4000:1 is one round of 4,000 MB (default: %(default)s)",
    )
    parser.add_argument("--rounds", type=int, default=3, help="compare: rounds, where a size does not say (default: %(default)s)")
    parser.add_argument("--large", default="4000:1", help="large: MB on disk and rounds (default: %(default)s)")
    parser.add_argument("--files", default="1000:2", help="files: MB on disk and rounds (default: %(default)s)")
    parser.add_argument("--only", default="", help="compare, large, files, days: only these contenders, with commas")
    parser.add_argument("--days", type=int, default=days.DAYS, help="days: how many (default: %(default)s)")
    usual = ",".join(name for name in SECTIONS if name != "large")
    parser.add_argument("--sections", default=usual, help="which parts, with commas, or large (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="work under this folder (default: the system's temporary one)")
    parser.add_argument("--out", type=Path, help=f"put the figures there, beside those of other sections (default: {_FIGURES})")
    return parser


def _measured(name: str, options: argparse.Namespace, results: Results) -> Measured:
    ran = machine()
    folder = Path(tempfile.mkdtemp(prefix="holdfast-bench-", dir=options.folder))
    folder.chmod(0o755)  # where root runs this, the server is another user's

    def save(section: Section, *, complete: bool = False) -> None:
        results.put(name, Measured(ran, section, complete))
        results.write(options.out)

    try:
        save(_section(name, options, folder, save), complete=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    found = results.get(name)
    assert found is not None
    return found


def _section(name: str, options: argparse.Namespace, folder: Path, save: Callable[[Section], None]) -> Section:
    only = frozenset(filter(None, options.only.split(",")))
    if name == "compare":
        return compare.section(folder, wanted_sizes(options.sizes, options.rounds), only=only, save=save)
    if name == "large":
        sizes, title = wanted_sizes(options.large, options.rounds), f"{compare.TITLE}: large"
        return compare.section(folder, sizes, title=title, only=only or compare.LARGE, save=save)
    if name == "files":
        return files.section(folder, wanted_sizes(options.files, options.rounds), only=only, save=save)
    if name == "days":
        return days.section(folder, days=options.days, only=only, save=save)
    found: Section = importlib.import_module(_MODULES[name]).section(folder)
    return found


if __name__ == "__main__":
    sys.exit(main())
