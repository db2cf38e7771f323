"""Votes as they were read made into arrays, and an analysis of them into what is stored."""

import numpy as np

from libs.data.ids import UUID, parse_id
from services.voting.analysing_messages import to_analysis, to_participants
from services.voting.groups.analysis import analyse
from services.voting.groups.arrays import Floats, Ints, places
from services.voting.groups.model import Analysis, State
from services.voting.groups.votes import Votes
from services.voting.model_analysis import Ballots, Computed, Positions, Standing, Statistics

# The lowest rank there is: no logarithm is made of nothing.
LOWEST_PRIORITY = 1e-30


def analysed(ballots: Ballots) -> Computed:
    votes = to_votes(ballots)
    analysis = analyse(votes, to_state(ballots.state))
    opinion_ids, participant_ids = list(map(str, votes.opinion_ids)), list(map(str, votes.participant_ids))
    positions = to_positions(participant_ids, analysis)
    return Computed(
        basis=ballots.basis,
        vote_count=votes.votes.size,
        group_count=len(analysis.groups),
        analysis=to_analysis(ballots.basis, votes.votes.size, len(participant_ids), opinion_ids, analysis),
        participants=to_participants(positions),
        positions=positions,
        statistics=changed(to_statistics(opinion_ids, analysis), ballots.statistics),
        without_statistics=sorted({*ballots.statistics.opinion_ids}.difference(opinion_ids)),
        standing=to_standing(opinion_ids, analysis),
        state=analysis.state.to_bytes(),
    )


def to_state(stored: bytes | None) -> State | None:
    """None too where a release of another format left it: its conversation's groups are then numbered afresh."""
    try:
        return State.from_bytes(stored) if stored else None
    except (ValueError, TypeError, EOFError):
        return None


def to_votes(ballots: Ballots) -> Votes:
    opinion_ids = np.frombuffer(ballots.opinion_ids, "S16")
    opinions = places(np.frombuffer(ballots.voted_on, "S16"), opinion_ids)
    assert (opinions >= 0).all(), "a vote on an opinion that is not there"
    return Votes(
        participant_ids=_ids(ballots.participant_ids),
        opinion_ids=_ids(ballots.opinion_ids),
        participants=np.repeat(np.arange(len(ballots.vote_counts), dtype=np.int32), ballots.vote_counts),
        opinions=opinions,
        votes=np.frombuffer(ballots.votes, ">i2").astype(np.int8),
        moderated=np.frombuffer(ballots.moderated, np.bool_),
        meta=np.frombuffer(ballots.meta, np.bool_),
    )


def _ids(packed: bytes) -> list[UUID]:
    digits = packed.hex()
    return [parse_id(digits[start : start + 32]) for start in range(0, len(digits), 32)]


def to_positions(participant_ids: list[str], analysis: Analysis) -> Positions:
    xs, ys = analysis.participant_positions.T.tolist()
    groups = [None if group < 0 else group for group in analysis.participant_groups.tolist()]
    return Positions(participant_ids, xs, ys, groups)


def to_statistics(opinion_ids: list[str], analysis: Analysis) -> Statistics:
    ids = np.array([group.group_id for group in analysis.groups], np.int32)
    of_opinions = analysis.group_votes.transpose(1, 0, 2)
    groups = np.broadcast_to(ids[:, None], (*of_opinions.shape[:2], 1))
    numbers = np.concatenate([groups, of_opinions], axis=2).reshape(len(opinion_ids), 4 * ids.size)
    group_votes = [f"{{{','.join(map(str, row))}}}" for row in numbers.tolist()]
    return Statistics(opinion_ids, group_votes, ranks(analysis.priority).tolist())


def changed(statistics: Statistics, stored: Statistics) -> Statistics:
    """Those that are not stored so."""
    there = {*zip(*stored, strict=True)}
    rows = [row for row in zip(*statistics, strict=True) if row not in there]
    return Statistics(*map(list, zip(*rows, strict=True))) if rows else Statistics([], [], [])


def ranks(priorities: Floats) -> Ints:
    """In steps of a factor of the square root of two, as `voting.priority_rank` has them."""
    rounded: Ints = np.floor(2 * np.log2(np.maximum(priorities, LOWEST_PRIORITY))).astype(np.int32)
    return rounded


def to_standing(opinion_ids: list[str], analysis: Analysis) -> Standing:
    """What represents each group, the opinion that says most first."""
    standing = Standing([], [], [])
    for group in analysis.groups:
        for place, each in enumerate(group.representative, start=1):
            standing.group_ids.append(group.group_id)
            standing.places.append(place)
            standing.opinion_ids.append(opinion_ids[each.opinion])
    return standing
