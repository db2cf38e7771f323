"""Votes as a sparse matrix of people and opinions.

A vote that was not cast counts as the opinion's mean. After centring that is exactly zero, so the matrix that the principal
components are those of is as sparse as the votes, and nothing denser is ever built.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_array

from services.voting.groups.arrays import Floats, Ints
from services.voting.groups.votes import Votes


@dataclass(frozen=True, slots=True)
class CentredVotes:
    """How far each vote is from the mean of the votes on its opinion. Moderated opinions are all zeros.

    Attributes:
        deviations: sparse, float64 (people, opinions).
        means: (opinions,), of what was voted; 0 where nobody voted or the opinion is moderated.
        seen: (people,), opinions that each counts as having voted on: a moderated opinion is one that everybody passed on.
        opinion_count: those that somebody voted on.
        vote_counts: (people,), of moderated opinions too.
    """

    deviations: Any
    means: Floats
    seen: Ints
    opinion_count: int
    vote_counts: Ints


def centred(votes: Votes) -> CentredVotes:
    """Raises:
    ValueError: somebody has two votes on an opinion.
    """
    shape = people, opinions = len(votes.participant_ids), len(votes.opinion_ids)
    voters = np.bincount(votes.opinions, minlength=opinions)
    kept = ~votes.moderated[votes.opinions]
    of, on = votes.participants[kept], votes.opinions[kept]
    cast = votes.votes[kept].astype(np.float64)
    means = np.bincount(on, weights=cast, minlength=opinions) / np.maximum(voters, 1)
    deviations = coo_array((cast - means[on], (of, on)), shape=shape).tocsr()
    if deviations.nnz != cast.size:
        raise ValueError("one vote a person and opinion")
    passed_by_all = np.count_nonzero(votes.moderated & (voters > 0))
    return CentredVotes(
        deviations=deviations,
        means=means,
        seen=(np.bincount(of, minlength=people) + passed_by_all).astype(np.int32),
        opinion_count=int(np.count_nonzero(voters)),
        vote_counts=np.bincount(votes.participants, minlength=people).astype(np.int32),
    )
