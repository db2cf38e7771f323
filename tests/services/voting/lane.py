"""The lane of votes and opinions without a server, so that the order of arrival is the test's."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import UUID, uuid4

from tally.voting.v1 import voting_service_pb2 as messages
from tally.voting.v1.voting_pb2 import VOTE_AGREE

from libs.data.database import Committed, Database
from libs.data.settings import DatabaseSettings
from services.voting import store_conversations
from services.voting.casting import Casting
from services.voting.model import CancelVote, CastVote, Choice, Conversation, CreateOpinion, NewConversation, Voted
from services.voting.settings import VotingSettings
from tests.services.voting.conftest import all_counts_hold
from tests.services.voting.conversations import new_uuid
from tests.stored import Connection


class Lane:
    """A lane, and an opinion to vote on with its author's vote."""

    def __init__(self, database: Database, casting: Casting, conversation_id: UUID, opinion_id: UUID) -> None:
        self.database = database
        self.casting = casting
        self.conversation_id = conversation_id
        self.opinion_id = opinion_id

    def cast(self, choice: Choice = Choice.AGREE, user: UUID | None = None, request: UUID | None = None) -> CastVote:
        return CastVote(self.conversation_id, self.opinion_id, user or uuid4(), choice, request or uuid4())

    def cancel(self, user: UUID) -> CancelVote:
        return CancelVote(self.conversation_id, self.opinion_id, user, uuid4())

    def create(self) -> CreateOpinion:
        return CreateOpinion(self.conversation_id, uuid4(), uuid4(), "Yes", uuid4())

    def each(
        self, commands: Sequence[CastVote | CancelVote]
    ) -> "asyncio.Future[list[Committed[Voted] | BaseException]]":
        """The outcome of each command, all of them sent at once in this order."""
        return asyncio.gather(*(self.casting.vote(command) for command in commands), return_exceptions=True)

    async def requests(self, n: int) -> AsyncIterator[messages.CastVoteRequest]:
        for _ in range(n):
            yield messages.CastVoteRequest(
                conversation_id=str(self.conversation_id),
                opinion_id=str(self.opinion_id),
                user_id=new_uuid(),
                vote=VOTE_AGREE,
                request_id=new_uuid(),
            )


@asynccontextmanager
async def a_lane(database_url: str, **settings: object) -> AsyncIterator[Lane]:
    """When it ends, every counter equals its rows."""
    database_settings = DatabaseSettings(database_url=database_url, database_role="tally_voting")
    async with Database.open(database_settings) as database:
        casting = Casting(database, VotingSettings(**settings))  # type: ignore[arg-type]
        new = NewConversation("Title", "", uuid4())
        created = (await database.write(lambda tx: store_conversations.create(tx, new, uuid4()))).value
        assert isinstance(created, Conversation)
        command = CreateOpinion(created.conversation_id, uuid4(), uuid4(), "Yes", uuid4())
        await casting.create_opinion(command)
        yield Lane(database, casting, created.conversation_id, command.opinion_id)
        await casting.drain()
    await all_counts_hold(database_url)


def superuser(database_url: str) -> AbstractAsyncContextManager[Database]:
    """Who may see what other sessions wait for."""
    return Database.open(DatabaseSettings(database_url=database_url))


@asynccontextmanager
async def held(db: Connection, conversation_id: UUID) -> AsyncIterator[None]:
    """While open, no transaction gets the conversation's row."""
    transaction = db.transaction()
    await transaction.start()
    await db.execute("SELECT FROM voting.conversations WHERE conversation_id = $1 FOR UPDATE", conversation_id)
    try:
        yield
    finally:
        await transaction.rollback()
