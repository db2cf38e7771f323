"""Conversations that move, for tests: pieces to import, and the calls that import and export."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from tally.voting.v1 import transfer_pb2 as transfer
from tally.voting.v1 import voting_pb2 as resources
from tally.voting.v1 import voting_service_pb2 as messages

from tests.services.voting.conversations import AGREE, Conversations

Piece = messages.ImportConversationRequest
LONG_AGO = datetime(2015, 7, 1, tzinfo=UTC)


def at(minute: int) -> Timestamp:
    """So many minutes after long ago."""
    time = Timestamp()
    time.FromDatetime(LONG_AGO + timedelta(minutes=minute))
    return time


def a_header(external_id: str = "https://polis.example/1", title: str = "Taxis") -> Piece:
    return Piece(header=transfer.ConversationHeader(external_id=external_id, title=title))


def an_opinion(external_id: str, author: str = "0", body: str = "Fair", moderation: int = 0, **more: Any) -> Piece:
    fields = {"created_time": at(int(external_id))} if external_id.isdecimal() else {}
    return Piece(
        opinion=transfer.TransferredOpinion(
            external_id=external_id, author_external_id=author, body=body, moderation=moderation, **(fields | more)
        )
    )


def a_vote(
    opinion: str, participant: str, vote: "resources.Vote.ValueType" = AGREE, minute: int = 0
) -> transfer.TransferredVote:
    return transfer.TransferredVote(
        opinion_external_id=opinion, participant_external_id=participant, vote=vote, vote_time=at(minute)
    )


def votes(*each: transfer.TransferredVote) -> Piece:
    """Many in one message."""
    return Piece(votes=transfer.TransferredVotes(votes=each))


async def import_all(voting: Conversations, pieces: Iterable[Piece]) -> messages.ImportConversationResponse:
    return await voting.stub.ImportConversation(iter(pieces))


async def export_all(voting: Conversations, conversation_id: str) -> list[messages.ExportConversationResponse]:
    request = messages.ExportConversationRequest(conversation_id=conversation_id)
    return [piece async for piece in voting.stub.ExportConversation(request)]


def to_import(exported: Sequence[messages.ExportConversationResponse], external_id: str = "") -> list[Piece]:
    """What was exported, to be imported; under another external id, if one is given."""
    pieces = [Piece.FromString(_as_import(piece)) for piece in exported]
    if external_id:
        pieces[0].header.external_id = external_id
    return pieces


def _as_import(piece: messages.ExportConversationResponse) -> bytes:
    kind = piece.WhichOneof("item")
    fields: dict[str, Any] = {str(kind): getattr(piece, str(kind))}
    return Piece(**fields).SerializeToString()
