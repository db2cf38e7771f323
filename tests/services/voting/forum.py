"""A conversation driven through the store, its counters recounted after each write."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar
from uuid import UUID, uuid4

from libs.data.database import Committed, Database
from libs.data.errors import TallyError
from libs.data.ids import new_id
from libs.data.settings import DatabaseSettings
from libs.data.transaction import Transaction
from services.voting import store_conversations, store_moderation, store_reads
from services.voting.model import (
    CancelVote,
    CastVote,
    Choice,
    Command,
    Conversation,
    ConversationCounts,
    CreateOpinion,
    Deleted,
    Moderated,
    Moderation,
    ModerationAction,
    NewConversation,
    Opinion,
    Voted,
)
from services.voting.store import vote_and_create
from tests.services.voting.recount import assert_counts_hold

R = TypeVar("R")
SUBJECT = NewConversation("Cars in the old town", "Should they go?", uuid4())


class Forum:
    """One conversation, and what people do in it."""

    def __init__(self, database: Database, conversation_id: UUID) -> None:
        self.database = database
        self.conversation_id = conversation_id

    async def write(self, work: Callable[[Transaction], Awaitable[R]]) -> R:
        return (await self.commit(work)).value

    async def commit(self, work: Callable[[Transaction], Awaitable[R]]) -> Committed[R]:
        committed = await self.database.write(work)
        await assert_counts_hold(self.database, self.conversation_id)
        return committed

    async def command(self, command: Command) -> None:
        """Raises what the command is refused with."""
        (outcome,) = await self.write(lambda tx: vote_and_create(tx, [command]))
        if isinstance(outcome, TallyError):
            raise outcome

    async def opinion(self, body: str = "They should.", author_id: UUID | None = None) -> UUID:
        """Adds one; its author's vote stays due."""
        opinion_id = new_id()
        await self.command(CreateOpinion(self.conversation_id, opinion_id, author_id or uuid4(), body, uuid4()))
        return opinion_id

    async def vote(self, user_id: UUID, opinion_id: UUID, choice: Choice = Choice.AGREE) -> None:
        await self.command(CastVote(self.conversation_id, opinion_id, user_id, choice, uuid4()))

    async def vote_all(self, user_ids: Sequence[UUID], opinion_id: UUID) -> None:
        commands = [CastVote(self.conversation_id, opinion_id, u, Choice.AGREE, uuid4()) for u in user_ids]
        outcomes = await self.write(lambda tx: vote_and_create(tx, commands))
        assert all(isinstance(outcome, Voted) for outcome in outcomes)

    async def cancel(self, user_id: UUID, opinion_id: UUID) -> None:
        await self.command(CancelVote(self.conversation_id, opinion_id, user_id, uuid4()))

    def by_moderator(self, action: str, opinion_id: UUID | None = None) -> Moderation:
        return Moderation(self.conversation_id, opinion_id, ModerationAction(action), uuid4(), "Off topic")

    async def lock(self) -> None:
        await self.write(lambda tx: store_conversations.lock(tx, self.by_moderator("lock"), uuid4()))

    async def unlock(self) -> None:
        await self.write(lambda tx: store_conversations.unlock(tx, self.by_moderator("unlock"), uuid4()))

    async def moderate(self, action: str, opinion_id: UUID) -> Moderated:
        moderation = self.by_moderator(action, opinion_id)
        answer = await self.write(lambda tx: store_moderation.moderate(tx, moderation, uuid4()))
        assert isinstance(answer, Moderated)
        return answer

    async def delete(self, opinion_id: UUID) -> Deleted:
        moderation = self.by_moderator("delete", opinion_id)
        answer = await self.write(lambda tx: store_moderation.delete(tx, moderation, uuid4()))
        assert isinstance(answer, Deleted)
        return answer

    async def stored(self) -> Conversation:
        return await self.database.read(partial(store_reads.get, conversation_id=self.conversation_id))

    async def stored_opinion(self, opinion_id: UUID) -> Opinion:
        return await self.database.read(
            partial(store_reads.get_opinion, conversation_id=self.conversation_id, opinion_id=opinion_id)
        )

    async def totals(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """Opinions, votes and participants: of all, and of what is visible."""
        conversation = await self.stored()
        return in_numbers(conversation.counts), in_numbers(conversation.visible_counts)


@asynccontextmanager
async def new_forum(database_url: str) -> AsyncIterator[Forum]:
    async with Database.open(DatabaseSettings(database_url=database_url)) as database:
        created = (await database.write(lambda tx: store_conversations.create(tx, SUBJECT, uuid4()))).value
        assert isinstance(created, Conversation)
        yield Forum(database, created.conversation_id)


def in_numbers(counts: ConversationCounts) -> tuple[int, int, int]:
    return counts.opinion_count, counts.vote_count, counts.participant_count
