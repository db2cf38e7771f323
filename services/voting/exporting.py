"""Exporting a conversation to a stream, as it was at one moment."""

from collections.abc import AsyncIterator
from uuid import UUID

from tally.voting.v1 import voting_service_pb2 as messages

from libs.data.database import Database
from services.voting import convert_transfer, store_export
from services.voting.model import OpinionState

# Rows that are in memory at once, and votes of one message.
PAGE = 1_000


async def export(database: Database, conversation_id: UUID) -> AsyncIterator[messages.ExportConversationResponse]:
    """The header, the opinions, the votes. The snapshot lasts until the last piece is taken.

    Raises:
        ConversationNotFound: there is none.
    """
    async with database.snapshot() as snapshot:
        yield convert_transfer.from_header(await store_export.read_header(snapshot, conversation_id))
        async for page in store_export.opinions(snapshot, conversation_id, PAGE):
            for external_id, author, body, state, created_time in page:
                yield convert_transfer.from_opinion(external_id, author, body, OpinionState(state), created_time)
        async for page in store_export.votes(snapshot, conversation_id, PAGE):
            yield convert_transfer.from_votes(page)
