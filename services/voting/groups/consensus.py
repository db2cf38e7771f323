"""What most people think, whatever their group, and what every group thinks."""

import numpy as np

from services.voting.groups.arrays import Flags, Floats, Ints
from services.voting.groups.constants import MOST_CONSENSUS, SIGNIFICANT
from services.voting.groups.counts import AGREE, DISAGREE
from services.voting.groups.model import Consensus, ConsensusOpinion
from services.voting.groups.statistics import probability, proportion_test


def majority(counts: Ints, considered: Flags) -> Consensus:
    """Args:
    counts: (opinions, 3), of everybody, in a group or not.
    considered: of each opinion, whether it may be named.
    """
    seen = counts.sum(axis=1)
    return Consensus(
        agree=_clearest(counts[:, AGREE], seen, considered), disagree=_clearest(counts[:, DISAGREE], seen, considered)
    )


def group_aware(group_votes: Ints, vote: int) -> Floats:
    """(opinions,): product over the groups of the probability of this vote (AGREE or DISAGREE); 0 where there is no group."""
    if not len(group_votes):
        return np.zeros(group_votes.shape[1])
    each = probability(group_votes[:, :, vote], group_votes.sum(axis=2))
    return np.asarray(each.prod(axis=0))


def _clearest(votes: Ints, seen: Ints, considered: Flags) -> tuple[ConsensusOpinion, ...]:
    likely, test = probability(votes, seen), proportion_test(votes, seen)
    shared = np.flatnonzero(considered & (likely > 0.5) & (test > SIGNIFICANT))
    clearest = shared[np.argsort(-(likely * test)[shared], kind="stable")][:MOST_CONSENSUS]
    return tuple(ConsensusOpinion(int(o), float(likely[o]), float(test[o])) for o in clearest)
