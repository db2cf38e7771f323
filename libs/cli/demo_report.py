"""What the demonstration tells: what was sent and what became of it, and whether every account agrees."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, computed_field
from rich.markup import escape
from rich.table import Table

from libs.cli.groups_shown import shown
from libs.cli.output import console
from libs.cli.scenario.comparison import Comparison, CountComparison
from libs.cli.scenario.group_report import ToldGroups

if TYPE_CHECKING:
    from libs.cli.scenario.ledger import Act

_SHOWN = 6


class ActReport(BaseModel):
    """One part of the scenario: what was sent and what became of it. Latencies of the calls in milliseconds."""

    name: str
    sent: int
    accepted: int
    duplicates: int
    replayed: int
    withdrawn: int
    refused: int
    failures: dict[str, int]
    seconds: float
    p50_ms: float
    p99_ms: float


class DemoReport(BaseModel):
    """What was played, and whether everybody agrees about it."""

    acts: list[ActReport]
    petitions: list[Comparison]
    goods: list[CountComparison]
    conversation: str
    reputations: list[CountComparison]
    votes: list[CountComparison]
    groups: ToldGroups
    opinion_map: Path
    seconds: float

    @computed_field  # type: ignore[prop-decorator]  # pydantic documents it so
    @property
    def agreed(self) -> bool:
        """No call failed, and every count is the same by every account."""
        compared: list[Comparison | CountComparison] = [
            *self.petitions,
            *self.goods,
            *self.reputations,
            *self.votes,
        ]
        disagree = self.groups.disagreements or any(c.disagreements for c in compared)
        return not disagree and not any(act.failures for act in self.acts)


def to_report(act: "Act") -> ActReport:
    return ActReport(
        name=act.name,
        sent=act.sent,
        accepted=act.accepted,
        duplicates=act.duplicates,
        replayed=act.replayed,
        withdrawn=act.withdrawn,
        refused=act.refused,
        failures=dict(act.failures),
        seconds=act.seconds,
        p50_ms=act.percentile_ms(0.50),
        p99_ms=act.percentile_ms(0.99),
    )


def show(report: DemoReport) -> None:
    console.print(_acts(report))
    console.print()
    console.print(_petitions(report))
    console.print()
    console.print(_others("limited goods", report.goods))
    console.print()
    console.print(_others("reputation and groups", report.reputations))
    console.print()
    console.print(_others(report.conversation, report.votes))
    console.print()
    console.print(shown(report.conversation, report.groups))
    console.print(f"the opinion map: {report.opinion_map}", markup=False)
    for text in report.groups.disagreements:
        console.print(f"[red]{text}[/]")
    for petition in report.petitions:
        for text in petition.disagreements:
            console.print(f"[red]{petition.title}[/]: {text}; {petition.answered} stand by the answers")
    for compared in (*report.goods, *report.reputations, *report.votes):
        for text in compared.disagreements:
            console.print(f"[red]{compared.what}[/]: {text}; {compared.answered} by the answers")
    for act in report.acts:
        for reason, count in act.failures.items():
            console.print(f"[red]{act.name}[/]: {count} x {reason}")
    verdict = "every count equals its rows" if report.agreed else "something disagrees"
    console.print(f"[{'green' if report.agreed else 'red'}]{verdict}[/], {report.seconds:.1f} s")


def _acts(report: DemoReport) -> Table:
    names = ("sent", "accepted", "duplicates", "replayed", "withdrawn", "sold out", "failed", "p50 ms", "p99 ms")
    table = Table("", *names, box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for act in report.acts:
        became = (act.accepted, act.duplicates, act.replayed, act.withdrawn, act.refused, sum(act.failures.values()))
        counts = (act.sent, *became)
        latencies = (f"{act.p50_ms:.1f}", f"{act.p99_ms:.1f}") if act.p50_ms else ("", "")
        table.add_row(act.name, *(f"{n:,}" if n else "" for n in counts), *latencies)
    return table


def _petitions(report: DemoReport) -> Table:
    names = ("answers", "aggregator", "counter", "rows", "crossed", "recorded", "reversed", "recorded")
    table = Table("petition", *names, "", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    ordered = sorted(report.petitions, key=lambda petition: -petition.answered)
    for petition in ordered[:_SHOWN]:
        table.add_row(petition.title, *_counts([petition]), _agrees([petition]))
    if rest := ordered[_SHOWN:]:
        table.add_row(f"{len(rest)} others together", *_counts(rest), _agrees(rest))
    table.add_row("all", *_counts(ordered), _agrees(ordered), style="bold")
    return table


def _others(title: str, counts: list[CountComparison]) -> Table:
    table = Table(escape(title), "answers", "aggregator", "counter", "rows", "", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for compared in counts:
        numbers = (compared.answered, compared.aggregator, compared.counter, compared.rows)
        table.add_row(compared.what, *(f"{n:,}" for n in numbers), _agrees([compared]))
    return table


def _counts(petitions: list[Comparison]) -> list[str]:
    fields = (
        *("answered", "aggregator", "counter", "rows"),
        *("crossed_answered", "crossed_recorded", "reversed_answered", "reversed_recorded"),
    )
    return [f"{sum(getattr(petition, name) for petition in petitions):,}" for name in fields]


def _agrees(compared: Sequence[Comparison | CountComparison]) -> str:
    return "[red]differs[/]" if any(comparison.disagreements for comparison in compared) else "[green]agrees[/]"
