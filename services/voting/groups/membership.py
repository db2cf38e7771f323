"""Who is in: whose votes are enough to put them in a group."""

import numpy as np

from services.voting.groups.arrays import Flags, Ints
from services.voting.groups.constants import FEWEST_IN, VOTES_TO_BE_IN


def who_is_in(vote_counts: Ints, opinion_count: int, were_in: Flags) -> Flags:
    """Of each person. Whoever was in stays in.

    Args:
        vote_counts: of each person, on moderated opinions too.
        opinion_count: opinions with votes.
        were_in: of each person, in the run before.
    """
    is_in = were_in | (vote_counts >= min(VOTES_TO_BE_IN, opinion_count))
    missing = FEWEST_IN - np.count_nonzero(is_in)
    if missing > 0:
        others = np.flatnonzero(~is_in)
        most_active = others[np.argsort(-vote_counts[others], kind="stable")]
        is_in[most_active[:missing]] = True
    return is_in
