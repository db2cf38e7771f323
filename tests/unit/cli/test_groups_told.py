"""What the demo tells of opinion groups, and how it reads at a terminal."""

from rich.console import Console
from tally.voting.v1 import analysis_pb2 as resources

from libs.cli.groups_shown import shown
from libs.cli.scenario.group_report import Divided, ToldGroups
from libs.cli.scenario.groups import told
from tests.unit.cli.told import BODIES, analysis, conversation


def printed(groups: ToldGroups) -> list[str]:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(shown("The [market] square", groups))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_groups_are_told_with_their_sizes_and_what_each_thinks() -> None:
    groups = told(analysis(), conversation(), BODIES)
    assert [(group.name, group.size) for group in groups.groups] == [("A", 3), ("B", 2)]
    (a_says,), (b_says,) = (group.says for group in groups.groups)
    assert a_says == Divided(opinion=BODIES["cars"], side="disagree", shares={"A": 1.0, "B": 0.0})
    assert b_says == Divided(opinion=BODIES["cars"], side="agree", shares={"A": 0.0, "B": 1.0})
    assert (groups.people, groups.votes, groups.in_groups, groups.disagreements) == (6, 6, 5, [])


def test_what_most_of_every_group_agree_with_unites_and_what_they_differ_in_most_divides() -> None:
    """A hidden opinion does neither, whatever its votes."""
    groups = told(analysis(), conversation(), BODIES)
    assert [(said.opinion, said.side) for said in groups.unites] == [(BODIES["trees"], "agree")]
    assert [said.opinion for said in groups.divides] == [BODIES["cars"], BODIES["shops"], BODIES["trees"]]


def test_an_analysis_of_other_votes_than_were_cast_disagrees() -> None:
    missing = conversation()
    del missing.votes["trees"]["a1"]
    assert told(analysis(), missing, BODIES).disagreements == [
        "the analysis is of 6 votes of 6 people instead of 5 of 5"
    ]


def test_a_terminal_shows_sizes_as_bars_and_an_opinion_a_line_with_the_share_of_each_group() -> None:
    lines = printed(told(analysis(), conversation(), BODIES))
    assert lines[0] == "The [market] square: 6 people, 6 votes; 5 in 2 opinion groups"
    assert lines[1] == f"A {'█' * 24} 3 people, 60%"
    assert lines[2].split() == ["disagree", "A", "100%", "B", "0%", "Cars", "for", "all"]
    unites, divides = lines.index("what unites them"), lines.index("what divides them")
    assert lines[unites + 1].split() == ["agree", "A", "100%", "B", "100%", "Trees!"]
    assert [line.split()[-1] for line in lines[divides + 1 :]] == ["all", "[cafés]", "Trees!"]


def test_without_groups_a_terminal_says_so() -> None:
    nobody = told(resources.Analysis(participant_count=2, vote_count=6), conversation(), BODIES)
    assert printed(nobody) == ["The [market] square: 2 people, 6 votes; too few to make groups of"]
