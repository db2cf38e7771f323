"""CreateOpinion: the opinion, and the vote its author casts by it."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

from tally.voting.v1 import voting_pb2 as resources
from tally.voting.v1 import voting_service_pb2 as messages

from tests.servers import refused
from tests.services.voting.conversations import DISAGREE, Conversations, an_opinion, new_uuid, three, totals
from tests.stored import Connection, event_kinds, everything


async def test_an_opinion_is_answered_with_its_authors_vote(voting: Conversations, db: Connection) -> None:
    """G1, G2: rows and counters are there when the answer is."""
    conversation_id = (await voting.create()).conversation_id
    request = an_opinion(conversation_id, body="Yes 🌳\n\ton weekends")
    answer = await voting.stub.CreateOpinion(request)
    opinion = answer.opinion
    assert (opinion.conversation_id, opinion.author_id) == (conversation_id, request.author_id)
    assert (opinion.body, opinion.state) == (request.body, resources.OPINION_STATE_UNMODERATED)
    assert three(opinion.counts) == (1, 0, 0)
    assert UUID(opinion.opinion_id).version == 7
    assert abs(opinion.created_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=1)
    assert answer.commit_token and not answer.replayed and not answer.author_vote_pending
    assert await voting.get_opinion(opinion) == opinion
    read = await voting.get(conversation_id)
    assert totals(read.counts) == totals(read.visible_counts) == (1, 1, 1)
    (vote,) = await db.fetch("SELECT user_id, opinion_id, vote, request_id FROM voting.votes")
    assert [str(vote["user_id"]), str(vote["opinion_id"]), vote["vote"]] == [request.author_id, opinion.opinion_id, 1]
    assert vote["request_id"] is None, "no request of anybody's is answered by it"
    assert await event_kinds(db, opinion.opinion_id) == ["opinion.created"]
    assert await event_kinds(db, conversation_id) == ["conversation.created", *["conversation.counted"] * 2]
    # The vote came in a transaction of its own.
    assert await db.fetchval(
        "SELECT o.commit_xid < v.commit_xid FROM voting.opinions o JOIN voting.votes v USING (opinion_id)"
    )
    assert await db.fetchval("SELECT count(*) FROM voting.author_votes_due") == 0


async def test_an_opinion_is_refused_where_there_is_no_open_conversation(voting: Conversations, db: Connection) -> None:
    conversation_id = (await voting.create()).conversation_id
    await voting.lock(conversation_id)
    before = await everything(db)
    answer = await refused(voting.add_opinion(conversation_id))
    assert answer.said == ("FAILED_PRECONDITION", "CONVERSATION_LOCKED")
    answer = await refused(voting.add_opinion(new_uuid()))
    assert answer.said == ("NOT_FOUND", "CONVERSATION_NOT_FOUND")
    assert await everything(db) == before


async def test_repeating_an_opinion_answers_the_first_answer_g5(voting: Conversations, db: Connection) -> None:
    """G5: with the counts and the commit of then, whatever happened to the opinion and its conversation since."""
    request = an_opinion((await voting.create()).conversation_id)
    first = await voting.stub.CreateOpinion(request)
    await voting.voted_by(first.opinion, 2, DISAGREE)
    for happened in ("votes", "hidden", "locked"):
        if happened == "hidden":
            await voting.moderate(first.opinion, messages.MODERATION_ACTION_HIDE)
        if happened == "locked":
            await voting.lock(request.conversation_id)
        before = await everything(db)
        again = await voting.stub.CreateOpinion(request)
        assert again.replayed
        again.replayed = False
        assert again == first
        assert await everything(db) == before


async def test_a_deleted_opinion_does_not_come_back_by_its_request(voting: Conversations, db: Connection) -> None:
    """G5: its text is gone, and said to be."""
    request = an_opinion((await voting.create()).conversation_id)
    opinion = (await voting.stub.CreateOpinion(request)).opinion
    await voting.delete(opinion)
    before = await everything(db)
    again = await voting.stub.CreateOpinion(request)
    assert (again.replayed, again.opinion.opinion_id) == (True, opinion.opinion_id)
    assert (again.opinion.body, again.opinion.state) == ("", resources.OPINION_STATE_DELETED)
    assert await everything(db) == before


async def test_a_request_id_says_one_thing_in_a_conversation(voting: Conversations, db: Connection) -> None:
    """G5."""
    conversation_id, other = [(await voting.create()).conversation_id for _ in range(2)]
    request = an_opinion(conversation_id)
    await voting.stub.CreateOpinion(request)
    before = await everything(db)
    for changes in ({"body": "No"}, {"author_id": new_uuid()}):
        said = {"author_id": request.author_id, "body": request.body, "request_id": request.request_id}
        answer = await refused(voting.stub.CreateOpinion(an_opinion(conversation_id, **(said | changes))))
        assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED", ["request_id"])
    assert await everything(db) == before
    assert (await voting.add_opinion(other, request_id=request.request_id)).conversation_id == other


async def test_one_opinion_sent_many_times_at_once_is_one_opinion_g5(voting: Conversations, db: Connection) -> None:
    """G5."""
    request = an_opinion((await voting.create()).conversation_id)
    answers = await asyncio.gather(*(voting.stub.CreateOpinion(request) for _ in range(30)))
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 29]
    assert {answer.opinion.opinion_id for answer in answers} == {answers[0].opinion.opinion_id}
    assert {(three(a.opinion.counts), a.author_vote_pending) for a in answers} == {((1, 0, 0), False)}
    assert totals((await voting.get(request.conversation_id)).counts) == (1, 1, 1)


async def test_opinions_of_many_at_once_are_counted_exactly_each_with_its_authors_vote(voting: Conversations) -> None:
    """G2: an author of several is one participant."""
    conversation_id, author = (await voting.create()).conversation_id, new_uuid()
    added = await asyncio.gather(
        *(voting.add_opinion(conversation_id, author_id=author) for _ in range(20)),
        *(voting.add_opinion(conversation_id) for _ in range(20)),
    )
    assert len({opinion.opinion_id for opinion in added}) == 40
    assert {three((await voting.get_opinion(opinion)).counts) for opinion in added} == {(1, 0, 0)}
    assert totals((await voting.get(conversation_id)).counts) == (40, 40, 21)
