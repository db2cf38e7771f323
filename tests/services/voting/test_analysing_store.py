"""Reading votes and storing their analysis: of one moment, once, and in nobody's way."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import numpy as np
import orjson
import pytest
from tally.voting.v1 import voting_service_pb2 as messages

from libs.data.errors import Halted
from libs.data.events import Cursor, StoredEvent
from libs.data.ids import parse_id
from libs.data.transaction import Transaction
from services.voting.analysing import compute
from services.voting.errors import ConversationNotFound
from services.voting.jobs import analysis_due
from services.voting.model_analysis import Computed
from services.voting.store_analysing import store
from tests.servers import refused
from tests.services.voting.analyses import Analyses, analyses_of, cast, computed, two_camps
from tests.services.voting.conversations import AGREE, DISAGREE, PASS, Conversations, new_uuid
from tests.services.voting.test_listings import GROUP, listed
from tests.stored import Connection, event_kinds, everything, halt, resume


@pytest.fixture
async def analyses(voting: Conversations, database_url: str) -> AsyncIterator[Analyses]:
    async with analyses_of(voting, database_url) as analyses:
        yield analyses


async def prepared(analyses: Analyses, conversation_id: str) -> Computed:
    """An analysis of the votes as they are now, not stored yet."""
    made: Computed = await computed(compute, await analyses.ballots(conversation_id))
    return made


async def stored(analyses: Analyses, made: Computed) -> bool:
    return (await analyses.database.write(lambda tx: store(tx, made))).value


async def test_of_analyses_that_began_together_one_is_stored(
    voting: Conversations, analyses: Analyses, db: Connection
) -> None:
    """The first, and the next: whoever read before another was stored leaves nothing."""
    opinions, _ = await two_camps(voting)
    conversation_id = opinions[0].conversation_id
    for version in (1, 2):
        together = [await prepared(analyses, conversation_id) for _ in range(2)]
        assert sorted(await asyncio.gather(*(stored(analyses, made) for made in together))) == [False, True]
        before = await everything(db)
        assert not await stored(analyses, together[0])
        assert await everything(db) == before
        assert (await analyses.get(conversation_id)).version == version
        await voting.vote(opinions[0])
    kinds = await event_kinds(db, conversation_id)
    assert kinds.count("conversation.analysed") == 2


async def test_analysing_again_what_has_not_changed_stores_nothing(
    voting: Conversations, analyses: Analyses, db: Connection
) -> None:
    """So a job that is done again after its worker died leaves what it left the first time."""
    opinions, _ = await two_camps(voting)
    await analyses.run(opinions[0].conversation_id)
    before = await everything(db)
    await analyses.run(opinions[0].conversation_id)
    assert await everything(db) == before


async def test_a_vote_during_an_analysis_is_in_the_next(voting: Conversations, analyses: Analyses) -> None:
    """An analysis is of the votes of one moment, whatever comes before it is stored."""
    opinions, votes = await two_camps(voting)
    conversation_id = opinions[0].conversation_id
    made = await prepared(analyses, conversation_id)
    (late,) = await voting.voted_by(opinions[0], 1)
    await voting.delete(opinions[1])
    assert await stored(analyses, made)
    assert (await analyses.get(conversation_id)).vote_count == len(votes)
    after = await analyses.analysed(conversation_id)
    assert (after.version, after.vote_count) == (2, len(votes) + 1 - 21)
    assert late in [p.user_id for p in after.participants]


async def test_an_opinion_deleted_during_an_analysis_is_in_no_listing_and_leaves_nothing(
    voting: Conversations, analyses: Analyses, db: Connection
) -> None:
    opinions, _ = await two_camps(voting)
    conversation_id, deleted = opinions[0].conversation_id, opinions[1].opinion_id
    made = await prepared(analyses, conversation_id)
    await voting.delete(opinions[1])
    assert await stored(analyses, made)
    for shown in (await listed(voting, conversation_id), await listed(voting, conversation_id, order=GROUP)):
        assert shown and deleted not in [o.opinion_id for o in shown]
    await analyses.run(conversation_id)
    for table in ("opinion_statistics", "group_opinions"):
        assert not await db.fetchval(f"SELECT count(*) FROM voting.{table} WHERE opinion_id = $1", UUID(deleted))


async def test_votes_are_cast_while_an_analysis_is_being_stored(voting: Conversations, analyses: Analyses) -> None:
    """In the middle of its transaction, which has written everything by then: on every opinion of the conversation."""
    opinions, votes = await two_camps(voting)
    conversation_id = opinions[0].conversation_id
    made = await prepared(analyses, conversation_id)

    async def store_and_see_votes(tx: Transaction) -> bool:
        done = await store(tx, made)
        user_id = new_uuid()
        for opinion in opinions:
            await voting.vote(opinion, DISAGREE, user_id)
        await voting.add_opinion(conversation_id)
        return done

    assert (await analyses.database.write(store_and_see_votes)).value
    assert (await voting.get(conversation_id)).counts.vote_count == len(votes) + len(opinions) + 1
    assert (await analyses.get(conversation_id)).vote_count == len(votes)


async def test_of_opinions_only_those_are_written_that_an_analysis_changed(
    voting: Conversations, analyses: Analyses, db: Connection
) -> None:
    opinions, votes = await two_camps(voting, people=30, opinions=12)
    conversation_id = opinions[0].conversation_id
    await analyses.run(conversation_id)

    async def rows() -> dict[UUID, tuple[Any, ...]]:
        found = await db.fetch(
            "SELECT opinion_id, group_votes, analysed_rank, xmin::text FROM voting.opinion_statistics"
        )
        return {row[0]: tuple(row)[1:] for row in found}

    before = await rows()
    ((user_id, _), _), *_ = votes.items()
    await cast(voting, opinions, {(user_id, opinions[0].opinion_id): DISAGREE})
    await cast(voting, opinions, {(user_id, opinions[2].opinion_id): AGREE})
    await analyses.run(conversation_id)
    after = await rows()
    written = {opinion_id for opinion_id, row in after.items() if row[-1] != before[opinion_id][-1]}
    changed = {opinion_id for opinion_id, row in after.items() if row[:-1] != before[opinion_id][:-1]}
    assert parse_id(opinions[0].opinion_id) in changed
    assert written == changed != set(after)


async def test_the_event_of_an_analysis_tells_what_it_is_of(
    voting: Conversations, analyses: Analyses, db: Connection
) -> None:
    opinions, votes = await two_camps(voting)
    conversation_id = opinions[0].conversation_id
    version = await db.fetchval("SELECT version FROM voting.conversations")
    await analyses.run(conversation_id)
    row = await db.fetchrow(
        "SELECT aggregate_id, version, payload ->> 'analysis_version', payload ->> 'vote_count' "
        "FROM operations.events WHERE kind = 'conversation.analysed'"
    )
    assert row is not None and tuple(row) == (conversation_id, version, "1", str(len(votes)))


async def test_no_analysis_is_asked_for_or_stored_while_halted(
    voting: Conversations, analyses: Analyses, db: Connection
) -> None:
    """G8: and after the resume it is."""
    opinions, _ = await two_camps(voting)
    conversation_id = opinions[0].conversation_id
    await halt(db)
    before = await everything(db)
    with pytest.raises(Halted):
        await analyses.run(conversation_id)
    assert (await refused(analyses.request(conversation_id))).said == ("FAILED_PRECONDITION", "HALTED")
    assert await everything(db) == before
    await resume(db)
    await analyses.request(conversation_id)
    assert (await analyses.analysed(conversation_id)).version == 1


async def test_a_state_that_nobody_can_read_any_more_does_not_stop_analyses(
    voting: Conversations, analyses: Analyses, db: Connection
) -> None:
    """As a release of another format left it: empty, cut off, numbers of another shape, none at all."""
    opinions, _ = await two_camps(voting)
    conversation_id = opinions[0].conversation_id
    await analyses.run(conversation_id)
    whole = await db.fetchval("SELECT state FROM voting.analyses")
    of_another_shape = io.BytesIO()
    np.save(of_another_shape, np.array(1))
    for state in (b"", whole[:-7], whole[:100], of_another_shape.getvalue(), b"no numbers"):
        await db.execute("UPDATE voting.analyses SET state = $1", state)
        await analyses.request(conversation_id)
        answer = await analyses.analysed(conversation_id)
        assert answer.groups and await db.fetchval("SELECT state FROM voting.analyses") == whole


async def test_there_is_nothing_to_analyse_of_a_conversation_that_is_not_there(analyses: Analyses) -> None:
    with pytest.raises(ConversationNotFound):
        await analyses.run(new_uuid())


async def test_whatever_changes_what_an_analysis_rests_on_makes_one_due(
    voting: Conversations, analyses: Analyses, db: Connection
) -> None:
    """V9: also votes that took each other's places in one batch, so that no count tells of them."""
    opinions, _ = await two_camps(voting, people=4, opinions=4)
    opinion, conversation_id = opinions[0], opinions[0].conversation_id
    (one,), (other,) = [await voting.voted_by(opinion, 1, vote) for vote in (AGREE, DISAGREE)]
    changes: list[Callable[[], Awaitable[object]]] = [
        lambda: voting.add_opinion(conversation_id),
        lambda: voting.vote(opinion, PASS, one),
        lambda: voting.vote(opinion, AGREE, one),
        lambda: cast(voting, [opinion], {(one, opinion.opinion_id): DISAGREE, (other, opinion.opinion_id): AGREE}),
        lambda: voting.cancel(opinion, one),
        lambda: voting.moderate(opinion, messages.MODERATION_ACTION_HIDE),
        lambda: voting.moderate(opinion, messages.MODERATION_ACTION_RESTORE),
        lambda: voting.moderate(opinion, messages.MODERATION_ACTION_MARK_META),
        lambda: voting.delete(opinion),
        lambda: analyses.request(conversation_id),
    ]
    seen = len(await events(db))
    for place, change in enumerate(changes):
        await change()
        due = [analysis_due(event) for event in (await events(db))[seen:]]
        assert conversation_id in [each.key for each in due if each is not None], place
        seen = len(await events(db))
        await analyses.run(conversation_id)
        (analysed,) = (await events(db))[seen:]
        assert analysed.kind == "conversation.analysed" and analysis_due(analysed) is None
        seen += 1


async def events(db: Connection) -> list[StoredEvent]:
    """All, whether or not transactions of other databases hold the stream up."""
    rows = await db.fetch(
        "SELECT xid::text::bigint, position, kind, aggregate_id, version, payload::text, created_time "
        "FROM operations.events ORDER BY xid, position"
    )
    return [
        StoredEvent(Cursor(xid, position), kind, aggregate_id, version, orjson.loads(payload), time)
        for xid, position, kind, aggregate_id, version, payload, time in rows
    ]
