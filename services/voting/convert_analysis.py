"""What came of asking for analyses to messages."""

from tally.voting.v1 import analysis_pb2 as resources
from tally.voting.v1 import analysis_service_pb2 as messages

from libs.data.database import Committed
from libs.data.requests import Replay, first_answer
from libs.rpc.times import to_timestamp
from services.voting.model_analysis import Position, Requested
from services.voting.store_analysis import Stored


def to_request_response(committed: Committed[Requested | Replay[Requested]]) -> messages.RequestAnalysisResponse:
    requested, token, replayed = first_answer(committed)
    return messages.RequestAnalysisResponse(version=requested.version, replayed=replayed, commit_token=token)


def to_get_response(stored: Stored) -> messages.GetAnalysisResponse:
    response = messages.GetAnalysisResponse()
    response.analysis.MergeFromString(stored.analysis)
    if stored.participants is not None:
        response.analysis.MergeFromString(stored.participants)
    return response


def to_position_response(position: Position) -> messages.GetParticipantPositionResponse:
    return messages.GetParticipantPositionResponse(
        position=resources.ParticipantPosition(
            user_id=str(position.user_id), x=position.x, y=position.y, group_id=position.group_id
        ),
        computed_time=to_timestamp(position.time),
        version=position.version,
    )
