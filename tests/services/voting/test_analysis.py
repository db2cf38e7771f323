"""What votes say: analysed by the job, and asked for by RPC (V7)."""

from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest
from tally.voting.v1 import voting_pb2 as voting_resources
from tally.voting.v1 import voting_service_pb2 as voting_messages

from services.voting.groups.analysis import analyse
from tests.servers import refused
from tests.services.voting.analyses import Analyses, analyses_of, arrays, cast, is_finite, two_camps
from tests.services.voting.conversations import AGREE, DISAGREE, PASS, Conversations, new_uuid
from tests.services.voting.test_listings import GROUP, listed

HIDE, MOVE = voting_messages.MODERATION_ACTION_HIDE, voting_messages.MODERATION_ACTION_MOVE
NO_CONVERSATION = ("NOT_FOUND", "CONVERSATION_NOT_FOUND")
NO_ANALYSIS = ("NOT_FOUND", "ANALYSIS_NOT_FOUND")


@pytest.fixture
async def analyses(voting: Conversations, database_url: str) -> AsyncIterator[Analyses]:
    async with analyses_of(voting, database_url) as analyses:
        yield analyses


async def test_an_analysis_says_what_analysing_the_same_votes_says(voting: Conversations, analyses: Analyses) -> None:
    """G11: every number of it, of votes that came through the service, the database and the job."""
    opinions, votes = await two_camps(voting)
    hidden = opinions[3]
    await voting.moderate(hidden, HIDE)
    answer = await analyses.analysed(hidden.conversation_id)
    expected = analyse(arrays(votes, [o.opinion_id for o in opinions], moderated=[hidden.opinion_id]))

    assert (answer.conversation_id, answer.version) == (hidden.conversation_id, 1)
    assert (answer.vote_count, answer.participant_count) == (len(votes), len({user_id for user_id, _ in votes}))
    assert answer.group_count == len(answer.groups) == len(expected.groups) >= 2
    ids = sorted(o.opinion_id for o in opinions)
    for group, wanted in zip(answer.groups, expected.groups, strict=True):
        assert (group.group_id, group.size, group.center.x, group.center.y) == (
            wanted.group_id,
            wanted.size,
            *wanted.center,
        )
        assert [
            (
                r.opinion_id,
                {AGREE: 1, DISAGREE: -1}[r.vote],
                r.probability,
                r.probability_test,
                r.repness,
                r.repness_test,
            )
            for r in group.representative_opinions
        ] == [
            (ids[r.opinion], r.vote, r.probability, r.probability_test, r.repness, r.repness_test)
            for r in wanted.representative
        ]
        assert group.representative_opinions
    assert [o.opinion_id for o in answer.opinions] == ids
    for name, numbers in (
        ("x", expected.opinion_positions[:, 0]),
        ("y", expected.opinion_positions[:, 1]),
        ("extremity", expected.extremity),
        ("priority", expected.priority),
        ("group_aware_consensus_agree", expected.group_aware_agree),
        ("group_aware_consensus_disagree", expected.group_aware_disagree),
    ):
        assert [getattr(o, name) for o in answer.opinions] == numbers.tolist(), name
    of_groups = [[(v.agrees, v.disagrees, v.passes) for v in o.group_votes] for o in answer.opinions]
    np.testing.assert_array_equal(of_groups, expected.group_votes.transpose(1, 0, 2))
    for said, meant in (
        (answer.consensus.agree, expected.consensus.agree),
        (answer.consensus.disagree, expected.consensus.disagree),
    ):
        assert [(c.opinion_id, c.probability, c.probability_test) for c in said] == [
            (ids[c.opinion], c.probability, c.probability_test) for c in meant
        ]
    assert list(answer.explained_variance) == expected.explained_variance.tolist()
    assert [(p.x, p.y, p.group_id if p.HasField("group_id") else -1) for p in answer.participants] == [
        (*position, group)
        for position, group in zip(
            expected.participant_positions.tolist(), expected.participant_groups.tolist(), strict=True
        )
    ]
    assert [p.user_id for p in answer.participants] == sorted({user_id for user_id, _ in votes})
    assert {p.HasField("group_id") for p in answer.participants} == {True, False}, "authors voted once"


