"""Which opinions are worth asking about: those that few have seen, that divide, and that people have something to say to."""

import numpy as np

from services.voting.groups.arrays import Flags, Floats, Ints
from services.voting.groups.constants import META_PRIORITY, NEWNESS, NEWNESS_HALVED
from services.voting.groups.counts import AGREE, PASS
from services.voting.groups.statistics import probability


def priorities(group_votes: Ints, extremity: Floats, meta: Flags) -> Floats:
    """(opinions,), above 0. Opinions about the conversation itself have one fixed priority.

    Args:
        group_votes: (groups, opinions, 3).
        extremity: (opinions,).
    """
    counts = group_votes.sum(axis=0)
    seen = counts.sum(axis=1)
    agreed, passed = probability(counts[:, AGREE], seen), probability(counts[:, PASS], seen)
    importance = (1 - passed) * (extremity + 1) * agreed
    newness = 1 + NEWNESS * 2 ** (-seen / NEWNESS_HALVED)
    return np.square(np.where(meta, META_PRIORITY, importance * newness))
