"""What goes into an analysis and what comes out of it, as it travels between database, worker and computing process.

Ids and votes are bytes from end to end, and numbers of many rows one value: nothing is made of each vote outside the process
that computes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Basis:
    """The moment whose votes an analysis is of.

    Args:
        version: of the last analysis by then; 0 if there was none.
        conversation_version: of the conversation.
        horizon: every transaction with a smaller xid had ended.
    """

    conversation_id: UUID
    version: int
    conversation_version: int
    horizon: int
    time: datetime


class Statistics(NamedTuple):
    """What the listings show of opinions, in columns.

    Args:
        group_votes: group, agrees, disagrees and passes of each group in turn, written as an array of Postgres.
        ranks: of their priorities, in the steps of `voting.priority_rank`.
    """

    opinion_ids: list[str]
    group_votes: list[str]
    ranks: list[int]


@dataclass(frozen=True, slots=True)
class Ballots:
    """A conversation's opinions and votes at one moment.

    Args:
        opinion_ids: 16 bytes each, ascending; those not deleted.
        moderated: a byte each, 1 of those that were moved or hidden.
        meta: a byte each, 1 of those about the conversation itself.
        participant_ids: 16 bytes each, ascending; those with a vote.
        vote_counts: how many votes each of them has.
        voted_on: the opinions of these votes, 16 bytes each.
        votes: 2 bytes each, the highest first: 1 agrees, -1 disagrees, 0 passes.
        statistics: what is stored of opinions.
        state: what the last analysis left to start from; None before the first.
    """

    basis: Basis
    opinion_ids: bytes
    moderated: bytes
    meta: bytes
    participant_ids: bytes
    vote_counts: Sequence[int]
    voted_on: bytes
    votes: bytes
    statistics: Statistics
    state: bytes | None


class Positions(NamedTuple):
    """Where people are on the map, in columns, ascending by id.

    Args:
        groups: None of somebody who is in none.
    """

    participant_ids: list[str]
    xs: list[float]
    ys: list[float]
    groups: list[int | None]


class Standing(NamedTuple):
    """The opinions that stand for groups, in columns: place 1 of a group says most."""

    group_ids: list[int]
    places: list[int]
    opinion_ids: list[str]


@dataclass(frozen=True, slots=True)
class Computed:
    """An analysis to be stored.

    Args:
        analysis: a serialised `tally.voting.v1.Analysis` without participants.
        participants: one with participants alone.
        statistics: of the opinions of which others are stored, or none.
        without_statistics: opinions whose statistics are to go.
        state: what the next one starts from.
    """

    basis: Basis
    vote_count: int
    group_count: int
    analysis: bytes
    participants: bytes
    positions: Positions
    statistics: Statistics
    without_statistics: list[str]
    standing: Standing
    state: bytes

    @property
    def version(self) -> int:
        return self.basis.version + 1


@dataclass(frozen=True, slots=True)
class Requested:
    """An analysis was asked for.

    Args:
        version: of the newest there was; 0 if there was none.
    """

    version: int


@dataclass(frozen=True, slots=True)
class Position:
    """Where a person is on the map, by which analysis.

    Args:
        group_id: None if the person is in none.
        time: when the votes were read.
    """

    user_id: UUID
    x: float
    y: float
    group_id: int | None
    time: datetime
    version: int
