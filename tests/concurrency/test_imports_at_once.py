"""Imports meet locks, live votes and each other, through two services, and every count is exact."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import UUID, uuid4, uuid5

import asyncpg
import pytest
from tally.voting.v1 import voting_service_pb2 as messages

from libs.cli.callers.generated import GeneratedConversation
from tests.concurrency.stage import Stage
from tests.concurrency.votes.voters import VOTES, Told, Voters, a_vote, new_id, voters_of
from tests.eventually import becomes_true
from tests.services.voting.recount import assert_counts_hold
from tests.stored import Connection

OPINIONS, PEOPLE, CAST = 40, 1_500, 15_000
COUNTS = "SELECT opinion_count, vote_count, participant_count FROM voting.conversations WHERE conversation_id = $1"
EVERY_VOTE = (
    "SELECT opinion_id, user_id, vote, vote_time, request_id FROM voting.votes WHERE conversation_id = $1 ORDER BY 1, 2"
)


@pytest.fixture
async def voters(voting_stage: Stage) -> AsyncIterator[Voters]:
    async with voters_of(voting_stage.addresses) as voters:
        yield voters


@pytest.fixture
async def db(voting_stage: Stage) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(voting_stage.database_url)
    yield connection
    await connection.close()


def a_debate() -> GeneratedConversation:
    return GeneratedConversation(f"https://tally.example/{uuid4()}", OPINIONS, CAST, PEOPLE)


class Slowly:
    """Takes pieces to a service, and waits before those after the first some until it is let go."""

    def __init__(self, pieces: Iterator[messages.ImportConversationRequest], first: int) -> None:
        self._pieces = pieces
        self._first = first
        self.go_on = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[messages.ImportConversationRequest]:
        for number, piece in enumerate(self._pieces):
            if number >= self._first:
                await self.go_on.wait()
            yield piece


async def counted(db: Connection, conversation_id: UUID) -> tuple[int, ...]:
    return tuple(await db.fetchrow(COUNTS, conversation_id) or ())


async def votes_are_in(db: Connection, conversation_id: UUID) -> None:
    """Waits for the first batch of an import."""

    async def some() -> bool:
        return (await counted(db, conversation_id) or (0, 0, 0))[1] > 0

    await becomes_true(some)


async def test_a_lock_ends_an_import_and_nothing_of_it_commits_afterwards(
    voting_stage: Stage, voters: Voters, db: Connection
) -> None:
    """A lock holds from the moment it is answered; what was imported before stays, and the rest comes after the unlock."""
    debate = a_debate()
    conversation_id = UUID(debate.conversation_id)
    slowly = Slowly(debate.pieces(), first=1 + OPINIONS + 5)
    importing = asyncio.create_task(voters.tell("ImportConversation", slowly))
    await votes_are_in(db, conversation_id)
    lock = await voters.lock(debate.conversation_id)
    at_the_lock = await counted(db, conversation_id)
    slowly.go_on.set()
    ended = await importing
    assert (lock.ok, ended.reason) == (True, "CONVERSATION_LOCKED")
    counts = lock.response.conversation.counts
    assert at_the_lock == (counts.opinion_count, counts.vote_count, counts.participant_count)
    assert 0 < at_the_lock[1] < CAST
    assert await counted(db, conversation_id) == at_the_lock
    assert len(await db.fetch(EVERY_VOTE, conversation_id)) == at_the_lock[1]
    await voters.unlock(debate.conversation_id)
    resumed = await voters.tell("ImportConversation", debate.pieces())
    assert resumed.ok and resumed.response.unchanged_count == sum(at_the_lock[:2])
    assert await counted(db, conversation_id) == (OPINIONS, CAST, PEOPLE)
    await assert_counts_hold(voting_stage.database_url, conversation_id)


async def test_imports_of_one_conversation_at_once_through_both_services_store_it_once(
    voting_stage: Stage, voters: Voters, db: Connection
) -> None:
    """G2: each item is new to one of them and changes nothing in the others."""
    debate = a_debate()
    told = await asyncio.gather(*(voters.tell("ImportConversation", debate.pieces()) for _ in range(4)))
    assert all(each.ok for each in told)
    assert sum(each.response.unchanged_count for each in told) == 3 * (OPINIONS + CAST)
    assert await counted(db, UUID(debate.conversation_id)) == (OPINIONS, CAST, PEOPLE)
    before = await db.fetch(EVERY_VOTE, UUID(debate.conversation_id))
    alone = await voters.tell("ImportConversation", debate.pieces())
    assert alone.response.unchanged_count == OPINIONS + CAST
    assert await db.fetch(EVERY_VOTE, UUID(debate.conversation_id)) == before
    await assert_counts_hold(voting_stage.database_url, UUID(debate.conversation_id))
    assert voting_stage.deadlocks() == 0 and not voting_stage.trouble()


async def test_people_vote_while_their_conversation_is_imported_and_both_are_counted(
    voting_stage: Stage, voters: Voters, db: Connection
) -> None:
    """G1, G2: some of those who vote are in the import too; what they do here is newer, and stands."""
    debate = a_debate()
    conversation_id = UUID(debate.conversation_id)

    def opinion(external_id: object) -> str:
        return str(uuid5(conversation_id, f"opinion:{external_id}"))

    def person(external_id: object) -> str:
        return str(uuid5(conversation_id, f"participant:{external_id}"))

    opinions, imported = [opinion(n) for n in range(8)], [person(n) for n in range(16)]
    slowly = Slowly(debate.pieces(), first=1 + OPINIONS + 3)
    importing = asyncio.create_task(voters.tell("ImportConversation", slowly))
    await votes_are_in(db, conversation_id)
    told: list[Told] = []

    async def keep_on(user: str, n: int) -> None:
        while not importing.done():
            vote = a_vote(debate.conversation_id, opinions[n % 8], VOTES[n % 3], user)
            told.append(await voters.tell("CastVote", vote))
            n += 1

    people = [*imported, *(new_id() for _ in range(16))]
    callers = [asyncio.create_task(keep_on(user, n)) for n, user in enumerate(people)]
    slowly.go_on.set()
    await asyncio.gather(*callers)
    assert importing.result().ok and not importing.result().response.rejected_count
    assert all(each.ok for each in told) and len(told) > len(people)
    rows = await db.fetch(EVERY_VOTE, conversation_id)
    stored = {(str(row["user_id"]), str(row["opinion_id"])): row["request_id"] for row in rows}
    # Each waited for one vote before the next, so these are in the order of their commits.
    here = {(each.request.user_id, each.request.opinion_id): UUID(each.request.request_id) for each in told}
    assert {key: stored[key] for key in here} == here
    there = {(person(vote.participant_external_id), opinion(vote.opinion_external_id)) for vote in debate.all_votes()}
    assert here.keys() & there and stored.keys() == here.keys() | there
    assert await counted(db, conversation_id) == (OPINIONS, len(stored), len({user for user, _ in stored}))
    await assert_counts_hold(voting_stage.database_url, conversation_id)
    assert voting_stage.deadlocks() == 0 and not voting_stage.trouble()
