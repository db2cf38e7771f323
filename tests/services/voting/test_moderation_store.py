"""Moderating opinions, on the store: totals both ways follow, and are recounted after every step."""

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID, uuid4

import orjson
import pytest

from libs.data.errors import InvalidInput
from libs.data.requests import Replay
from services.voting.errors import OpinionModerated, OpinionNotFound
from services.voting.model import Choice, ModerationAction, OpinionState
from services.voting.store_moderation import moderate
from tests.services.voting.forum import Forum, in_numbers, new_forum
from tests.stored import Connection, everything


@pytest.fixture
async def forum(database_url: str) -> AsyncIterator[Forum]:
    async with new_forum(database_url) as forum:
        yield forum


async def disputed(forum: Forum) -> tuple[UUID, UUID]:
    """Two opinions with votes by four people: one votes on both, two on the first only, one on the second only."""
    first, second = await forum.opinion("They should go."), await forum.opinion("They may stay.")
    both, on_the_second = uuid4(), uuid4()
    await forum.vote(both, first, Choice.AGREE)
    await forum.vote(both, second, Choice.PASS)
    await forum.vote(uuid4(), first, Choice.DISAGREE)
    await forum.vote(uuid4(), first, Choice.PASS)
    await forum.vote(on_the_second, second, Choice.AGREE)
    return first, second


@pytest.mark.parametrize("locked", [False, True], ids=["open", "locked"])
async def test_totals_follow_an_opinion_out_of_sight_and_back(forum: Forum, db: Connection, locked: bool) -> None:
    first, second = await disputed(forum)
    if locked:
        await forum.lock()
    everything_, without_first, nothing = (2, 5, 4), (1, 2, 2), (0, 0, 0)

    for action, opinion_id, state, visible in (
        ("accept", first, OpinionState.ACCEPTED, everything_),
        ("hide", first, OpinionState.HIDDEN, without_first),
        ("hide", first, OpinionState.HIDDEN, without_first),
        ("move", first, OpinionState.MOVED, without_first),
        ("move", second, OpinionState.MOVED, nothing),
        ("accept", second, OpinionState.ACCEPTED, without_first),
        ("restore", first, OpinionState.UNMODERATED, everything_),
        ("restore", first, OpinionState.UNMODERATED, everything_),
        ("restore", second, OpinionState.UNMODERATED, everything_),
    ):
        moderated = await forum.moderate(action, opinion_id)

        assert moderated.opinion == await forum.stored_opinion(opinion_id)
        assert (moderated.opinion.state, in_numbers(moderated.visible_counts)) == (state, visible), action
        assert await forum.totals() == (everything_, visible), action

    # What was so already left an audit row like the rest; it changed no version and told nobody.
    audit = await db.fetch("SELECT * FROM voting.moderation WHERE opinion_id IS NOT NULL ORDER BY created_time")
    actions = ["accept", "hide", "hide", "move", "move", "accept", "restore", "restore", "restore"]
    assert [row["moderation_action"] for row in audit] == actions
    assert {(row["conversation_id"], row["reason"]) for row in audit} == {(forum.conversation_id, "Off topic")}
    events = await db.fetch(
        "SELECT aggregate_id, version FROM operations.events WHERE kind = 'opinion.moderated' ORDER BY xid, position"
    )
    assert [event["aggregate_id"] for event in events] == [
        *map(str, (first, first, first, second, second, first, second))
    ]
    before = 7 + locked
    assert [event["version"] for event in events] == list(range(before + 1, before + 8))


async def test_a_hidden_opinion_takes_no_votes_but_gives_them_back(forum: Forum) -> None:
    opinion_id, stays, leaves = await forum.opinion(), uuid4(), uuid4()
    await forum.vote(stays, opinion_id)
    await forum.vote(leaves, opinion_id)
    await forum.moderate("hide", opinion_id)

    with pytest.raises(OpinionModerated):
        await forum.vote(uuid4(), opinion_id)
    await forum.cancel(leaves, opinion_id)
    assert await forum.totals() == ((1, 1, 1), (0, 0, 0))

    await forum.moderate("accept", opinion_id)
    assert await forum.totals() == ((1, 1, 1), (1, 1, 1))
    await forum.vote(leaves, opinion_id)
    assert await forum.totals() == ((1, 2, 2), (1, 2, 2))


async def test_hundreds_of_votes_leave_and_come_back_together(forum: Forum) -> None:
    first, second = await forum.opinion(), await forum.opinion()
    voters = [uuid4() for _ in range(500)]
    await forum.vote_all(voters[:400], first)
    await forum.vote_all(voters[100:], second)
    every = (2, 800, 500)

    for action, opinion_id, visible in (
        ("hide", first, (1, 400, 400)),
        ("hide", second, (0, 0, 0)),
        ("accept", first, (1, 400, 400)),
        ("accept", second, every),
    ):
        await forum.moderate(action, opinion_id)
        assert await forum.totals() == (every, visible)
    await forum.delete(first)
    assert await forum.totals() == ((1, 400, 400), (1, 400, 400))


async def test_the_event_tells_who_moderated_whose_opinion_how_and_why(forum: Forum, db: Connection) -> None:
    author = uuid4()
    opinion_id = await forum.opinion(author_id=author)
    moderation = forum.by_moderator("move", opinion_id)

    await forum.write(lambda tx: moderate(tx, moderation, uuid4()))

    payload = await db.fetchval("SELECT payload FROM operations.events WHERE kind = 'opinion.moderated'")
    assert orjson.loads(payload) == {
        "conversation_id": str(forum.conversation_id),
        "author_id": str(author),
        "moderator_id": str(moderation.moderator_id),
        "reason": "Off topic",
        "action": "move",
        "previous_state": "unmoderated",
        "previous_state_imported": False,
        "state": "moved",
        "previous_meta": False,
        "meta": False,
        "vote_count": 0,
    }


async def test_moderating_again_by_the_same_request_answers_what_was_answered_first(
    forum: Forum, db: Connection
) -> None:
    opinion_id, _ = await disputed(forum)
    moderation, request_id = forum.by_moderator("hide", opinion_id), uuid4()
    first = await forum.commit(lambda tx: moderate(tx, moderation, request_id))
    await forum.moderate("restore", opinion_id)
    before = await everything(db)

    again = await forum.write(lambda tx: moderate(tx, moderation, request_id))

    assert again == Replay(first.value, first.token or "")
    for other in (
        replace(moderation, action=ModerationAction.MOVE),
        replace(moderation, reason="Rude"),
        replace(moderation, opinion_id=uuid4()),
    ):
        with pytest.raises(InvalidInput) as refused:
            await forum.write(lambda tx, other=other: moderate(tx, other, request_id))  # type: ignore[misc]
        assert refused.value.reason == "REQUEST_ID_REUSED"
    assert await everything(db) == before


async def test_an_opinion_that_is_not_in_the_conversation_is_not_found(forum: Forum, db: Connection) -> None:
    opinion_id = await forum.opinion()
    before = await everything(db)
    for conversation_id, unknown in ((forum.conversation_id, uuid4()), (uuid4(), opinion_id)):
        moderation = replace(forum.by_moderator("hide", unknown), conversation_id=conversation_id)
        with pytest.raises(OpinionNotFound):
            await forum.write(lambda tx, m=moderation: moderate(tx, m, uuid4()))  # type: ignore[misc]
    assert await everything(db) == before