async def test_everybody_is_in_the_analysis_if_asked_for_and_can_be_asked_for_alone(
    voting: Conversations, analyses: Analyses
) -> None:
    opinions, _ = await two_camps(voting)
    conversation_id = opinions[0].conversation_id
    analysis = await analyses.analysed(conversation_id)
    assert not (await analyses.get(conversation_id)).participants
    for participant in analysis.participants:
        answer = await analyses.position(conversation_id, participant.user_id.upper())
        assert answer.position == participant
        assert (answer.computed_time, answer.version) == (analysis.computed_time, analysis.version)


Kind = Sequence[Sequence["voting_resources.Vote.ValueType | None"]]
# The votes of each person on each of two opinions.
KINDS: dict[str, Kind] = {
    "nobody": [],
    "one person": [[AGREE, DISAGREE]],
    "one opinion": [[AGREE, None], [DISAGREE, None], [PASS, None]],
    "everyone agrees": [[AGREE, AGREE]] * 5,
    "everyone passes": [[PASS, PASS]] * 5,
    "all along one line": [[AGREE, DISAGREE]] * 4 + [[DISAGREE, AGREE]] * 4,
    "two who are alike": [[AGREE, DISAGREE]] * 2,
}


@pytest.mark.parametrize("moderated", [False, True], ids=["visible", "moderated"])
async def test_whatever_the_votes_the_answer_is_defined(
    voting: Conversations, analyses: Analyses, moderated: bool
) -> None:
    """All opinions moderated, too. No number is infinite or none, and the listings can be read."""
    for kind in KINDS.values():
        conversation_id = (await voting.create()).conversation_id
        opinions = [await voting.add_opinion(conversation_id) for _ in range(2)]
        for opinion in opinions:
            await voting.cancel(opinion, opinion.author_id)
        votes = {
            (new_uuid(), opinion.opinion_id): vote
            for person in kind
            for opinion, vote in zip(opinions, person, strict=True)
            if vote is not None
        }
        await cast(voting, opinions, votes)
        if moderated:
            for opinion in opinions:
                await voting.moderate(opinion, MOVE)
        answer = await analyses.analysed(conversation_id)
        people = {user_id for user_id, _ in votes}
        assert is_finite(answer)
        assert (answer.vote_count, answer.participant_count) == (len(votes), len(people))
        assert len(answer.opinions) == 2 and len(answer.explained_variance) == 2
        assert sum(group.size for group in answer.groups) == sum(p.HasField("group_id") for p in answer.participants)
        assert {p.user_id for p in answer.participants} == people
        stored = await listed(voting, conversation_id, moderated=moderated)
        assert len(stored) == 2 and all(len(o.group_votes) == answer.group_count for o in stored)


async def test_a_conversation_without_opinions_has_an_analysis(voting: Conversations, analyses: Analyses) -> None:
    conversation_id = (await voting.create()).conversation_id
    await analyses.request(conversation_id)
    answer = await analyses.analysed(conversation_id)
    assert (answer.version, answer.group_count, len(answer.opinions), len(answer.participants)) == (1, 0, 0, 0)


async def test_listings_show_the_groups_of_the_analysis(voting: Conversations, analyses: Analyses) -> None:
    """Those of the last one, with how each group voted in it."""
    opinions, votes = await two_camps(voting)
    conversation_id = opinions[0].conversation_id
    for _ in range(2):
        answer = await analyses.analysed(conversation_id)
        of_groups = {o.opinion_id: list(o.group_votes) for o in answer.opinions}
        for opinion in await listed(voting, conversation_id):
            assert list(opinion.group_votes) == of_groups[opinion.opinion_id]
        for group in answer.groups:
            shown = await listed(voting, conversation_id, order=GROUP, group_id=group.group_id)
            assert [o.opinion_id for o in shown] == [r.opinion_id for r in group.representative_opinions]
        swapped = {AGREE: DISAGREE, DISAGREE: AGREE, PASS: PASS}
        first = {key: swapped[vote] for key, vote in votes.items() if key[1] == opinions[0].opinion_id}
        await cast(voting, opinions, first)


