"""Reads never wait for writers (V3)."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from tally.voting.v1 import voting_service_pb2 as messages

from libs.data.settings import DatabaseSettings
from tests.bad_fields import call
from tests.services.voting.calls import READS, a_world
from tests.services.voting.conftest import all_counts_hold
from tests.services.voting.conversations import Conversations, a_vote, totals, voting_service
from tests.services.voting.lane import held
from tests.stored import Connection


@pytest.fixture
async def voting(database_url: str) -> AsyncIterator[Conversations]:
    """Patient, so that on a slow machine no write gives up before the reads are answered."""
    database = DatabaseSettings(
        database_url=database_url, database_role="tally_voting", lock_timeout=50.0, statement_timeout=50.0
    )
    async with voting_service(database_url, database=database, default_deadline_seconds=60.0) as service:
        yield service
    await all_counts_hold(database_url)


async def test_every_read_is_answered_while_somebody_holds_the_conversation(
    voting: Conversations, db: Connection
) -> None:
    """As it was before those who wait: more votes and moderations than there are connections for writing."""
    world = await a_world(voting)
    writes = 2 * DatabaseSettings().write_pool_max
    async with held(db, UUID(world.conversation_id)):
        waiting = [
            asyncio.ensure_future(voting.moderate(world.opinion, messages.MODERATION_ACTION_ACCEPT))
            for _ in range(writes)
        ]
        waiting_vote = asyncio.ensure_future(voting.stub.CastVote(a_vote(world.opinion)))
        for _ in range(3):
            for rpc, request in READS.items():
                await asyncio.wait_for(call(voting, rpc, request(world)), 5.0)
        exported = voting.stub.ExportConversation(
            messages.ExportConversationRequest(conversation_id=world.conversation_id)
        )
        assert sum([len(piece.votes.votes) async for piece in exported]) == 2
        assert totals((await voting.get(world.conversation_id)).counts) == (1, 2, 2)
        assert not any(write.done() for write in (*waiting, waiting_vote))
    await asyncio.gather(*waiting, waiting_vote)
    assert totals((await voting.get(world.conversation_id)).counts) == (1, 3, 3)
