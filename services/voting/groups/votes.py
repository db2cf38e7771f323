"""What an analysis is made of: the votes of a conversation at one moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from services.voting.groups.arrays import Flags, Ints


@dataclass(frozen=True, slots=True)
class Votes:
    """Votes in any order, one a person and opinion.

    Attributes:
        participant_ids: ascending, distinct; those with at least one vote.
        opinion_ids: ascending, distinct; every opinion that is not deleted.
        participants: of each vote, an index into participant_ids.
        opinions: of each vote, an index into opinion_ids.
        votes: agree 1, pass 0, disagree -1.
        moderated: of each opinion: moved or hidden.
        meta: of each opinion: about the conversation itself.
    """

    participant_ids: Sequence[UUID]
    opinion_ids: Sequence[UUID]
    participants: Ints
    opinions: Ints
    votes: NDArray[np.int8]
    moderated: Flags
    meta: Flags

    def __post_init__(self) -> None:
        assert self.participants.shape == self.opinions.shape == self.votes.shape, "three facts a vote"
        assert self.moderated.shape == self.meta.shape == (len(self.opinion_ids),), "two facts an opinion"
