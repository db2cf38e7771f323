"""`tally perf-check`: are lookups and discovery as fast as they should be, on what there is?"""

import asyncio
import re
from typing import Annotated

import typer
from pydantic import BaseModel, computed_field
from rich.table import Table

from libs.cli.load_progress import progress
from libs.cli.output import Json, console, errors, failures_in_words, print_json
from libs.cli.stack import ensure_running
from libs.devstack.errors import DevstackError
from libs.devstack.settings import StackSettings

_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(ms|s)")
_UNITS = {"ms": 1e-3, "s": 1.0}


class Measured(BaseModel):
    """One kind of query: how long it took, in milliseconds.

    Args:
        failures: calls that failed, by code and reason.
    """

    kind: str
    queries: int
    average_ms: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    failures: dict[str, int]


class PerfReport(BaseModel):
    """All kinds of queries, and the average that none may exceed."""

    max_time_ms: float
    measured: list[Measured]

    def fast(self, each: Measured) -> bool:
        return not each.failures and each.average_ms <= self.max_time_ms

    @computed_field  # type: ignore[prop-decorator]  # pydantic documents it so
    @property
    def passed(self) -> bool:
        return all(map(self.fast, self.measured))


def register(app: typer.Typer) -> None:
    app.command("perf-check")(perf_check)


def seconds_of(text: str) -> float:
    """Of a duration such as `200ms` or `0.2s`.

    Raises:
        typer.BadParameter: it is none, or no time at all.
    """
    found = _DURATION.fullmatch(text)
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if seconds <= 0:
        raise typer.BadParameter("must be a number with its unit, such as 200ms or 0.2s")
    return seconds


def perf_check(
    queries: Annotated[int, typer.Option(min=1, max=1_000_000, help="Queries of each kind.")] = 1_000,
    max_time: Annotated[
        float, typer.Option(parser=seconds_of, metavar="DURATION", help="What an average may be: 200ms, 0.2s.")
    ] = "200ms",  # type: ignore[assignment]  # parsed like an argument
    callers: Annotated[int, typer.Option(min=1, max=256, help="Concurrent callers.")] = 8,
    as_json: Json = False,
) -> None:
    """Look up reputations, food, groups and what goes on in them, at random among what there is. Starts the stack if needed.

    Exit status 1 if an average is above the limit or a query failed.
    """
    from libs.cli.perf_queries import KINDS, measure

    services = ensure_running(StackSettings()).services
    if missing := {"reputation", "claims"} - services.keys():
        raise DevstackError(f"the stack has no {' and no '.join(sorted(missing))}")
    with progress(f"{queries:,} queries of each kind", queries * len(KINDS)) as advance:
        measured = asyncio.run(
            measure(services["reputation"].address, services["claims"].address, queries, callers, advance)
        )
    report = PerfReport(max_time_ms=max_time * 1e3, measured=measured)
    print_json(report) if as_json else _show(report)
    raise typer.Exit(not report.passed)


def _show(report: PerfReport) -> None:
    table = Table("", "queries", "average ms", "p50 ms", "p99 ms", "max ms", "failed", box=None, pad_edge=False)
    for column in table.columns[1:6]:
        column.justify = "right"
    for each in report.measured:
        times = (each.average_ms, each.p50_ms, each.p99_ms, each.max_ms)
        table.add_row(
            each.kind,
            f"{each.queries:,}",
            *(f"{time:.2f}" for time in times),
            f"[red]{failures_in_words(each.failures)}[/]" if each.failures else "none",
        )
    console.print(table)
    if report.passed:
        console.print(f"[green]no average is above {report.max_time_ms:g} ms[/]")
    for each in report.measured:
        if not report.fast(each):
            errors.print(
                f"{each.kind}: {each.average_ms:.2f} ms on average, {report.max_time_ms:g} ms allowed", style="red"
            )
