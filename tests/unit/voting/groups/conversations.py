"""Small conversations, and all numbers of an analysis at once."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import numpy as np

from services.voting.groups.arrays import Floats
from services.voting.groups.model import Analysis
from services.voting.groups.votes import Votes

NUMBERS = (
    "participant_positions",
    "participant_groups",
    "opinion_positions",
    "extremity",
    "priority",
    "group_aware_agree",
    "group_aware_disagree",
    "group_votes",
    "explained_variance",
)


def votes_of(last: Mapping[tuple[int, int], int], opinions: Collection[int], moderated: Collection[int] = ()) -> Votes:
    """Votes by person and opinion, both of which are numbers."""
    people, opinions = sorted({person for person, _ in last}), sorted(opinions)
    keys = np.array(sorted(last), np.int64).reshape(-1, 2)
    return Votes(
        participant_ids=[UUID(int=person) for person in people],
        opinion_ids=[UUID(int=opinion) for opinion in opinions],
        participants=np.searchsorted(people, keys[:, 0]).astype(np.int32),
        opinions=np.searchsorted(opinions, keys[:, 1]).astype(np.int32),
        votes=np.array([last[person, opinion] for person, opinion in keys.tolist()], np.int8),
        moderated=np.isin(opinions, list(moderated)),
        meta=np.zeros(len(opinions), np.bool_),
    )


def everybody(table: Sequence[Sequence[int | None]], moderated: tuple[int, ...] = ()) -> Votes:
    """A row a person, a column an opinion; None for no vote."""
    cast = {(p, o): vote for p, row in enumerate(table) for o, vote in enumerate(row) if vote is not None}
    return votes_of(cast, range(len(table[0]) if table else 0), moderated)


def chance(people: int, opinions: int, share: float, seed: int, moderated: tuple[int, ...] = ()) -> Votes:
    """Two camps that answer most opinions differently, with some chance; all vote on about this share of the opinions."""
    random = np.random.default_rng(seed)
    sides = np.where(np.arange(people) % 2, 1, -1)[:, None] * random.choice([-1, 1], opinions)
    votes = np.where(random.random((people, opinions)) < 0.3, random.integers(-1, 2, (people, opinions)), sides)
    cast = {(int(p), int(o)): int(votes[p, o]) for p, o in np.argwhere(random.random((people, opinions)) < share)}
    return votes_of(cast, range(opinions), moderated)


def dense(votes: Votes) -> Floats:
    """As a matrix of people and opinions; NaN for no vote."""
    table = np.full((len(votes.participant_ids), len(votes.opinion_ids)), np.nan)
    table[votes.participants, votes.opinions] = votes.votes
    return table


def shuffled(votes: Votes, seed: int) -> Votes:
    order = np.random.default_rng(seed).permutation(votes.votes.size)
    return Votes(
        votes.participant_ids,
        votes.opinion_ids,
        votes.participants[order],
        votes.opinions[order],
        votes.votes[order],
        votes.moderated,
        votes.meta,
    )


def fingerprint(analysis: Analysis) -> bytes:
    """Every bit of it."""
    arrays = b"".join(np.ascontiguousarray(getattr(analysis, name)).tobytes() for name in NUMBERS)
    return arrays + repr((analysis.groups, analysis.consensus)).encode() + analysis.state.to_bytes()
