"""The author's vote on a new opinion is cast exactly once, whatever dies between the opinion's transaction and its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from uuid import UUID, uuid4

from tally.voting.v1 import voting_pb2 as resources
from tally.voting.v1 import voting_service_pb2 as messages

from libs.data.database import Database
from libs.data.settings import DatabaseSettings
from services.voting import store
from services.voting.author_votes import AuthorVotes
from services.voting.casting import Casting
from services.voting.model import Created, CreateOpinion
from services.voting.settings import VotingSettings
from tests.eventually import becomes_true
from tests.services.voting.conversations import (
    DISAGREE,
    PASS,
    Conversations,
    an_opinion,
    three,
    totals,
    voting_service,
)
from tests.services.voting.transfers import Piece, a_header, import_all
from tests.services.voting.transfers import a_vote as a_transferred_vote
from tests.stored import Connection, event_kinds, everything

BREAK = """
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';
CREATE TRIGGER fail BEFORE DELETE ON voting.author_votes_due EXECUTE FUNCTION fail();
"""
MEND = "DROP FUNCTION fail CASCADE"


@asynccontextmanager
async def another_process(database_url: str) -> AsyncIterator[tuple[Database, AuthorVotes]]:
    """What another process of the service has: its own pools and lane."""
    settings = DatabaseSettings(database_url=database_url, database_role="tally_voting")
    async with Database.open(settings) as database:
        casting = Casting(database, VotingSettings())
        yield database, AuthorVotes(database, casting, 3600.0)
        await casting.drain()


async def by_a_process_that_dies(database: Database, conversation_id: str, n: int = 1) -> list[resources.Opinion]:
    """Opinions whose first transaction committed, and nothing after it."""
    commands = [CreateOpinion(UUID(conversation_id), uuid4(), uuid4(), "Yes", uuid4()) for _ in range(n)]
    outcomes = (await database.write(lambda tx: store.vote_and_create(tx, commands))).value
    assert all(isinstance(outcome, Created) for outcome in outcomes)
    return [
        resources.Opinion(conversation_id=conversation_id, opinion_id=str(c.opinion_id), author_id=str(c.author_id))
        for c in commands
    ]


async def test_an_opinion_stands_without_its_authors_vote_when_that_fails_and_gets_it_later(
    voting: Conversations, db: Connection, database_url: str
) -> None:
    """G2: the answer says so; whoever repeats the request has it cast, and so has everybody else in the end."""
    conversation_id = (await voting.create()).conversation_id
    requests = [an_opinion(conversation_id) for _ in range(2)]
    await db.execute(BREAK)
    answers = [await voting.stub.CreateOpinion(request) for request in requests]
    assert [(a.author_vote_pending, three(a.opinion.counts)) for a in answers] == [(True, (0, 0, 0))] * 2
    assert all(answer.commit_token for answer in answers)
    read = await voting.get(conversation_id)
    assert totals(read.counts) == totals(read.visible_counts) == (2, 0, 0)
    before = await everything(db)
    again = await voting.stub.CreateOpinion(requests[0])
    assert (again.replayed, again.author_vote_pending, again.opinion) == (True, True, answers[0].opinion)
    assert await everything(db) == before
    await db.execute(MEND)
    again = await voting.stub.CreateOpinion(requests[0])
    assert (again.replayed, again.author_vote_pending, three(again.opinion.counts)) == (True, False, (1, 0, 0))
    assert totals((await voting.get(conversation_id)).counts) == (2, 1, 1)
    async with another_process(database_url) as (_, author_votes):
        assert await author_votes.round(grace=3600) == 0, "it is left to its process for a while"
        assert await author_votes.round(grace=0) == 1
        assert await author_votes.round(grace=0) == 0
    assert three((await voting.get_opinion(answers[1].opinion)).counts) == (1, 0, 0)


async def test_a_dead_processs_votes_are_cast_once_though_many_look_for_them(
    voting: Conversations, db: Connection, database_url: str
) -> None:
    """G2: each in one transaction with the end of its being due."""
    conversation_id, other = [(await voting.create()).conversation_id for _ in range(2)]
    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(another_process(database_url)) for _ in range(3)]
        database = processes[0][0]
        opinions = await by_a_process_that_dies(database, conversation_id, 30)
        opinions += await by_a_process_that_dies(database, other, 10)
        await asyncio.gather(*(author_votes.round(grace=0) for _, author_votes in processes for _ in range(2)))
    assert {three((await voting.get_opinion(opinion)).counts) for opinion in opinions} == {(1, 0, 0)}
    assert totals((await voting.get(conversation_id)).counts) == (30, 30, 30)
    assert totals((await voting.get(other)).counts) == (10, 10, 10)
    rows = await db.fetch("SELECT user_id::text, vote FROM voting.votes")
    assert sorted(tuple(row) for row in rows) == sorted((opinion.author_id, 1) for opinion in opinions)
    assert await db.fetchval("SELECT count(*) FROM voting.past_votes") == 0


async def test_an_author_who_voted_or_cancelled_meanwhile_is_not_overridden(
    voting: Conversations, db: Connection, database_url: str
) -> None:
    """What the author does himself means the same as if the vote had been cast at once."""
    conversation_id = (await voting.create()).conversation_id
    async with another_process(database_url) as (database, author_votes):
        voted, cancelled, both = await by_a_process_that_dies(database, conversation_id, 3)
        answer = await voting.vote(voted, PASS, voted.author_id)
        assert (three(answer.opinion_counts), totals(answer.conversation_counts)) == ((0, 0, 1), (3, 1, 1))
        taken_back = await voting.cancel(cancelled, cancelled.author_id)
        assert (three(taken_back.opinion_counts), totals(taken_back.conversation_counts)) == ((0, 0, 0), (3, 1, 1))
        await voting.cancel(both, both.author_id)
        await voting.vote(both, PASS, both.author_id)
        before = await everything(db)
        assert await author_votes.round(grace=0) == 0
        assert await everything(db) == before


async def test_an_author_whose_vote_was_imported_meanwhile_is_not_overridden(
    voting: Conversations, database_url: str
) -> None:
    conversation_id = (await voting.create()).conversation_id
    async with another_process(database_url) as (database, author_votes):
        (left,) = await by_a_process_that_dies(database, conversation_id)
        await voting.vote(await voting.add_opinion(conversation_id), PASS, left.author_id)
        vote = a_transferred_vote(left.opinion_id, left.author_id, DISAGREE)
        await import_all(voting, [a_header(conversation_id), Piece(vote=vote)])
        assert await author_votes.round(grace=0) == 1
        assert await author_votes.round(grace=0) == 0
    assert three((await voting.get_opinion(left)).counts) == (0, 1, 0)
    assert totals((await voting.get(conversation_id)).counts) == (2, 3, 2)


async def test_what_is_due_waits_for_a_lock_or_moderator_and_goes_with_its_opinion(
    voting: Conversations, db: Connection, database_url: str
) -> None:
    locked, open_ = [(await voting.create()).conversation_id for _ in range(2)]
    async with another_process(database_url) as (database, author_votes):
        (in_locked,) = await by_a_process_that_dies(database, locked)
        moved, hidden, deleted = await by_a_process_that_dies(database, open_, 3)
        await voting.lock(locked)
        await voting.moderate(moved, messages.MODERATION_ACTION_MOVE)
        await voting.moderate(hidden, messages.MODERATION_ACTION_HIDE)
        assert (await voting.delete(deleted)).deleted_vote_count == 0
        before = await everything(db)
        assert await author_votes.round(grace=0) == 0
        assert await everything(db) == before
        # Nor are they in the way of those that can be cast.
        assert await database.read(partial(store.author_votes_due, older_than=0, limit=10)) == []
        due = {str(row[0]) for row in await db.fetch("SELECT opinion_id FROM voting.author_votes_due")}
        assert due == {in_locked.opinion_id, moved.opinion_id, hidden.opinion_id}
        await voting.unlock(locked)
        await voting.moderate(moved, messages.MODERATION_ACTION_RESTORE)
        await voting.moderate(hidden, messages.MODERATION_ACTION_ACCEPT)
        assert await author_votes.round(grace=0) == 3
    for opinion in (in_locked, moved, hidden):
        assert three((await voting.get_opinion(opinion)).counts) == (1, 0, 0)
    assert totals((await voting.get(open_)).visible_counts) == (2, 2, 2)


async def test_a_service_casts_by_itself_what_a_dead_one_left(database_url: str, db: Connection) -> None:
    async with (
        another_process(database_url) as (database, _),
        voting_service(database_url, voting_author_votes_seconds=0.02) as voting,
    ):
        conversation_id = (await voting.create()).conversation_id
        (left,) = await by_a_process_that_dies(database, conversation_id)
        await db.execute("UPDATE voting.author_votes_due SET created_time = created_time - interval '1 minute'")

        async def cast() -> bool:
            return three((await voting.get_opinion(left)).counts) == (1, 0, 0)

        await becomes_true(cast)
        assert (await event_kinds(db, conversation_id)).count("conversation.counted") == 2
        assert totals((await voting.get(conversation_id)).counts) == (1, 1, 1)
