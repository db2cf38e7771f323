"""The RPCs of `tally.voting.v1.AnalysisService`."""

from functools import partial
from typing import Any

import grpc.aio
from tally.voting.v1 import analysis_service_pb2 as messages
from tally.voting.v1.analysis_service_pb2_grpc import AnalysisServiceServicer

from libs.data.database import Database
from libs.data.ids import parse_id
from services.voting import convert_analysis, store_analysis

Context = grpc.aio.ServicerContext[Any, Any]


class AnalysisService(AnalysisServiceServicer):
    """What a conversation's votes say, by the last analysis that was stored. Analyses themselves are jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def RequestAnalysis(
        self, request: messages.RequestAnalysisRequest, context: Context
    ) -> messages.RequestAnalysisResponse:
        conversation_id, request_id = parse_id(request.conversation_id), parse_id(request.request_id)
        committed = await self._database.write(lambda tx: store_analysis.request(tx, conversation_id, request_id))
        return convert_analysis.to_request_response(committed)

    async def GetAnalysis(self, request: messages.GetAnalysisRequest, context: Context) -> messages.GetAnalysisResponse:
        stored = await self._database.read(
            partial(
                store_analysis.get,
                conversation_id=parse_id(request.conversation_id),
                participants=request.include_participants,
            )
        )
        return convert_analysis.to_get_response(stored)

    async def GetParticipantPosition(
        self, request: messages.GetParticipantPositionRequest, context: Context
    ) -> messages.GetParticipantPositionResponse:
        position = await self._database.read(
            partial(
                store_analysis.find,
                conversation_id=parse_id(request.conversation_id),
                user_id=parse_id(request.user_id),
            )
        )
        return convert_analysis.to_position_response(position)
