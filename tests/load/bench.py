"""Tally beside a bare server (the ceiling) and the textbook transaction: `python -m tests.load.bench`, or `make bench`.

Everything runs in one go on one machine, rounds interleaved, because only ratios within a run mean something:
docs/benchmarks.md says how to read them.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from libs.cli.callers.fleet import fleet
from libs.cli.output import errors
from tests.load import report
from tests.load.measure import Bench
from tests.load.memory import measure_memory
from tests.load.results import Results
from tests.load.rows import CLAIMS, REPUTATION, ROWS, SIZE, THROUGHPUT, VOTING, Row
from tests.load.servers import Server, server
from tests.load.stage import Stage, stage

MODULES = {
    "bare": ["tests.load.contenders", "bare"],
    "refusing": ["tests.load.contenders", "refusing"],
    "chain": ["tests.load.contenders", "chain"],
    "textbook": ["tests.load.contenders", "textbook"],
    "tuned": ["tests.load.contenders", "tuned"],
    "petition": ["services.petition"],
    "claims": ["services.claims"],
    "voting": ["services.voting"],
    "reputation": ["services.reputation"],
    "aggregator": ["services.aggregator"],
}

ALL = [name for name, row in ROWS.items() if not row.by_name]


def main() -> None:
    options = _options()
    started = time.monotonic()
    results = Results(vars(options))
    with ExitStack() as stack:
        errors.print("making a database …", style="dim")
        made = stack.enter_context(stage())
        clients = stack.enter_context(fleet(options.client_processes))
        servers = _start(stack, made, options.rows, options.textbook_pool)
        voters = stack.enter_context(fleet(1)) if any(ROWS[name].voters for name in options.rows) else None
        bench = Bench(made, clients, voters, servers, results, options.callers, options.seconds)
        rows = (*THROUGHPUT, *CLAIMS, *VOTING, *REPUTATION)
        _rounds(bench, [row for row in rows if row.name in options.rows], options.rounds)
        if size := [row for row in SIZE if row.name in options.rows]:
            made.empty()
            errors.print(f"signing a petition {options.signers:,} times …", style="dim")
            bench.fill(options.signers)
            _rounds(bench, size, options.rounds)
        if options.memory:
            results.memory = measure_memory(made, clients, servers["petition"], options.memory_first, options.memory)
    results.finish(time.monotonic() - started)
    report.show(results)
    results.write(options.output)
    print(f"\n{options.output}")
    sys.exit(bool(results.problems) or (options.assert_bars and not results.bars_met))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.load.bench", description=__doc__)
    parser.add_argument(
        "--rows",
        default="",
        help=f"comma separated, of: {','.join(ROWS)}; all but {','.join(sorted(ROWS.keys() - set(ALL)))} when left out",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one row in one round")
    parser.add_argument("--callers", type=int, default=64, help="concurrent ones, where a row has no number of its own")
    parser.add_argument("--client-processes", type=int, default=1)
    parser.add_argument("--signers", type=int, default=1_000_000, help="of the petition in the rows about size")
    parser.add_argument("--textbook-pool", type=int, default=10, help="connections of the textbook server")
    parser.add_argument(
        "--memory", type=int, default=0, metavar="CALLS", help="also compare memory after so many calls"
    )
    parser.add_argument("--memory-first", type=int, default=0, metavar="CALLS", help="with memory after so many")
    parser.add_argument("--quick", action="store_true", help="2 rounds of 1 s, 100,000 signers")
    parser.add_argument("--assert", dest="assert_bars", action="store_true", help="exit status 1 when a bar is missed")
    parser.add_argument("--output", type=Path, default=Path(".build/bench.json"))
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds, options.signers = 2, 1.0, min(options.signers, 100_000)
    options.memory_first = options.memory_first or options.memory // 10
    options.rows = options.rows.split(",") if options.rows else [] if options.memory else ALL
    if unknown := [name for name in options.rows if name not in ROWS]:
        parser.error(f"no such row: {', '.join(unknown)}")
    if find_spec("services.aggregator.__main__") is None:
        left_out = [name for name in options.rows if ROWS[name].contender == "aggregator"]
        options.rows = [name for name in options.rows if name not in left_out]
        if left_out:
            errors.print(f"there is no aggregator yet: left out {', '.join(left_out)}", style="yellow")
    return options


def _start(stack: ExitStack, made: Stage, rows: Sequence[str], textbook_pool: int) -> dict[str, Server]:
    environment = {"TALLY_DATABASE_URL": made.url, "TEXTBOOK_POOL": str(textbook_pool)}
    wanted = dict.fromkeys([*(ROWS[name].contender for name in rows), "petition"])
    return {name: stack.enter_context(server(name, MODULES[name], made.folder, environment)) for name in wanted}


def _rounds(bench: Bench, rows: Sequence[Row], rounds: int) -> None:
    """Every row once a round, there and back, so that what wanders in the machine meets all of them alike."""
    bars = (TextColumn("{task.description:40}"), BarColumn(), MofNCompleteColumn())
    with Progress(*bars, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("", total=rounds * len(rows))
        for number in range(rounds):
            for row in rows if number % 2 == 0 else rows[::-1]:
                progress.update(task, description=row.title)
                bench.measure(row)
                progress.advance(task)


if __name__ == "__main__":
    main()
