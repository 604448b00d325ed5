"""`python -m examples.content_pipeline`: build the sample database, change it, or tell what is in it."""

from __future__ import annotations

import argparse
import json
import sys

from examples.content_pipeline.facts import PipelineFacts, measure
from examples.content_pipeline.generate import MEGABYTES, SEED, build, change
from holdfast.errors import HoldfastError
from holdfast.postgres.connection import DatabaseUrl

_MIB = 1 << 20


def main(arguments: list[str] | None = None) -> int:
    """Do what the arguments ask; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        url = DatabaseUrl.parse(options.url)
        if options.check:
            facts = measure(url)
        elif options.update or options.append:
            facts = change(url, percent_rows_updated=options.update, percent_appended=options.append, seed=options.seed)
        else:
            facts = build(url, megabytes=options.megabytes, seed=options.seed)
    except HoldfastError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    print(json.dumps(facts.as_json(), ensure_ascii=False) if options.json else _told(facts))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.content_pipeline", description=__doc__)
    parser.add_argument("--url", required=True, help="the database, as postgresql://…; it must exist, and be empty to be built")
    parser.add_argument("--megabytes", type=int, default=MEGABYTES, help="at least so many MiB (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="the same seed makes the same rows (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="build nothing; count rows and bytes of what is there")
    parser.add_argument("--update", type=float, default=0.0, metavar="PERCENT", help="build nothing; change so many of the rows")
    parser.add_argument("--append", type=float, default=0.0, metavar="PERCENT", help="build nothing; append so much of it")
    parser.add_argument("--json", action="store_true", help="print the facts as JSON")
    return parser


def _told(facts: PipelineFacts) -> str:
    lines = []
    for name, rows in facts.rows.items():
        copied = f"{facts.copy_bytes[name] / _MIB:11,.2f} MiB" if facts.copy_bytes else ""
        lines.append(f"{name:48}{rows:12,} rows{copied}")
    total = f"{facts.total_copy_bytes / _MIB:11,.2f} MiB" if facts.copy_bytes else ""
    lines.append(f"{f'{len(facts.rows)} tables':48}{facts.total_rows:12,} rows{total}")
    lines.append(
        f"{facts.database_bytes / _MIB:,.0f} MiB on the server's disk" + (f"; {facts.seconds:.1f} s" if facts.seconds else "")
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
