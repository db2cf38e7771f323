"""Votes counted by group and opinion."""

import numpy as np

from services.voting.groups.arrays import Ints
from services.voting.groups.votes import Votes

AGREE, DISAGREE, PASS = range(3)
_PLACES = np.array([PASS, AGREE, DISAGREE])  # of votes 0, 1 and -1


def counted(votes: Votes, groups: Ints, count: int) -> Ints:
    """(count, opinions, 3): agrees, disagrees and passes, on moderated opinions too.

    Args:
        groups: of each person, below count; -1 where in none.
    """
    of = groups[votes.participants]
    kept = of >= 0
    shape = (count, len(votes.opinion_ids), len(_PLACES))
    place = np.ravel_multi_index((of[kept], votes.opinions[kept], _PLACES[votes.votes[kept]]), shape)
    return np.bincount(place, minlength=int(np.prod(shape))).reshape(shape).astype(np.int32)
