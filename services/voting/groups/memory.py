"""The run before, seen from this one: what it said of the people and opinions that are there now."""

from dataclasses import dataclass

import numpy as np

from services.voting.groups.arrays import Flags, Floats, Ids, Ints, places
from services.voting.groups.clusters import Choice
from services.voting.groups.components import COMPONENTS
from services.voting.groups.state import State


@dataclass(frozen=True, slots=True)
class Memory:
    """Attributes:
    components: (2, opinions); 0 for opinions that are new.
    group_ids: (people,); -1 for those who were not in.
    choice: None where there was no group.
    """

    components: Floats
    group_ids: Ints
    choice: Choice | None

    @property
    def were_in(self) -> Flags:
        return self.group_ids >= 0


def recalled(state: State | None, participant_ids: Ids, opinion_ids: Ids) -> Memory:
    """Everything new where there was no run before."""
    components = np.zeros((COMPONENTS, opinion_ids.size))
    group_ids = np.full(participant_ids.size, -1, np.int32)
    if state is None:
        return Memory(components, group_ids, None)
    known = places(opinion_ids, state.opinion_ids)
    components[:, known >= 0] = state.components[:, known[known >= 0]]
    known = places(participant_ids, state.participant_ids)
    group_ids[known >= 0] = state.group_ids[known[known >= 0]]
    return Memory(components, group_ids, Choice(*state.choice) if state.choice else None)
