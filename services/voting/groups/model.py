"""What an analysis says. Every number in it is finite, whatever the votes."""

from dataclasses import dataclass

from services.voting.groups.arrays import Floats, Ints
from services.voting.groups.state import State as State


@dataclass(frozen=True, slots=True)
class Representative:
    """An opinion that tells a group from the others.

    Attributes:
        opinion: index into the votes' opinion_ids.
        vote: what the group thinks of it, 1 or -1.
        probability: that somebody of the group votes so: (votes + 1) / (seen + 2).
        probability_test: z of the test that more than half of the group does.
        repness: the probability as a multiple of that among everybody else who is in a group.
        repness_test: z of the test that the two differ.
    """

    opinion: int
    vote: int
    probability: float
    probability_test: float
    repness: float
    repness_test: float


@dataclass(frozen=True, slots=True)
class Group:
    """People who vote alike.

    Attributes:
        center: mean of its people's positions.
        representative: at most five.
    """

    group_id: int
    size: int
    center: tuple[float, float]
    representative: tuple[Representative, ...]


@dataclass(frozen=True, slots=True)
class ConsensusOpinion:
    """An opinion that most people agree or disagree with.

    Attributes:
        opinion: index into the votes' opinion_ids.
        probability: that somebody votes so: (votes + 1) / (seen + 2).
        probability_test: z of the test that more than half do.
    """

    opinion: int
    probability: float
    probability_test: float


@dataclass(frozen=True, slots=True)
class Consensus:
    """What most people agree and disagree with, whatever their group; at most five each, the clearest first."""

    agree: tuple[ConsensusOpinion, ...]
    disagree: tuple[ConsensusOpinion, ...]


@dataclass(frozen=True, slots=True)
class Analysis:
    """Of P people, O opinions and G groups, in the order of the votes' ids.

    Attributes:
        participant_positions: (P, 2).
        participant_groups: (P,), the id of each person's group; -1 where in none.
        opinion_positions: (O, 2).
        extremity: (O,), distance from the middle of the map.
        priority: (O,), how much votes on it would tell.
        group_aware_agree: (O,), product over the groups of the probability of agreeing; 0 where there is no group.
        group_aware_disagree: (O,), the same of disagreeing.
        group_votes: (G, O, 3), agrees, disagrees and passes of each group, in the order of `groups`.
        groups: by id. Ids need not be without gaps.
        explained_variance: (2,), share of the votes' variance along each component, 0..1.
        state: what the next run starts from.
    """

    participant_positions: Floats
    participant_groups: Ints
    opinion_positions: Floats
    extremity: Floats
    priority: Floats
    group_aware_agree: Floats
    group_aware_disagree: Floats
    group_votes: Ints
    groups: tuple[Group, ...]
    consensus: Consensus
    explained_variance: Floats
    state: State
