"""`python -m benchmarks --sizes 110,1000 --rounds 3`: measure Holdfast beside pg_dump, openssl and pg_restore."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks import contenders
from benchmarks.contenders import Step
from benchmarks.figures import Run, Size, as_json, as_markdown
from benchmarks.measure import cpu_of_home, measured
from benchmarks.stage import RESTORED, Stage, open_stage
from examples.content_pipeline.generate import change


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the tables, and write both tables and raw figures."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing is left running
    folder = Path(tempfile.mkdtemp(prefix="holdfast-bench-", dir=options.folder))
    folder.chmod(0o755)  # where root runs this, the server is another user's
    only = set(options.only.split(",")) if options.only else set()
    sizes: list[Size] = []
    try:
        with open_stage(folder) as stage:
            for megabytes, rounds in wanted_sizes(options.sizes, options.rounds):
                sizes.append(_measure_size(stage, megabytes, rounds, only, changes=options.changes))
                _write(sizes, options.out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(as_markdown(sizes))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--sizes", default="110,1000", help="MiB of rows, with commas; 4000:1 is one round of 4,000 MiB (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds, where a size does not say (default: %(default)s)")
    parser.add_argument("--only", help=f"only these steps, with commas: {', '.join(contenders.KEYS)}")
    parser.add_argument("--no-changes", dest="changes", action="store_false", help="leave out the backups after a change")
    parser.add_argument("--folder", type=Path, help="work under this folder (default: the system's temporary one)")
    parser.add_argument(
        "--out", type=Path, default=Path("bench-results/benchmarks"), help="write NAME.md and NAME.json (default: %(default)s)"
    )
    return parser


def wanted_sizes(text: str, rounds: int) -> list[tuple[int, int]]:
    """Read `--sizes` as MiB and rounds."""
    parts = [part.partition(":") for part in text.split(",")]
    return [(int(megabytes), int(own or rounds)) for megabytes, _, own in parts]


def _measure_size(stage: Stage, megabytes: int, rounds: int, only: set[str], *, changes: bool) -> Size:
    _tell(f"{megabytes} MiB: building")
    facts = stage.build_source(megabytes)
    size = Size(megabytes, facts.total_copy_bytes, facts.total_rows)
    contenders.prepare(stage)
    groups = contenders.groups(stage)
    _warm_up(stage, groups)
    for number in range(1, rounds + 1):
        turned = groups[number % len(groups) :] + groups[: number % len(groups)]
        for step in (step for group in turned for step in group):
            if not only or step.key in only:
                size.runs.append(_run(stage, step, number))
    size.runs.sort(key=lambda run: (contenders.KEYS.index(run.key), run.round))
    if changes:
        size.after_change += _after_changes(stage, groups)
    stage.drop(RESTORED)
    return size


def _warm_up(stage: Stage, groups: list[list[Step]]) -> None:
    """Have the database in the system's cache, and the Prefect server, the catalog and the compiled modules in place."""
    steps = {step.key: step for group in groups for step in group}
    for key in ("dump", "holdfast-zstd", "engine"):
        _run(stage, steps[key], 0)


def _after_changes(stage: Stage, groups: list[list[Step]]) -> list[Run]:
    """Back up after 1 % was appended, and after 1 % of the rows were updated; once, for what is stored matters most."""
    steps = {step.key: step for group in groups for step in group}
    _run(stage, steps["holdfast-zstd"], 0)
    runs = []
    for title, appended, updated in (
        ("H · after 1 % was appended", 1.0, 0.0),
        ("I · after 1 % of the rows, here and there, were updated", 0.0, 1.0),
    ):
        change(stage.source, percent_appended=appended, percent_rows_updated=updated)
        runs.append(replace(_run(stage, steps["holdfast-again"], 1), title=title))
    return runs


def _run(stage: Stage, step: Step, number: int) -> Run:
    step.before()
    stage.settle()
    stored = step.stored()
    beside = cpu_of_home(stage.home)
    cost = measured(step.command, environment=step.environment, folder=stage.folder, stdout=step.stdout)
    beside = cpu_of_home(stage.home) - beside
    _tell(f"  round {number}: {cost.wall_seconds:8.2f} s  {step.title}")
    return Run(step.key, step.title, number, cost, step.stored() - stored, beside)


def _write(sizes: list[Size], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_name(f"{out.name}.json").write_text(json.dumps(as_json(sizes), indent=1, ensure_ascii=False) + "\n")
    out.with_name(f"{out.name}.md").write_text(as_markdown(sizes))


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
