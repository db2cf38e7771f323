"""Votes of conversations that never took place: some groups that think alike, and few people who vote on much."""

from uuid import UUID

import numpy as np

from services.voting.groups.votes import Votes

GROUPS = 4
# Of what people think along each direction that divides them, against chance.
_DIRECTIONS, _CONVICTION = 3, 1.5
# How unequally people vote, and opinions are voted on: of a log-normal distribution, and a power of chance.
_ACTIVITY, _ATTENTION = 1.0, 4.0
_PASSES = 0.3  # below this conviction


def generated(votes: int, people: int, opinions: int, seed: int = 1) -> Votes:
    """At least one vote a person, one a person and opinion; the same for the same seed."""
    chance = np.random.default_rng(seed)
    cast = np.zeros(0, np.int64)
    activity = chance.lognormal(sigma=_ACTIVITY, size=people)
    odds = np.cumsum(activity / activity.sum())
    every = np.arange(people) * opinions + chance.integers(opinions, size=people)
    while cast.size < votes:
        missing = 2 * (votes - cast.size) + 100
        who = np.searchsorted(odds, chance.random(missing) * odds[-1])
        what = (opinions * chance.random(missing) ** _ATTENTION).astype(np.int64)
        cast = np.unique(np.concatenate([cast, every, who * opinions + what]))
    extra = np.setdiff1d(cast, every)
    cast = np.sort(np.concatenate([every, chance.permutation(extra)[: votes - people]]))
    who, what = np.divmod(cast, opinions)
    camps = chance.normal(size=(GROUPS, _DIRECTIONS))
    minds = camps[chance.integers(GROUPS, size=people)] + chance.normal(scale=0.5, size=(people, _DIRECTIONS))
    claims = chance.normal(size=(opinions, _DIRECTIONS))
    leaning = np.einsum("vd,vd->v", minds[who], claims[what]) * _CONVICTION + chance.normal(size=votes)
    return Votes(
        participant_ids=[UUID(int=number) for number in range(people)],
        opinion_ids=[UUID(int=number) for number in range(opinions)],
        participants=who.astype(np.int32),
        opinions=what.astype(np.int32),
        votes=np.where(np.abs(leaning) < _PASSES, 0, np.sign(leaning)).astype(np.int8),
        moderated=np.zeros(opinions, np.bool_),
        meta=np.zeros(opinions, np.bool_),
    )
