"""CreateConversation, GetConversation and ListConversations."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

from tally.voting.v1 import voting_pb2 as resources
from tally.voting.v1 import voting_service_pb2 as messages

from tests.servers import refused
from tests.services.voting.conversations import Conversations, a_conversation, new_uuid, three, totals
from tests.stored import Connection, everything


async def test_a_new_conversation_is_open_and_empty_and_there_for_all_to_read(
    voting: Conversations, db: Connection
) -> None:
    """G1: its row is there when the answer is."""
    wanted = a_conversation()
    request = messages.CreateConversationRequest(conversation=wanted, request_id=new_uuid())
    answer = await voting.stub.CreateConversation(request)
    created = answer.conversation
    assert (created.title, created.description, created.creator_id) == (
        *(wanted.title, wanted.description, wanted.creator_id),
    )
    assert created.state == resources.CONVERSATION_STATE_OPEN
    assert totals(created.counts) == totals(created.visible_counts) == (0, 0, 0)
    assert abs(created.created_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=1)
    assert UUID(created.conversation_id).version == 7
    assert not created.HasField("locked_time") and not created.external_id
    assert answer.commit_token and not answer.replayed
    assert await db.fetchval("SELECT title FROM voting.conversations") == wanted.title
    assert await voting.get(created.conversation_id) == created


async def test_what_the_server_assigns_cannot_be_given(voting: Conversations) -> None:
    given = a_conversation(
        conversation_id="mine",
        state=resources.CONVERSATION_STATE_LOCKED,
        counts=resources.ConversationCounts(vote_count=9),
        external_id="mine",
    )
    request = messages.CreateConversationRequest(conversation=given, request_id=new_uuid())
    created = (await voting.stub.CreateConversation(request)).conversation
    assert UUID(created.conversation_id).version == 7
    assert (created.state, created.external_id) == (resources.CONVERSATION_STATE_OPEN, "")
    assert totals(created.counts) == (0, 0, 0)


async def test_repeating_a_creation_answers_the_first_answer_g5(voting: Conversations, db: Connection) -> None:
    """G5: at the same moment, and after the conversation was filled and locked."""
    request = messages.CreateConversationRequest(conversation=a_conversation(), request_id=new_uuid())
    answers = await asyncio.gather(*(voting.stub.CreateConversation(request) for _ in range(10)))
    first = answers[0].conversation
    await voting.add_opinion(first.conversation_id)
    await voting.lock(first.conversation_id)
    before = await everything(db)
    answers.append(await voting.stub.CreateConversation(request))
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 10]
    assert all(answer.conversation == first for answer in answers)
    assert {answer.commit_token for answer in answers} == {answers[0].commit_token}
    changed = messages.CreateConversationRequest(conversation=request.conversation, request_id=request.request_id)
    changed.conversation.title = "Another"
    answer = await refused(voting.stub.CreateConversation(changed))
    assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED", ["request_id"])
    assert await everything(db) == before


async def test_a_conversation_is_read_with_its_counts_with_and_without_what_is_moderated(voting: Conversations) -> None:
    """G2."""
    conversation_id = (await voting.create()).conversation_id
    seen, hidden = [await voting.add_opinion(conversation_id) for _ in range(2)]
    (voter,) = await voting.voted_by(hidden, 1)
    await voting.vote(seen, user_id=voter)
    await voting.moderate(hidden, messages.MODERATION_ACTION_HIDE)
    read = await voting.get(conversation_id)
    assert totals(read.counts) == (2, 4, 3)
    assert totals(read.visible_counts) == (1, 2, 2)


async def test_a_conversation_or_opinion_that_is_not_there_is_not_found(voting: Conversations) -> None:
    opinion, other = await voting.an_opinion(), await voting.an_opinion()
    deleted = await voting.add_opinion(opinion.conversation_id)
    await voting.delete(deleted)
    answer = await refused(voting.get(new_uuid()))
    assert answer.said == ("NOT_FOUND", "CONVERSATION_NOT_FOUND")
    for conversation_id, opinion_id in (
        (opinion.conversation_id, new_uuid()),
        (opinion.conversation_id, other.opinion_id),
        (new_uuid(), opinion.opinion_id),
        (opinion.conversation_id, deleted.opinion_id),
    ):
        asked = resources.Opinion(conversation_id=conversation_id, opinion_id=opinion_id)
        assert (await refused(voting.get_opinion(asked))).said == ("NOT_FOUND", "OPINION_NOT_FOUND")


async def test_an_opinion_is_read_moderated_or_not_with_its_counts(voting: Conversations) -> None:
    """G2: whoever just voted reads the vote."""
    opinion = await voting.an_opinion()
    for people, vote in ((3, resources.VOTE_DISAGREE), (2, resources.VOTE_PASS)):
        await voting.voted_by(opinion, people, vote)
    for action, state in (
        (messages.MODERATION_ACTION_ACCEPT, resources.OPINION_STATE_ACCEPTED),
        (messages.MODERATION_ACTION_HIDE, resources.OPINION_STATE_HIDDEN),
    ):
        await voting.moderate(opinion, action)
        read = await voting.get_opinion(opinion)
        assert (read.body, read.author_id, read.state) == (opinion.body, opinion.author_id, state)
        assert (three(read.counts), read.created_time) == ((1, 3, 2), opinion.created_time)


async def test_conversations_are_listed_newest_first_in_pages(voting: Conversations) -> None:
    created = [await voting.create(title=f"Subject {n}") for n in range(5)]
    for size in (0, 1, 2, 5):
        listed: list[resources.Conversation] = []
        token = ""
        while True:
            request = messages.ListConversationsRequest(page_size=size, page_token=token)
            page = await voting.stub.ListConversations(request)
            assert len(page.conversations) <= (size or 50)
            listed += page.conversations
            token = page.next_page_token
            if not token:
                break
        assert listed == created[::-1]
    await voting.create()  # a page stays where it was
    page = await voting.stub.ListConversations(messages.ListConversationsRequest(page_size=2))
    await voting.create()
    request = messages.ListConversationsRequest(page_size=2, page_token=page.next_page_token)
    assert list((await voting.stub.ListConversations(request)).conversations) == [created[3], created[2]]
    request.page_token = "bm90IG91cnM"
    assert (await refused(voting.stub.ListConversations(request))).said == ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN")
