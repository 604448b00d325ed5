"""`python -m benchmarks.report`: put what was measured into docs/performance.md, so that no figure there is typed by hand.

Only what stands between two comments is replaced. The figures are kept beside the code, and a test holds the page against them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.machine import described
from benchmarks.plots import TITLES, draw
from benchmarks.results import Measured, Results
from benchmarks.section import Target, targets_table

ROOT = Path(__file__).parent.parent
RESULTS, PAGE, PICTURES = ROOT / "benchmarks" / "results.json", ROOT / "docs" / "performance.md", ROOT / "docs" / "images"
BEGIN = "<!-- Made by python -m benchmarks.report from benchmarks/results.json. Do not edit. -->"
END = "<!-- End of what is made. -->"
_PICTURES_OF = {"compare": ("wall", "stored", "memory"), "days": ("days",)}
_FIRST = "1,000 MB · "


def main(arguments: list[str] | None = None) -> int:
    """Take over what was measured, draw it, and write it into the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument(
        "--results", type=Path, default=Path("bench-results/benchmarks.json"), help="what was measured (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    results = Results.read(options.results)
    if not list(results):
        print(f"{options.results} has no figures. Next: make bench", file=sys.stderr)
        return 2
    if options.results.resolve() != RESULTS:
        shutil.copyfile(options.results, RESULTS)
    draw(results, PICTURES)
    PAGE.write_text(with_generated(PAGE.read_text(encoding="utf-8"), generated(results)), encoding="utf-8")
    return 0


def generated(results: Results) -> str:
    """Pictures, targets and tables of all sections."""
    return "\n\n".join(part for part in _parts(results) if part) + "\n"


def generated_in(page: str) -> str:
    """What stands between the comments. Raises ValueError where they are not there."""
    _, begin, rest = page.partition(BEGIN + "\n")
    found, end, _ = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks one of its two comments: {BEGIN} and {END}")
    return found


def with_generated(page: str, text: str) -> str:
    """The page with this between the comments."""
    return page.replace(BEGIN + "\n" + generated_in(page) + END, f"{BEGIN}\n{text}{END}")


def _parts(results: Results) -> Iterator[str]:
    sections = list(results)
    if not sections:
        yield "Nothing has been measured yet."
        return
    yield "### What was aimed at, and what was reached"
    yield targets_table(list(_targets(sections))).as_markdown()
    for name, measured in sections:
        yield f"### {measured.section.title}"
        yield described(measured.ran) + ("" if measured.complete else " Not finished.")
        for picture in _PICTURES_OF.get(name, ()):
            file = f"performance-{picture}.svg"
            yield f"![{TITLES[file]}](images/{file})"
        yield measured.section.tables_as_markdown()
        yield measured.section.notes_as_markdown()
    yield _versions(sections)


def _targets(sections: list[tuple[str, Measured]]) -> Iterator[Target]:
    """Those at 1 GB first, for which the aims were set."""
    found = [target for _, measured in sections for target in measured.section.targets]
    yield from (target for target in found if target.text.startswith(_FIRST))
    yield from (target for target in found if not target.text.startswith(_FIRST))


def _versions(sections: list[tuple[str, Measured]]) -> str:
    """Of each program, by section where they differ."""
    lines = ["### Versions", ""]
    by_program: dict[str, dict[str, list[str]]] = {}
    for name, measured in sections:
        for program, version in measured.ran["versions"].items():
            by_program.setdefault(program, {}).setdefault(version, []).append(name)
    for program, found in by_program.items():
        told = [version if len(found) == 1 else f"{version} ({', '.join(names)})" for version, names in found.items()]
        lines.append(f"- {program}: {'; '.join(told)}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
