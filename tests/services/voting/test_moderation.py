"""ModerateOpinion and DeleteOpinion."""

import asyncio

import grpc.aio
from tally.voting.v1 import voting_pb2 as resources
from tally.voting.v1 import voting_service_pb2 as messages

from tests.servers import refusal_of, refused
from tests.services.voting.conversations import AGREE, DISAGREE, PASS, Conversations, new_uuid, three, totals
from tests.stored import Connection, event_kinds, everything

ACCEPT, MOVE = messages.MODERATION_ACTION_ACCEPT, messages.MODERATION_ACTION_MOVE
HIDE, RESTORE = messages.MODERATION_ACTION_HIDE, messages.MODERATION_ACTION_RESTORE
MARK_META, UNMARK_META = messages.MODERATION_ACTION_MARK_META, messages.MODERATION_ACTION_UNMARK_META


def a_moderation(
    opinion: resources.Opinion, action: messages.ModerationAction.ValueType = HIDE
) -> messages.ModerateOpinionRequest:
    return messages.ModerateOpinionRequest(
        conversation_id=opinion.conversation_id,
        opinion_id=opinion.opinion_id,
        action=action,
        moderator_id=new_uuid(),
        reason="off topic",
        request_id=new_uuid(),
    )


def a_deletion(opinion: resources.Opinion) -> messages.DeleteOpinionRequest:
    return messages.DeleteOpinionRequest(
        conversation_id=opinion.conversation_id,
        opinion_id=opinion.opinion_id,
        actor_id=opinion.author_id,
        reason="written in anger",
        request_id=new_uuid(),
    )


async def a_debate(voting: Conversations) -> tuple[resources.Opinion, resources.Opinion, str]:
    """Two opinions in one conversation, and who voted on both of them besides their authors."""
    conversation_id, voter = (await voting.create()).conversation_id, new_uuid()
    first, second = [await voting.add_opinion(conversation_id) for _ in range(2)]
    await voting.vote(first, DISAGREE, voter)
    await voting.vote(second, PASS, voter)
    return first, second, voter


async def test_counts_without_moderated_opinions_follow_what_moderators_do(
    voting: Conversations, db: Connection
) -> None:
    """G1, G2: those with them do not move; each action leaves its audit row, in a locked conversation, too."""
    opinion, second, _ = await a_debate(voting)
    await voting.vote(opinion, AGREE)
    await voting.lock(opinion.conversation_id)
    out, in_ = (1, 2, 2), (2, 5, 4)
    for action, state, visible in (
        (ACCEPT, resources.OPINION_STATE_ACCEPTED, in_),
        (MOVE, resources.OPINION_STATE_MOVED, out),
        (HIDE, resources.OPINION_STATE_HIDDEN, out),
        (RESTORE, resources.OPINION_STATE_UNMODERATED, in_),
        (HIDE, resources.OPINION_STATE_HIDDEN, out),
        (ACCEPT, resources.OPINION_STATE_ACCEPTED, in_),
    ):
        request = a_moderation(opinion, action)
        answer = await voting.stub.ModerateOpinion(request)
        assert (answer.opinion.state, totals(answer.visible_counts)) == (state, visible)
        assert (three(answer.opinion.counts), answer.opinion.body) == ((2, 1, 0), opinion.body)
        assert answer.commit_token and not answer.replayed
        assert await voting.get_opinion(opinion) == answer.opinion
        read = await voting.get(opinion.conversation_id)
        assert (totals(read.counts), totals(read.visible_counts)) == (in_, visible)
        audit = await db.fetchrow("SELECT * FROM voting.moderation ORDER BY created_time DESC LIMIT 1")
        assert audit is not None and (str(audit["opinion_id"]), audit["reason"]) == (opinion.opinion_id, "off topic")
        assert str(audit["moderator_id"]) == request.moderator_id
    actions = await db.fetch("SELECT moderation_action FROM voting.moderation ORDER BY created_time")
    assert [row[0] for row in actions] == ["lock", "accept", "move", "hide", "restore", "hide", "accept"]
    assert await event_kinds(db, opinion.opinion_id) == ["opinion.created", *["opinion.moderated"] * 6]
    assert (await voting.get_opinion(second)).state == resources.OPINION_STATE_UNMODERATED


