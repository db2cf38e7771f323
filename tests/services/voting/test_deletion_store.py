"""Deleting opinions with their votes, on the store."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import orjson
import pytest

from libs.data.requests import Replay
from services.voting.errors import OpinionNotFound
from services.voting.model import Choice, Deleted, Moderated
from services.voting.store_moderation import delete, moderate
from tests.services.voting.forum import Forum, in_numbers, new_forum
from tests.stored import Connection

SECRET = "Mr Smith of 5 High Street is to blame."
HANGS_ON_OPINIONS = ("votes", "past_votes", "author_votes_due", "opinion_statistics", "group_opinions")
ANALYSE = """
WITH statistics AS (
    INSERT INTO voting.opinion_statistics (conversation_id, opinion_id, group_votes)
    SELECT conversation_id, opinion_id, '{0,1,0,0}' FROM voting.opinions
)
INSERT INTO voting.group_opinions (conversation_id, group_id, place, opinion_id)
SELECT conversation_id, 0, row_number() OVER (), opinion_id FROM voting.opinions
"""


@pytest.fixture
async def forum(database_url: str) -> AsyncIterator[Forum]:
    async with new_forum(database_url) as forum:
        yield forum


async def rows_of(db: Connection, opinion_id: UUID) -> dict[str, int]:
    return {
        table: await db.fetchval(f"SELECT count(*) FROM voting.{table} WHERE opinion_id = $1", opinion_id)
        for table in HANGS_ON_OPINIONS
    }


@pytest.mark.parametrize("action", [None, "accept", "hide", "move"])
async def test_an_opinion_goes_with_its_votes_and_nothing_else(
    forum: Forum, db: Connection, action: str | None
) -> None:
    stays, goes = await forum.opinion(), await forum.opinion(SECRET)
    both, one, only = uuid4(), uuid4(), uuid4()
    for opinion_id in (stays, goes):
        await forum.vote(both, opinion_id, Choice.DISAGREE)
        await forum.vote(one, opinion_id, Choice.PASS)
        await forum.vote(one, opinion_id, Choice.AGREE)
    await forum.vote(only, goes)
    await forum.vote(gone := uuid4(), goes)
    await forum.cancel(gone, goes)
    await db.execute(ANALYSE)
    if action:
        await forum.moderate(action, goes)
    else:
        await forum.lock()
    rows = {"votes": 2, "past_votes": 1, "author_votes_due": 1, "opinion_statistics": 1, "group_opinions": 1}
    assert await rows_of(db, stays) == rows
    assert await rows_of(db, goes) == rows | {"votes": 3, "past_votes": 3}

    answer = await forum.delete(goes)

    assert (answer.deleted_vote_count, in_numbers(answer.counts)) == (3, (1, 2, 2))
    assert await forum.totals() == ((1, 2, 2), (1, 2, 2))
    assert await rows_of(db, stays) == rows
    assert set((await rows_of(db, goes)).values()) == {0}
    row = await db.fetchrow("SELECT * FROM voting.opinions WHERE opinion_id = $1", goes)
    assert row is not None
    assert (row["state"], row["body"]) == ("deleted", "")
    assert (row["agree_count"], row["disagree_count"], row["pass_count"]) == (0, 0, 0)
    kept = await forum.stored_opinion(stays)
    assert (kept.counts.agrees, kept.counts.disagrees, kept.counts.passes) == (1, 1, 0)


async def test_a_deletion_is_recorded_and_told_with_the_counters_at_zero(forum: Forum, db: Connection) -> None:
    author = uuid4()
    opinion_id = await forum.opinion(author_id=author)
    await forum.vote(uuid4(), opinion_id)
    deletion = forum.by_moderator("delete", opinion_id)

    await forum.write(lambda tx: delete(tx, deletion, uuid4()))

    (audit,) = await db.fetch("SELECT * FROM voting.moderation")
    assert (audit["moderation_action"], audit["opinion_id"]) == ("delete", opinion_id)
    assert (audit["moderator_id"], audit["reason"]) == (deletion.moderator_id, deletion.reason)
    counted, told = await db.fetch("SELECT * FROM operations.events ORDER BY xid DESC, position LIMIT 2")
    assert (counted["kind"], told["kind"], told["aggregate_id"]) == (
        "conversation.counted",
        "opinion.deleted",
        str(opinion_id),
    )
    assert counted["version"] == told["version"] == 3
    counters = orjson.loads(counted["payload"])["counters"]
    assert counters["voting.opinion_agrees"] == {f"{forum.conversation_id}/{opinion_id}": 0}
    assert {name: n for name, of in counters.items() for n in of.values()} == dict.fromkeys(counters, 0)
    assert orjson.loads(told["payload"]) == {
        "conversation_id": str(forum.conversation_id),
        "author_id": str(author),
        "moderator_id": str(deletion.moderator_id),
        "reason": deletion.reason,
        "deleted_vote_count": 1,
    }


async def test_a_deleted_opinion_is_gone_for_all_but_the_request_that_deleted_it(forum: Forum, db: Connection) -> None:
    opinion_id = await forum.opinion(SECRET)
    await forum.vote(uuid4(), opinion_id)
    hiding, hiding_request = forum.by_moderator("hide", opinion_id), uuid4()
    hidden = await forum.write(lambda tx: moderate(tx, hiding, hiding_request))
    deletion, request_id = forum.by_moderator("delete", opinion_id), uuid4()
    first = await forum.commit(lambda tx: delete(tx, deletion, request_id))

    assert isinstance(first.value, Deleted)
    assert await forum.write(lambda tx: delete(tx, deletion, request_id)) == Replay(first.value, first.token or "")
    refused = (forum.delete(opinion_id), forum.moderate("restore", opinion_id), forum.vote(uuid4(), opinion_id))
    for attempt in refused:
        with pytest.raises(OpinionNotFound):
            await attempt
    assert await db.fetchval("SELECT count(*) FROM voting.moderation") == 2

    # Hiding it is answered again as it was, but for the text: that is nowhere any more.
    again = await forum.write(lambda tx: moderate(tx, hiding, hiding_request))
    assert isinstance(hidden, Moderated) and isinstance(again, Replay)
    assert hidden.opinion.body == SECRET
    assert (again.answer.visible_counts, again.answer.opinion.body) == (hidden.visible_counts, "")
    for table in ("voting.opinions", "voting.requests", "voting.moderation", "operations.events"):
        assert not await db.fetchval(f"SELECT count(*) FROM {table} t WHERE t::text LIKE '%Smith%'"), table
