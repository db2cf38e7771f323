"""The opinions that tell a group from the others."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from services.voting.groups.arrays import Flags, Floats, Ints
from services.voting.groups.constants import MOST_REPRESENTATIVE, SIGNIFICANT
from services.voting.groups.counts import AGREE, DISAGREE
from services.voting.groups.model import Representative
from services.voting.groups.statistics import probability, proportion_test, two_proportion_test


@dataclass(frozen=True)
class _Side:
    """Agreeing or disagreeing, in one group and among everybody else; each (opinions,)."""

    votes: Ints
    seen: Ints
    other_votes: Ints
    other_seen: Ints

    @cached_property
    def probability(self) -> Floats:
        return probability(self.votes, self.seen)

    @cached_property
    def probability_test(self) -> Floats:
        return proportion_test(self.votes, self.seen)

    @cached_property
    def repness(self) -> Floats:
        return self.probability / probability(self.other_votes, self.other_seen)

    @cached_property
    def repness_test(self) -> Floats:
        return two_proportion_test(self.votes, self.seen, self.other_votes, self.other_seen)

    @cached_property
    def likeliness(self) -> Floats:
        """How much the group is for it."""
        return self.probability * self.probability_test

    @cached_property
    def distinction(self) -> Floats:
        """How much the group is for it, and more than others are."""
        return self.repness * self.repness_test * self.likeliness

    @cached_property
    def significant(self) -> Flags:
        return (self.probability_test > SIGNIFICANT) & (self.repness_test > SIGNIFICANT)


def representatives(group_votes: Ints, considered: Flags) -> list[tuple[Representative, ...]]:
    """Of each group at most five: agreed ones before disagreed ones, of each the one that distinguishes it best first.

    At least one, where any opinion is considered.

    Args:
        group_votes: (groups, opinions, 3).
        considered: of each opinion, whether it may be named.
    """
    named = np.flatnonzero(considered)
    counts = group_votes[:, named]
    everybody = counts.sum(axis=0)
    return [_of_one(own, everybody - own, named) for own in counts]


def _of_one(own: Ints, others: Ints, named: Ints) -> tuple[Representative, ...]:
    seen, other_seen = own.sum(axis=1), others.sum(axis=1)
    agree, disagree = (_Side(own[:, v], seen, others[:, v], other_seen) for v in (AGREE, DISAGREE))
    agreeing = agree.repness_test > disagree.repness_test
    found = np.flatnonzero(agree.significant | disagree.significant)
    distinction = np.where(agreeing, agree.distinction, disagree.distinction)
    ranked = found[np.argsort(-distinction[found], kind="stable")].tolist()
    first = _best_agreed(agree, own)
    if first is not None:
        ranked = [first, *(o for o in ranked if o != first)]
    elif not ranked and len(own):
        ranked = [int(np.maximum(agree.repness_test, disagree.repness_test).argmax())]
    shown = sorted(ranked[:MOST_REPRESENTATIVE], key=lambda o: not agreeing[o])
    return tuple(_described(o, agree if agreeing[o] else disagree, 1 if agreeing[o] else -1, named) for o in shown)


def _best_agreed(agree: _Side, own: Ints) -> int | None:
    """The opinion that the group agrees with most clearly, found going through them in order.

    One that is agreed with more than elsewhere yields to one that is more distinct, any other to one that is more agreed with.
    """
    voted = own[:, AGREE] + own[:, DISAGREE] > 0
    good = (agree.probability_test > SIGNIFICANT) | ((agree.repness > 1) & (agree.probability > 0.5))
    better = np.flatnonzero(voted & good)
    best = None
    while better.size:
        best = int(better[0])
        measure = agree.distinction if agree.repness[best] > 1 else agree.likeliness
        better = best + 1 + np.flatnonzero(voted[best + 1 :] & (measure[best + 1 :] > measure[best]))
    return best


def _described(opinion: int, side: _Side, vote: int, named: Ints) -> Representative:
    return Representative(
        opinion=int(named[opinion]),
        vote=vote,
        probability=float(side.probability[opinion]),
        probability_test=float(side.probability_test[opinion]),
        repness=float(side.repness[opinion]),
        repness_test=float(side.repness_test[opinion]),
    )