async def test_a_mark_that_an_opinion_is_about_the_conversation_leaves_its_state_and_all_counts(
    voting: Conversations, db: Connection
) -> None:
    """G1; it stays through other actions, and each leaves its audit row."""
    opinion, _, _ = await a_debate(voting)
    before = await voting.moderate(opinion, ACCEPT)
    for action, meta, state in (
        (MARK_META, True, resources.OPINION_STATE_ACCEPTED),
        (MARK_META, True, resources.OPINION_STATE_ACCEPTED),
        (HIDE, True, resources.OPINION_STATE_HIDDEN),
        (RESTORE, True, resources.OPINION_STATE_UNMODERATED),
        (UNMARK_META, False, resources.OPINION_STATE_UNMODERATED),
    ):
        answer = await voting.moderate(opinion, action)
        assert (answer.opinion.meta, answer.opinion.state) == (meta, state)
        get = messages.GetOpinionRequest(conversation_id=opinion.conversation_id, opinion_id=opinion.opinion_id)
        assert (await voting.stub.GetOpinion(get)).opinion == answer.opinion
        if action is not HIDE:
            assert answer.visible_counts == before.visible_counts
    audited = "SELECT array_agg(moderation_action ORDER BY moderation_id) FROM voting.moderation WHERE opinion_id = $1"
    marked = ["accept", "mark_meta", "mark_meta", "hide", "restore", "unmark_meta"]
    assert await db.fetchval(audited, opinion.opinion_id) == marked


async def test_an_opinion_is_deleted_with_its_votes_and_its_text(voting: Conversations, db: Connection) -> None:
    """G1, G2: whoever voted on nothing else is no participant any more."""
    opinion, second, voter = await a_debate(voting)
    await voting.vote(opinion, DISAGREE, voter)
    await voting.voted_by(opinion, 3, PASS)
    await voting.lock(opinion.conversation_id)
    answer = await voting.delete(opinion)
    assert (answer.deleted_vote_count, totals(answer.counts)) == (5, (1, 2, 2))
    assert answer.commit_token and not answer.replayed
    read = await voting.get(opinion.conversation_id)
    assert totals(read.counts) == totals(read.visible_counts) == (1, 2, 2)
    assert {str(row[0]) for row in await db.fetch("SELECT opinion_id FROM voting.votes")} == {second.opinion_id}
    assert await db.fetchval("SELECT body FROM voting.opinions WHERE opinion_id = $1", opinion.opinion_id) == ""
    assert await event_kinds(db, opinion.opinion_id) == ["opinion.created", "opinion.deleted"]
    (audit,) = await db.fetch("SELECT moderator_id, reason FROM voting.moderation WHERE moderation_action = 'delete'")
    assert [str(part) for part in audit] == [opinion.author_id, "written in anger"]


async def test_a_hidden_opinion_is_deleted_from_the_counts_it_is_in(voting: Conversations) -> None:
    """G2."""
    opinion, _, _ = await a_debate(voting)
    await voting.moderate(opinion, HIDE)
    assert (await voting.delete(opinion)).deleted_vote_count == 2
    read = await voting.get(opinion.conversation_id)
    assert totals(read.counts) == totals(read.visible_counts) == (1, 2, 2)