async def test_an_opinion_about_the_conversation_itself_has_one_fixed_priority_and_counts_as_before(
    voting: Conversations, analyses: Analyses
) -> None:
    opinions, _ = await two_camps(voting)
    conversation_id, meta = opinions[0].conversation_id, opinions[2]
    first = await analyses.analysed(conversation_id)
    priorities = {o.opinion_id: o.priority for o in first.opinions}
    assert priorities[meta.opinion_id] != 49
    for action, expected in (
        (voting_messages.MODERATION_ACTION_MARK_META, {**priorities, meta.opinion_id: 49}),
        (voting_messages.MODERATION_ACTION_UNMARK_META, priorities),
    ):
        await voting.moderate(meta, action)
        answer = await analyses.analysed(conversation_id)
        assert {o.opinion_id: o.priority for o in answer.opinions} == pytest.approx(expected)
        assert [g.size for g in answer.groups] == [g.size for g in first.groups]
        assert [list(o.group_votes) for o in answer.opinions] == [list(o.group_votes) for o in first.opinions]
    assert answer.version == 3


async def test_an_opinion_that_is_deleted_is_in_no_further_analysis(voting: Conversations, analyses: Analyses) -> None:
    opinions, _ = await two_camps(voting)
    conversation_id, deleted = opinions[0].conversation_id, opinions[2]
    assert len((await analyses.analysed(conversation_id)).opinions) == 8
    await voting.delete(deleted)
    answer = await analyses.analysed(conversation_id)
    assert (answer.version, len(answer.opinions)) == (2, 7)
    assert deleted.opinion_id not in [o.opinion_id for o in answer.opinions]
    standing = [r.opinion_id for group in answer.groups for r in group.representative_opinions]
    assert standing and deleted.opinion_id not in standing


async def test_an_analysis_that_was_asked_for_is_made_though_nobody_voted_since(
    voting: Conversations, analyses: Analyses
) -> None:
    """Asking again with the same request asks for nothing more."""
    opinions, _ = await two_camps(voting)
    conversation_id, request_id = opinions[0].conversation_id, new_uuid()
    assert (await analyses.request(conversation_id)).version == 0
    first = await analyses.analysed(conversation_id)
    assert await analyses.analysed(conversation_id) == first, "nothing has changed"
    asked = await analyses.request(conversation_id, request_id)
    assert (asked.version, asked.replayed) == (1, False) and asked.commit_token
    second = await analyses.analysed(conversation_id)
    assert second.version == 2 > asked.version
    assert second.computed_time.ToNanoseconds() > first.computed_time.ToNanoseconds()
    again = await analyses.request(conversation_id, request_id)
    assert (again.version, again.replayed, again.commit_token) == (1, True, asked.commit_token)
    assert await analyses.analysed(conversation_id) == second


async def test_a_request_id_of_another_conversation_is_refused(voting: Conversations, analyses: Analyses) -> None:
    request_id = new_uuid()
    await analyses.request((await voting.create()).conversation_id, request_id)
    answer = await refused(analyses.request((await voting.create()).conversation_id, request_id))
    assert answer.said == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")


async def test_what_is_not_there_is_told(voting: Conversations, analyses: Analyses) -> None:
    """No conversation, no analysis yet, and nobody of that id in it."""
    for call in (analyses.request(new_uuid()), analyses.get(new_uuid()), analyses.position(new_uuid(), new_uuid())):
        assert (await refused(call)).said == NO_CONVERSATION
    opinion = await voting.an_opinion()
    conversation_id = opinion.conversation_id
    for call in (
        analyses.get(conversation_id, participants=True),
        analyses.position(conversation_id, opinion.author_id),
    ):
        assert (await refused(call)).said == NO_ANALYSIS
    await analyses.run(conversation_id)
    assert (await analyses.position(conversation_id, opinion.author_id)).position.user_id == opinion.author_id
    stranger = await refused(analyses.position(conversation_id, new_uuid()))
    assert stranger.said == ("NOT_FOUND", "PARTICIPANT_NOT_FOUND")
    (late,) = await voting.voted_by(opinion, 1)
    assert (await refused(analyses.position(conversation_id, late))).said == stranger.said, "not in the last one"
    await analyses.run(conversation_id)
    assert (await analyses.position(conversation_id, late)).version == 2
