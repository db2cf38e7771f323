"""The run before, seen from this one: what it said of the people and opinions that are there now."""

from dataclasses import dataclass

import numpy as np

from services.voting.groups.arrays import Flags, Floats, Ids, Ints, places
from services.voting.groups.clusters import NUMBERS, Choice, Grouping
from services.voting.groups.components import COMPONENTS
from services.voting.groups.state import State


@dataclass(frozen=True, slots=True)
class Memory:
    """Attributes:
    components: (2, opinions); 0 for opinions that are new.
    were_in: (people,).
    group_ids: (people,); -1 for those who were not in, here and in grouping.
    """

    components: Floats
    were_in: Flags
    group_ids: Ints
    grouping: Grouping

    def of(self, people: Ints) -> Grouping:
        """The grouping of these people only."""
        return Grouping(self.grouping.base_clusters[people], self.grouping.by_number[:, people], self.grouping.choice)


def recalled(state: State | None, participant_ids: Ids, opinion_ids: Ids) -> Memory:
    """Everything new where there was no run before."""
    components = np.zeros((COMPONENTS, opinion_ids.size))
    people = np.full(participant_ids.size, -1, np.int32)
    by_number = np.full((len(NUMBERS), participant_ids.size), -1, np.int32)
    if state is None:
        return Memory(components, people >= 0, people, Grouping(people, by_number, None))
    known = places(opinion_ids, state.opinion_ids)
    components[:, known >= 0] = state.components[:, known[known >= 0]]
    known = places(participant_ids, state.participant_ids)
    there = known >= 0
    group_ids, base_clusters = people.copy(), people.copy()
    group_ids[there], base_clusters[there] = state.group_ids[known[there]], state.base_clusters[known[there]]
    by_number[:, there] = state.by_number[:, known[there]]
    choice = Choice(*state.choice) if state.choice[0] else None
    return Memory(components, there, group_ids, Grouping(base_clusters, by_number, choice))