async def test_an_opinion_that_is_not_there_is_neither_moderated_nor_deleted(
    voting: Conversations, db: Connection
) -> None:
    opinion, deleted, other = [await voting.an_opinion() for _ in range(3)]
    await voting.delete(deleted)
    before = await everything(db)
    for conversation_id, opinion_id in (
        (opinion.conversation_id, new_uuid()),
        (opinion.conversation_id, other.opinion_id),
        (new_uuid(), opinion.opinion_id),
        (deleted.conversation_id, deleted.opinion_id),
    ):
        named = resources.Opinion(conversation_id=conversation_id, opinion_id=opinion_id, author_id=new_uuid())
        for call in (voting.moderate(named, RESTORE), voting.delete(named)):
            assert (await refused(call)).said == ("NOT_FOUND", "OPINION_NOT_FOUND")
    assert await everything(db) == before


async def test_repeating_a_moderation_answers_the_first_answer_g5(voting: Conversations, db: Connection) -> None:
    """G5: it does not undo what came since; and the id says one thing."""
    opinion, _, voter = await a_debate(voting)
    request = a_moderation(opinion, HIDE)
    answers = list(await asyncio.gather(*(voting.stub.ModerateOpinion(request) for _ in range(10))))
    await voting.moderate(opinion, ACCEPT)
    await voting.vote(opinion, AGREE, voter)
    before = await everything(db)
    answers.append(await voting.stub.ModerateOpinion(request))
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 10]
    for answer in answers:
        assert (answer.opinion, answer.visible_counts) == (answers[0].opinion, answers[0].visible_counts)
        assert answer.commit_token == answers[0].commit_token
    assert (answers[0].opinion.state, totals(answers[0].visible_counts)) == (resources.OPINION_STATE_HIDDEN, (1, 2, 2))
    assert (await voting.get_opinion(opinion)).state == resources.OPINION_STATE_ACCEPTED
    request.action = MOVE
    reused = await refused(voting.stub.ModerateOpinion(request))
    assert (*reused.said, reused.fields) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED", ["request_id"])
    deletion = a_deletion(opinion)
    deletion.request_id = request.request_id
    assert (await refused(voting.stub.DeleteOpinion(deletion))).said == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
    assert await everything(db) == before


async def test_repeating_a_deletion_answers_the_first_answer_g5(voting: Conversations, db: Connection) -> None:
    """G5."""
    opinion, second, _ = await a_debate(voting)
    request = a_deletion(opinion)
    answers = list(await asyncio.gather(*(voting.stub.DeleteOpinion(request) for _ in range(10))))
    await voting.voted_by(second, 2)
    before = await everything(db)
    answers.append(await voting.stub.DeleteOpinion(request))
    assert sorted(answer.replayed for answer in answers) == [False, *[True] * 10]
    assert {(a.deleted_vote_count, totals(a.counts), a.commit_token) for a in answers} == {
        (2, (1, 2, 2), answers[0].commit_token)
    }
    request.opinion_id = second.opinion_id
    answer = await refused(voting.stub.DeleteOpinion(request))
    assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED", ["request_id"])
    assert await everything(db) == before


async def test_votes_and_moderation_at_once_leave_both_totals_exact(voting: Conversations) -> None:
    """G2: a vote counts among the visible ones exactly where its opinion is visible, whoever came first."""
    opinion, second, _ = await a_debate(voting)
    voters = [new_uuid() for _ in range(40)]

    async def vote(place: int, voter: str) -> str:
        try:
            await voting.vote((opinion, second)[place % 2], (AGREE, DISAGREE, PASS)[place % 3], voter)
        except grpc.aio.AioRpcError as error:
            return refusal_of(error).reason
        return "taken"

    async def moderate() -> None:
        for action in (HIDE, ACCEPT, MOVE, RESTORE, HIDE):
            await voting.moderate(opinion, action)

    *voted, _ = await asyncio.gather(*(vote(n, voter) for n, voter in enumerate(voters)), moderate())
    assert set(voted) <= {"taken", "OPINION_MODERATED"}
    read, taken = await voting.get(opinion.conversation_id), voted.count("taken")
    assert totals(read.counts) == (2, 4 + taken, 3 + taken)
    assert totals(read.visible_counts) == (1, 2 + 20, 2 + 20)
