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
        base_clusters: (people,), from 0.
        by_number: (4, people), group of each if there were 2, 3, 4 or 5, from 0; -1 where so many were not looked for.
        choice: number of groups in use, the best one of the latest run, and in how many runs in a row it was; zeros for none.
    """

    opinion_ids: Ids
    components: Floats
    participant_ids: Ids
    group_ids: Ints
    base_clusters: Ints
    by_number: Ints
    choice: tuple[int, int, int]

    def to_bytes(self) -> bytes:
        """The same for the same state."""
        buffer = BytesIO()
        for array in self._arrays():
            np.save(buffer, array, allow_pickle=False)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "State":
        """Raises:
        ValueError: this is no state, or one of another format. A run without one starts afresh.
        """
        buffer = BytesIO(data)
        version, opinions, components, people, groups, base, by_number, choice = (
            np.load(buffer, allow_pickle=False) for _ in range(8)
        )
        if version != _FORMAT:
            raise ValueError(f"state of format {version}, not {_FORMAT}")
        k, best, wins = choice.tolist()
        return cls(opinions, components, people, groups, base, by_number, (k, best, wins))

    def _arrays(self) -> Iterator[Any]:
        yield np.int64(_FORMAT)
        yield from (self.opinion_ids, self.components, self.participant_ids)
        yield from (self.group_ids, self.base_clusters, self.by_number, np.array(self.choice))
