"""The tables a person reads after a run."""

from rich.table import Table

from libs.cli.output import console
from tests.load.results import MEMORY_RATIO, Results
from tests.load.rows import ROWS


def show(results: Results) -> None:
    if results.rounds:
        console.print(_rows(results))
        console.print()
        console.print(_bars(results))
    if results.memory is not None:
        memory = results.memory
        console.print(
            f"\nmemory after {memory.first_calls:,} calls {memory.first_bytes / 1e6:,.1f} MB, after "
            f"{memory.last_calls:,} {memory.last_bytes / 1e6:,.1f} MB: {memory.ratio:.3f} x "
            f"(bar ≤ {MEMORY_RATIO}) {_verdict(memory.ratio <= MEMORY_RATIO)}"
        )
    for problem in results.problems:
        console.print(f"[red]wrong[/] {problem}")
    if not results.problems:
        console.print("\nno call failed; every counter equals its rows and the acknowledged calls")


def _rows(results: Results) -> Table:
    table = Table("", "callers", "calls/s", "items/s", "p50 ms", "p99 ms", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for name in results.rounds:
        calls, items = results.median(name, "calls"), results.median(name, "items")
        table.add_row(
            ROWS[name].title,
            str(results.callers(name)),
            f"{calls:,.0f}",
            f"{items:,.0f}" if ROWS[name].batch > 1 else "",
            f"{results.median(name, 'p50') * 1e3:.2f}",
            f"{results.median(name, 'p99') * 1e3:.2f}",
        )
    return table


def _bars(results: Results) -> Table:
    table = Table("", "bar", "measured", "rounds", "", box=None, pad_edge=False)
    for judged in results.judged():
        verdict = _verdict(judged.met)
        table.add_row(
            ROWS[judged.row].title,
            judged.bar,
            _number(judged.value),
            f"{_number(judged.lowest)} … {_number(judged.highest)}",
            f"{verdict} (aim)" if judged.aim else verdict,
        )
    return table


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3f}"


def _verdict(met: bool) -> str:
    return "[green]met[/]" if met else "[red]short[/]"
