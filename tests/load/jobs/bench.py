"""Tally's jobs beside those of the library they stand on, when there is nothing to do: `make bench ARGS=jobs`.

Both do the same number of jobs, each by one worker in a process of its own, in turns and on one database. The ratio is the
median of the rounds' own ratios, because only those within a round mean something.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median

import psycopg
from procrastinate.schema import SchemaManager
from rich.table import Table

from libs.cli.output import console, errors
from tests.load.jobs.run import LIBRARY
from tests.load.stage import stage

BAR = 0.6
EMPTY = "TRUNCATE {}.procrastinate_jobs, {}.procrastinate_workers CASCADE"


def main() -> None:
    options = _options()
    rates: dict[str, list[float]] = {"library": [], "tally": []}
    with stage() as made, psycopg.connect(made.url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {LIBRARY}".encode())
        connection.execute(f"SET search_path = {LIBRARY}".encode())
        connection.execute(SchemaManager.get_schema())
        for number in range(options.rounds):
            for contender in list(rates)[:: 1 if number % 2 == 0 else -1]:
                for schema in (LIBRARY, "jobs"):
                    connection.execute(EMPTY.format(schema, schema).encode())
                errors.print(f"round {number + 1}: {contender}, {options.jobs:,} jobs …", style="dim")
                rates[contender].append(_rate(contender, made.url, options.jobs, options.concurrency))
    ratio = median(ours / theirs for ours, theirs in zip(rates["tally"], rates["library"], strict=True))
    _show(rates, ratio)
    options.output.parent.mkdir(exist_ok=True)
    options.output.write_text(json.dumps({"jobs_a_second": rates, "ratio": ratio, "bar": BAR}, indent=2))
    print(f"\n{options.output}")
    sys.exit(options.assert_bars and ratio < BAR)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.load.jobs.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2_000, help="of one contender in one round")
    parser.add_argument("--concurrency", type=int, default=4, help="jobs at once, as operations has them")
    parser.add_argument(
        "--assert", dest="assert_bars", action="store_true", help="exit status 1 when the bar is missed"
    )
    parser.add_argument("--output", type=Path, default=Path(".build/bench-jobs.json"))
    return parser.parse_args()


def _rate(contender: str, url: str, jobs: int, concurrency: int) -> float:
    command = [sys.executable, "-m", "tests.load.jobs.run", contender, url, str(jobs), str(concurrency)]
    done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return float(done.stderr.splitlines()[-1])


def _show(rates: dict[str, list[float]], ratio: float) -> None:
    table = Table("", "jobs/s", "rounds", "", box=None, pad_edge=False)
    for contender, each in rates.items():
        table.add_row(contender, f"{median(each):,.0f}", f"{min(each):,.0f} … {max(each):,.0f}", "")
    table.add_row(f"ratio (bar ≥ {BAR})", f"{ratio:.2f}", "", "[green]met[/]" if ratio >= BAR else "[red]short[/]")
    console.print(table)


if __name__ == "__main__":
    main()
