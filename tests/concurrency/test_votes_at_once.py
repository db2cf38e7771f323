"""Many vote at once, through two services, and every count is exact."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.concurrency.stage import Stage
from tests.concurrency.votes.voters import NUMBERS, VOTES, Told, Voters, new_id, voters_of
from tests.eventually import becomes_true
from tests.services.voting.recount import assert_counts_hold
from tests.stored import Connection

STORED = "SELECT vote, request_id, commit_xid::text::bigint AS xid FROM voting.votes WHERE user_id = $1"


@pytest.fixture
async def voters(voting_stage: Stage) -> AsyncIterator[Voters]:
    async with voters_of(voting_stage.addresses) as voters:
        yield voters


@pytest.fixture
async def db(voting_stage: Stage) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(voting_stage.database_url)
    yield connection
    await connection.close()


async def test_50_votes_of_one_user_on_one_opinion_at_once_leave_the_last_to_commit(
    voting_stage: Stage, voters: Voters, db: Connection
) -> None:
    """G2: one vote; whoever asks for the counts of any answer finds one vote in them."""
    conversation = await voters.conversation()
    (opinion,) = await voters.opinions(conversation, 1)
    for _ in range(3):
        user = new_id()
        told = await asyncio.gather(*(voters.vote(conversation, opinion, VOTES[n % 3], user) for n in range(50)))
        assert all(each.ok for each in told)
        stored = await db.fetch(STORED, uuid.UUID(user))
        assert len(stored) == 1
        last = max(each.xid for each in told)
        assert stored[0]["xid"] == last
        winners = {each.request.request_id: each for each in told if each.xid == last}
        assert NUMBERS[winners[str(stored[0]["request_id"])].request.vote] == stored[0]["vote"]
        votes = {each.response.conversation_counts.vote_count for each in told}
        assert len(votes) == 1, "a changed vote was counted as another one"
        assert await db.fetchval("SELECT count(*) FROM voting.past_votes WHERE user_id = $1", uuid.UUID(user)) == 49
    await assert_counts_hold(voting_stage.database_url, uuid.UUID(conversation))


async def test_a_vote_sent_50_times_at_once_to_both_services_is_cast_once(
    voting_stage: Stage, voters: Voters, db: Connection
) -> None:
    """G5: all 50 get the same answer, also after the vote was changed, and taken back."""
    conversation = await voters.conversation()
    (opinion,) = await voters.opinions(conversation, 1)
    first = await voters.vote(conversation, opinion, VOTES[0])
    again = await asyncio.gather(*(voters.tell("CastVote", first.request) for _ in range(50)))
    await voters.vote(conversation, opinion, VOTES[1], first.request.user_id)
    again += [await voters.tell("CastVote", first.request)]
    cancelled = await voters.cancel(conversation, opinion, first.request.user_id)
    again += [await voters.tell("CastVote", first.request)]
    for each in again:
        assert each.response.replayed
        each.response.replayed = False
        assert each.response == first.response
    repeated = await asyncio.gather(*(voters.tell("CancelVote", cancelled.request) for _ in range(50)))
    assert {each.response.commit_token for each in repeated} == {cancelled.response.commit_token}
    assert not await db.fetchval(
        "SELECT count(*) FROM voting.votes WHERE user_id = $1", uuid.UUID(first.request.user_id)
    )
    await assert_counts_hold(voting_stage.database_url, uuid.UUID(conversation))


@pytest.mark.parametrize("people", [100, pytest.param(500, marks=pytest.mark.heavy)])
async def test_people_who_vote_on_everything_at_once_are_all_counted(
    voting_stage: Stage, voters: Voters, db: Connection, people: int
) -> None:
    """G1, G2: each vote is stored once, each person is counted once, and nothing got in the way of anything."""
    conversation = await voters.conversation()
    opinions = await voters.opinions(conversation, 4)
    users = [new_id() for _ in range(people)]
    told = await asyncio.gather(
        *(
            voters.vote(conversation, opinion, VOTES[(n + place) % 3], user)
            for n, user in enumerate(users)
            for place, opinion in enumerate(opinions)
        )
    )
    assert all(each.ok for each in told)
    expected = Counter((each.request.opinion_id, NUMBERS[each.request.vote]) for each in told)
    expected.update((opinion, 1) for opinion in opinions)  # their authors
    rows = await db.fetch(
        "SELECT opinion_id, agree_count, disagree_count, pass_count FROM voting.opinions WHERE conversation_id = $1",
        uuid.UUID(conversation),
    )
    for row in rows:
        opinion = str(row["opinion_id"])
        assert tuple(row)[1:] == (expected[opinion, 1], expected[opinion, -1], expected[opinion, 0])
    counts = await db.fetchrow(
        "SELECT opinion_count, vote_count, participant_count FROM voting.conversations WHERE conversation_id = $1",
        uuid.UUID(conversation),
    )
    assert counts is not None and tuple(counts) == (4, 4 * people + 4, people + 4)
    # One update of the conversation's row a batch, not one a vote: the answers of a batch share its commit.
    assert len({each.xid for each in told}) < len(told) / 2
    await assert_counts_hold(voting_stage.database_url, uuid.UUID(conversation))
    assert voting_stage.deadlocks() == 0 and not voting_stage.trouble()


async def test_no_vote_or_opinion_commits_after_a_lock_was_answered(
    voting_stage: Stage, voters: Voters, db: Connection
) -> None:
    """A lock holds from the moment it is answered, whichever service is asked, and until it is taken off."""
    conversation = await voters.conversation()
    opinions = await voters.opinions(conversation, 3)
    told: list[Told] = []
    locked = asyncio.Event()

    async def keep_on(caller: int) -> None:
        while not (locked.is_set() and told[-1].reason == "CONVERSATION_LOCKED"):
            if caller % 8 == 0:
                told.append(await voters.add_opinion(conversation))
            else:
                told.append(await voters.vote(conversation, opinions[caller % 3], VOTES[caller % 3]))

    callers = [asyncio.create_task(keep_on(caller)) for caller in range(32)]

    async def at_work() -> bool:
        return sum(each.ok for each in told) >= 100

    await becomes_true(at_work)
    lock = await voters.lock(conversation)
    counts = await db.fetchrow(
        "SELECT opinion_count, vote_count FROM voting.conversations WHERE conversation_id = $1", uuid.UUID(conversation)
    )
    locked.set()
    await asyncio.gather(*callers)
    assert lock.ok and counts is not None
    done = [each for each in told if each.ok]
    assert {each.reason for each in told if not each.ok} == {"CONVERSATION_LOCKED"}
    stored = await db.fetchrow(
        "SELECT (SELECT max(commit_xid::text::bigint) FROM voting.votes WHERE conversation_id = $1) AS vote, "
        "       (SELECT max(commit_xid::text::bigint) FROM voting.opinions WHERE conversation_id = $1) AS opinion, "
        "       (SELECT count(*) FROM voting.votes WHERE conversation_id = $1) AS votes",
        uuid.UUID(conversation),
    )
    assert stored is not None and counts["vote_count"] == stored["votes"]
    # Ids are given out before the lock is waited for, so a smaller one alone proves nothing; the counts above do.
    assert max(each.xid for each in done) in (stored["vote"], stored["opinion"])
    assert lock.response.conversation.counts.vote_count == stored["votes"]
    assert lock.response.conversation.counts.opinion_count == counts["opinion_count"]
    await assert_counts_hold(voting_stage.database_url, uuid.UUID(conversation))


async def test_votes_meet_moderation_and_deletion_and_both_totals_stay_exact(
    voting_stage: Stage, voters: Voters, db: Connection
) -> None:
    """G2: an opinion that is hidden, shown and deleted while 32 people vote, change and cancel on it and its neighbour."""
    conversation = await voters.conversation()
    opinions = await voters.opinions(conversation, 3)
    told: list[Told] = []
    over = asyncio.Event()

    async def keep_on(caller: int) -> None:
        user, n = new_id(), 0
        while not over.is_set():
            n += 1
            opinion = opinions[(caller + n) % 3]
            if n % 5 == 4:
                told.append(await voters.cancel(conversation, opinion, user))
            else:
                told.append(await voters.vote(conversation, opinion, VOTES[n % 3], user))

    callers = [asyncio.create_task(keep_on(caller)) for caller in range(32)]
    moderated: list[Told] = []
    for action in (3, 4, 2, 1, 3, 4) * 3:  # hide, restore, move, accept, hide, restore
        moderated.append(await voters.moderate(conversation, opinions[0], action))  # type: ignore[arg-type]
        await assert_counts_hold(voting_stage.database_url, uuid.UUID(conversation))
    deletion = await voters.delete(conversation, opinions[1])
    over.set()
    await asyncio.gather(*callers)
    assert deletion.ok and all(each.ok for each in moderated)
    refused = Counter(each.reason for each in told if not each.ok)
    assert set(refused) <= {"OPINION_MODERATED", "OPINION_NOT_FOUND", "VOTE_NOT_FOUND"}
    assert refused["OPINION_MODERATED"], "nobody met a hidden opinion"
    assert not await db.fetchval("SELECT count(*) FROM voting.votes WHERE opinion_id = $1", uuid.UUID(opinions[1]))
    await assert_counts_hold(voting_stage.database_url, uuid.UUID(conversation))
    assert voting_stage.deadlocks() == 0 and not voting_stage.trouble()
