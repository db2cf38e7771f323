"""`tally verify`: does every counter equal the rows it counts?"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer
from pydantic import BaseModel
from rich.table import Column, Table

from libs.cli.migrate import database_url
from libs.cli.output import Json, console, print_json
from libs.devstack.errors import DevstackError
from libs.devstack.settings import StackSettings

if TYPE_CHECKING:
    from libs.data.counters import Counter
    from libs.data.database import Database
    from libs.data.verification import Survey

# Seconds a comparison may take: it reads every counted row.
_TIME_LIMIT = 3600.0


class Discrepancy(BaseModel):
    """A counter that differs from its rows; `repaired` once it was set to them."""

    resource_id: str
    counter: int
    counted: int
    repaired: bool = False
    problem: str = ""


class CounterReport(BaseModel):
    """One declared counter: how many resources were compared, and those that differ."""

    counter: str
    checked: int
    discrepancies: list[Discrepancy]


class VerifyReport(BaseModel):
    """All counters that count rows."""

    counters: list[CounterReport]

    @property
    def found(self) -> int:
        return sum(len(counter.discrepancies) for counter in self.counters)


def register(app: typer.Typer) -> None:
    app.command()(verify)


def verify(
    resources: Annotated[
        list[str] | None, typer.Argument(help="Ids or names, such as petitions'; all of them when left out.")
    ] = None,
    counter: Annotated[list[str] | None, typer.Option(help="Only these counters, such as petition.co_signers.")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Set wrong counters to their rows, with an audit row.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare every counter with its rows, each counter in one snapshot. Exit status 1 if any differed."""
    report = asyncio.run(compare(database_url(StackSettings()), resources, counter or [], repair))
    print_json(report) if as_json else _show(report)
    raise typer.Exit(report.found > 0)


async def compare(
    url: str, resources: Sequence[str] | None, counters: Sequence[str], repair_found: bool = False
) -> VerifyReport:
    """Compares, and repairs what differs if asked to.

    Args:
        resources: ids of aggregates, UUIDs and names, each looked for where it can be a key; None for all there are.

    Raises:
        DevstackError: there is no such counter or resource, or the database does not answer.
    """
    from libs.data.catalog import COUNTERS
    from libs.data.database import Database
    from libs.data.errors import TallyError
    from libs.data.settings import DatabaseSettings

    counting = {name: declared for name, declared in COUNTERS.items() if declared.counts is not None}
    if unknown := [name for name in counters if name not in counting]:
        raise DevstackError(f"no counter {', '.join(unknown)} counts rows; there are {', '.join(counting)}")
    settings = DatabaseSettings(database_url=url, statement_timeout=_TIME_LIMIT)
    try:
        async with Database.open(settings) as database:
            asked = {name: counting[name] for name in counters or counting}
            # All of them before any repair: one sets the other counters of its aggregate right, too.
            found = {name: await _compare_one(database, counter, resources) for name, counter in asked.items()}
            reports = [await _report(database, counter, found[name], repair_found) for name, counter in asked.items()]
    except TallyError as error:
        raise DevstackError(error.message) from error
    if resources and not any(report.checked for report in reports):
        raise DevstackError(f"nothing is counted for {', '.join(resources)}")
    return VerifyReport(counters=reports)


async def _compare_one(database: "Database", counter: "Counter", resources: Sequence[str] | None) -> "Survey":
    from libs.data.consistency import PRIMARY
    from libs.data.verification import survey

    keys = _keys_of(counter, resources) if resources else None
    return await database.read(lambda snapshot: survey(snapshot, counter, keys), PRIMARY)


async def _report(database: "Database", counter: "Counter", surveyed: "Survey", repair_found: bool) -> CounterReport:
    from libs.data.errors import TallyError
    from libs.data.verification import repair

    discrepancies = []
    for key, found in surveyed.discrepancies.items():
        discrepancy = Discrepancy(resource_id=counter.resource_id(key), counter=found.counter, counted=found.counted)
        if repair_found:
            try:
                await database.write(partial(repair, counter=counter, key=key))
                discrepancy.repaired = True
            except TallyError as error:
                discrepancy.problem = error.message
        discrepancies.append(discrepancy)
    return CounterReport(counter=counter.name, checked=surveyed.checked, discrepancies=discrepancies)


def _keys_of(counter: "Counter", resources: Sequence[str]) -> list[UUID] | list[str]:
    """Those of the resources that can be keys of this counter's aggregate. A name may look like a UUID."""
    if counter.aggregate.key_type == "text":
        return list(resources)
    return [parsed for parsed in map(_as_uuid, resources) if parsed is not None]


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _show(report: VerifyReport) -> None:
    summary = Table("counter", "compared", "differ", box=None, pad_edge=False)
    for counter in report.counters:
        differ = f"[red]{len(counter.discrepancies):,}[/]" if counter.discrepancies else "[green]0[/]"
        summary.add_row(counter.counter, f"{counter.checked:,}", differ)
    console.print(summary)
    if not report.found:
        return
    details = Table(
        "counter",
        Column("resource", no_wrap=True, overflow="fold"),
        "counter says",
        "rows say",
        "",
        box=None,
        pad_edge=False,
    )
    for counter in report.counters:
        for found in counter.discrepancies:
            outcome = "repaired" if found.repaired else found.problem
            details.add_row(counter.counter, found.resource_id, f"{found.counter:,}", f"{found.counted:,}", outcome)
    console.print(details)
