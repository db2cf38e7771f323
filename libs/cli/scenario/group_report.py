"""What is told of opinion groups."""

from typing import Literal

from pydantic import BaseModel

Side = Literal["agree", "disagree"]


class Divided(BaseModel):
    """An opinion, and what share of each group's votes on it are on a side, by the group's name."""

    opinion: str
    side: Side
    shares: dict[str, float]


class ToldGroup(BaseModel):
    """A group, and the opinions that tell it from the others."""

    name: str
    size: int
    says: list[Divided]


class ToldGroups(BaseModel):
    """What the votes of a conversation say.

    Args:
        in_groups: of the people, those who voted enough to be in one.
        unites, divides: what most of every group think, and where groups are furthest apart; the clearest first.
        disagreements: empty when the analysis is of as many votes and people as there were.
    """

    people: int
    votes: int
    in_groups: int
    groups: list[ToldGroup]
    unites: list[Divided]
    divides: list[Divided]
    disagreements: list[str]


def group_name(group_id: int) -> str:
    """A, B and so on; numbers for those that the alphabet does not reach."""
    return chr(ord("A") + group_id) if group_id < 26 else str(group_id)
