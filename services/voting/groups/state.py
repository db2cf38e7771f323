"""What one run of the analysis leaves to the next, as bytes that can be stored."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np

from services.voting.groups.arrays import Floats, Ids, Ints

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class State:
    """Opinions and people by their ids, for they come and go.

    Attributes:
        opinion_ids: ascending; those with a loading.
        components: (2, opinions).
        participant_ids: ascending; those who were in.
        group_ids: (people,), the id of each one's group.
        choice: number of groups in use, the best of the latest run, and in how many runs in a row it was; None for no group.
    """

    opinion_ids: Ids
    components: Floats
    participant_ids: Ids
    group_ids: Ints
    choice: tuple[int, int, int] | None

    def to_bytes(self) -> bytes:
        """The same for the same state."""
        buffer = BytesIO()
        for array in self._arrays():
            np.save(buffer, array, allow_pickle=False)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "State | None":
        """None for a state of another format: a release that changed it starts afresh.

        Raises:
            ValueError: this is no state.
        """
        buffer = BytesIO(data)
        version, *choice = np.load(buffer, allow_pickle=False).tolist()
        if version != _FORMAT:
            return None
        opinions, components, people, groups = (np.load(buffer, allow_pickle=False) for _ in range(4))
        return cls(opinions, components, people, groups, (choice[0], choice[1], choice[2]) if choice else None)

    def _arrays(self) -> Iterator[Any]:
        yield np.array([_FORMAT, *(self.choice or ())])
        yield from (self.opinion_ids, self.components, self.participant_ids, self.group_ids)
