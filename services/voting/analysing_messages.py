"""An analysis as messages. They are stored as they are sent, so that answering makes nothing anew of each opinion."""

from typing import Any

from tally.voting.v1 import analysis_pb2 as resources

from libs.rpc.times import to_timestamp
from services.voting.convert import VOTES
from services.voting.groups.model import Analysis, ConsensusOpinion, Group
from services.voting.model import Choice
from services.voting.model_analysis import Basis, Positions


def to_analysis(
    basis: Basis, vote_count: int, participant_count: int, opinion_ids: list[str], analysis: Analysis
) -> bytes:
    """A serialised `Analysis` without participants."""
    # Nested messages are given as dictionaries, which are set inside the protobuf runtime.
    fields: dict[str, Any] = {
        "groups": [_group(group, opinion_ids) for group in analysis.groups],
        "opinions": _opinions(opinion_ids, analysis),
        "consensus": {
            "agree": [_consensus(each, opinion_ids) for each in analysis.consensus.agree],
            "disagree": [_consensus(each, opinion_ids) for each in analysis.consensus.disagree],
        },
    }
    return resources.Analysis(
        conversation_id=str(basis.conversation_id),
        computed_time=to_timestamp(basis.time),
        vote_count=vote_count,
        participant_count=participant_count,
        group_count=len(analysis.groups),
        explained_variance=analysis.explained_variance.tolist(),
        version=basis.version + 1,
        **fields,
    ).SerializeToString()


def to_participants(positions: Positions) -> bytes:
    """A serialised `Analysis` with participants alone."""
    columns = zip(*positions, strict=True)
    participants: list[Any] = [{"user_id": user, "x": x, "y": y, "group_id": group} for user, x, y, group in columns]
    return resources.Analysis(participants=participants).SerializeToString()


def _group(group: Group, opinion_ids: list[str]) -> dict[str, Any]:
    x, y = group.center
    return {
        "group_id": group.group_id,
        "size": group.size,
        "center": {"x": x, "y": y},
        "representative_opinions": [
            {
                "opinion_id": opinion_ids[each.opinion],
                "vote": VOTES[Choice(each.vote)],
                "probability": each.probability,
                "probability_test": each.probability_test,
                "repness": each.repness,
                "repness_test": each.repness_test,
            }
            for each in group.representative
        ],
    }


def _consensus(each: ConsensusOpinion, opinion_ids: list[str]) -> dict[str, Any]:
    return {
        "opinion_id": opinion_ids[each.opinion],
        "probability": each.probability,
        "probability_test": each.probability_test,
    }


def _opinions(opinion_ids: list[str], analysis: Analysis) -> list[dict[str, Any]]:
    group_ids = [group.group_id for group in analysis.groups]
    columns = zip(
        opinion_ids,
        *analysis.opinion_positions.T.tolist(),
        analysis.extremity.tolist(),
        analysis.priority.tolist(),
        analysis.group_aware_agree.tolist(),
        analysis.group_aware_disagree.tolist(),
        analysis.group_votes.transpose(1, 0, 2).tolist(),
        strict=True,
    )
    return [
        {
            "opinion_id": opinion_id,
            "x": x,
            "y": y,
            "extremity": extremity,
            "priority": priority,
            "group_aware_consensus_agree": agree,
            "group_aware_consensus_disagree": disagree,
            "group_votes": [
                {"group_id": group_id, "agrees": agrees, "disagrees": disagrees, "passes": passes}
                for group_id, (agrees, disagrees, passes) in zip(group_ids, votes, strict=True)
            ],
        }
        for opinion_id, x, y, extremity, priority, agree, disagree, votes in columns
    ]
