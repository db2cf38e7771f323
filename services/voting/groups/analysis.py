"""Votes in, an analysis out."""

import numpy as np
from threadpoolctl import threadpool_limits

from services.voting.groups.arrays import Floats, Ints, packed
from services.voting.groups.clusters import group
from services.voting.groups.consensus import group_aware, majority
from services.voting.groups.counts import AGREE, DISAGREE, counted
from services.voting.groups.identity import identified
from services.voting.groups.matrix import centred
from services.voting.groups.membership import who_is_in
from services.voting.groups.memory import recalled
from services.voting.groups.model import Analysis, Group, Representative
from services.voting.groups.priority import priorities
from services.voting.groups.projection import OpinionMap, project
from services.voting.groups.representative import representatives
from services.voting.groups.state import State
from services.voting.groups.votes import Votes


def analyse(votes: Votes, previous: State | None = None) -> Analysis:
    """The same for the same votes and the same previous run, in whatever order they come and however many threads there are.

    Args:
        previous: what the run before left; without it everything starts afresh.

    Raises:
        ValueError: somebody has two votes on an opinion.
    """
    # Threads would each add up a part, and so round otherwise than one alone.
    with threadpool_limits(limits=1, user_api="blas"):
        matrix = centred(votes)
        participant_ids, opinion_ids = packed(votes.participant_ids), packed(votes.opinion_ids)
        memory = recalled(previous, participant_ids, opinion_ids)
        opinion_map = project(matrix, memory.components)
        people = np.flatnonzero(who_is_in(matrix.vote_counts, matrix.opinion_count, memory.were_in))
        before = memory.group_ids[people]
        groups, choice = group(opinion_map.participants[people], before, memory.choice)
        group_ids = np.full(participant_ids.size, -1, np.int32)
        group_ids[people] = identified(groups, before)[groups]
        loaded = np.flatnonzero(opinion_map.components.any(axis=0))
        state = State(
            opinion_ids=opinion_ids[loaded],
            components=opinion_map.components[:, loaded],
            participant_ids=participant_ids[people],
            group_ids=group_ids[people],
            choice=(choice.k, choice.best, choice.wins) if choice else None,
        )
        return described(votes, opinion_map, group_ids, state)


def described(votes: Votes, opinion_map: OpinionMap, group_ids: Ints, state: State) -> Analysis:
    """What the groups mean.

    Args:
        group_ids: of each person; -1 where in none.
    """
    ids = np.unique(group_ids[group_ids >= 0])
    groups = np.where(group_ids >= 0, np.searchsorted(ids, group_ids), -1)
    group_votes = counted(votes, groups, ids.size)
    everybody = counted(votes, np.zeros_like(groups), 1)[0]
    considered = ~votes.moderated & (everybody.sum(axis=1) > 0)
    positions = opinion_map.participants
    return Analysis(
        participant_positions=positions,
        participant_groups=group_ids,
        opinion_positions=opinion_map.opinions,
        extremity=opinion_map.extremity,
        priority=priorities(group_votes, opinion_map.extremity, votes.meta),
        group_aware_agree=group_aware(group_votes, AGREE),
        group_aware_disagree=group_aware(group_votes, DISAGREE),
        group_votes=group_votes,
        groups=tuple(
            _group(group_id, positions[groups == place], said)
            for place, (group_id, said) in enumerate(
                zip(ids.tolist(), representatives(group_votes, considered), strict=True)
            )
        ),
        consensus=majority(everybody, considered),
        explained_variance=opinion_map.explained_variance,
        state=state,
    )


def _group(group_id: int, positions: Floats, representative: tuple[Representative, ...]) -> Group:
    x, y = positions.mean(axis=0).tolist()
    return Group(group_id, len(positions), (x, y), representative)
