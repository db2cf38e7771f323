"""Opinion groups as a person at the terminal reads them."""

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from libs.cli.scenario.group_report import Divided, ToldGroup, ToldGroups

_COLOURS = ("blue", "red", "green", "magenta", "yellow")
_BAR = 40
# Columns that an opinion may take.
_LONGEST = 96


def shown(title: str, told: ToldGroups) -> RenderableType:
    """Groups and their sizes, what each says that others do not, what unites them and what divides them."""
    colours = {group.name: _COLOURS[n % len(_COLOURS)] for n, group in enumerate(told.groups)}
    heading = Text.assemble((title, "bold"), f": {told.people:,} people, {told.votes:,} votes; {_in_groups(told)}")
    return Group(heading, *_parts(told, colours))


def _in_groups(told: ToldGroups) -> str:
    if not told.groups:
        return "too few to make groups of"
    return f"{told.in_groups:,} in {len(told.groups)} opinion group{'s' if len(told.groups) > 1 else ''}"


def _parts(told: ToldGroups, colours: dict[str, str]) -> Iterator[RenderableType]:
    for group in told.groups:
        yield _size(group, told.in_groups, colours[group.name])
        yield _opinions(group.says, colours)
    for heading, opinions in (("what unites them", told.unites), ("what divides them", told.divides)):
        if told.groups:
            yield Text(heading, style="bold")
            yield _opinions(opinions, colours) if opinions else Text("  nothing", style="dim")


def _size(group: ToldGroup, everybody: int, colour: str) -> Text:
    share = group.size / everybody
    bar = "█" * max(1, round(_BAR * share))
    people = "person" if group.size == 1 else "people"
    return Text.assemble((f"{group.name} {bar}", colour), f" {group.size:,} {people}, {share:.0%}")


def _opinions(opinions: Iterable[Divided], colours: dict[str, str]) -> Table:
    """An opinion a line, after how much of each group is on its side."""
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 1))
    for said in opinions:
        shares = (f"[{colours[name]}]{name} {share:4.0%}[/]" for name, share in said.shares.items())
        table.add_row(f"  {said.side}", *shares, _short(said.opinion))
    return table


def _short(text: str) -> Text:
    """On one line."""
    line = Text(" ".join(text.split()))
    line.truncate(_LONGEST, overflow="ellipsis")
    return line
