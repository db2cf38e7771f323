"""Opening and locking conversations, on the store."""

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import orjson
import pytest

from libs.data.errors import InvalidInput
from libs.data.requests import Replay
from services.voting.errors import ConversationLocked, ConversationNotFound, ConversationNotLocked
from services.voting.model import Conversation, ConversationState
from services.voting.store_conversations import create, lock, unlock
from tests.services.voting.forum import SUBJECT, Forum, new_forum
from tests.stored import Connection, event_kinds


@pytest.fixture
async def forum(database_url: str) -> AsyncIterator[Forum]:
    async with new_forum(database_url) as forum:
        yield forum


async def test_a_conversation_begins_open_with_six_counters_at_zero(forum: Forum, db: Connection) -> None:
    request_id = uuid4()
    created = await forum.commit(lambda tx: create(tx, SUBJECT, request_id))

    conversation = created.value
    assert isinstance(conversation, Conversation)
    assert (conversation.title, conversation.description) == (SUBJECT.title, SUBJECT.description)
    assert (conversation.creator_id, conversation.state) == (SUBJECT.creator_id, ConversationState.OPEN)
    resource = str(conversation.conversation_id)
    (event,) = await db.fetch("SELECT kind, version, payload FROM operations.events WHERE aggregate_id = $1", resource)
    assert (event["kind"], event["version"]) == ("conversation.created", 0)
    assert orjson.loads(event["payload"]) == {
        "counters": {
            f"voting.{name}": {resource: 0}
            for name in (
                "opinions",
                "votes",
                "participants",
                "visible_opinions",
                "visible_votes",
                "visible_participants",
            )
        }
    }

    assert await forum.write(lambda tx: create(tx, SUBJECT, request_id)) == Replay(conversation, created.token or "")
    with pytest.raises(InvalidInput) as refused:
        await forum.write(lambda tx: create(tx, replace(SUBJECT, title="Another"), request_id))
    assert refused.value.reason == "REQUEST_ID_REUSED"
    assert await db.fetchval("SELECT count(*) FROM voting.conversations") == 2


async def test_a_locked_conversation_takes_no_opinions_and_votes_until_it_is_unlocked(
    forum: Forum, db: Connection
) -> None:
    opinion_id, voter = await forum.opinion(), uuid4()
    await forum.vote(voter, opinion_id)
    moderation, request_id = forum.by_moderator("lock"), uuid4()

    locked = await forum.commit(lambda tx: lock(tx, moderation, request_id))

    assert isinstance(locked.value, Conversation)
    assert locked.value == await forum.stored()
    assert (locked.value.state, locked.value.counts.vote_count) == (ConversationState.LOCKED, 1)
    for refused in (forum.opinion(), forum.vote(uuid4(), opinion_id), forum.cancel(voter, opinion_id), forum.lock()):
        with pytest.raises(ConversationLocked):
            await refused
    assert await forum.write(lambda tx: lock(tx, moderation, request_id)) == Replay(locked.value, locked.token or "")

    opening, opening_request = forum.by_moderator("unlock"), uuid4()
    opened = await forum.commit(lambda tx: unlock(tx, opening, opening_request))

    assert isinstance(opened.value, Conversation)
    assert (opened.value.state, opened.value.locked_time) == (ConversationState.OPEN, None)
    with pytest.raises(ConversationNotLocked):
        await forum.unlock()
    replay = Replay(opened.value, opened.token or "")
    assert await forum.write(lambda tx: unlock(tx, opening, opening_request)) == replay
    await forum.vote(uuid4(), opinion_id)

    audit = await db.fetch("SELECT * FROM voting.moderation ORDER BY created_time")
    assert [(row["moderation_action"], row["moderator_id"], row["reason"], row["opinion_id"]) for row in audit] == [
        ("lock", moderation.moderator_id, "Off topic", None),
        ("unlock", opening.moderator_id, "Off topic", None),
    ]
    assert [kind for kind in await event_kinds(db, str(forum.conversation_id)) if kind != "conversation.counted"] == [
        "conversation.created",
        "conversation.locked",
        "conversation.unlocked",
    ]
    payload = await db.fetchval("SELECT payload FROM operations.events WHERE kind = 'conversation.locked'")
    assert orjson.loads(payload) == {"moderator_id": str(moderation.moderator_id), "reason": "Off topic"}
    # One version a write that changed something: an opinion, a vote, the lock, the opening, a vote.
    assert await db.fetchval("SELECT version FROM voting.conversations") == 5


async def test_what_is_not_there_is_neither_locked_nor_unlocked(forum: Forum, db: Connection) -> None:
    elsewhere = Forum(forum.database, uuid4())
    with pytest.raises(ConversationNotFound):
        await elsewhere.lock()
    with pytest.raises(ConversationNotFound):
        await elsewhere.unlock()
    assert await db.fetchval("SELECT count(*) FROM voting.moderation") == 0
    assert await db.fetchval("SELECT count(*) FROM voting.requests") == 1, "a refused request leaves nothing behind"
