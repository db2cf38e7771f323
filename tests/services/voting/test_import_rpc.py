"""ImportConversation."""

from uuid import NAMESPACE_URL, UUID, uuid5

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tally.voting.v1 import transfer_pb2 as transfer
from tally.voting.v1 import voting_pb2 as resources
from tally.voting.v1 import voting_service_pb2 as messages

from tests.servers import refusal, refused
from tests.services.voting.conversations import AGREE, DISAGREE, PASS, Conversations, three, totals
from tests.services.voting.conversations import a_vote as a_live_vote
from tests.services.voting.transfers import (
    LONG_AGO,
    Piece,
    a_header,
    a_vote,
    an_opinion,
    at,
    export_all,
    import_all,
    to_import,
    votes,
)
from tests.stored import Connection, everything, halt, resume

SOME = [
    a_header(),
    an_opinion("0", author="7"),
    an_opinion("1", moderation=1),
    an_opinion("2", moderation=-1),
    Piece(vote=a_vote("0", "1", AGREE, 5)),
    votes(a_vote("0", "2", DISAGREE), a_vote("1", "1", PASS), a_vote("2", "3", AGREE)),
]


async def test_what_is_imported_is_counted_under_ids_that_follow_from_those_it_had(
    voting: Conversations, db: Connection
) -> None:
    """G1, G2: moderated opinions and the votes on them in the one total, not in the other."""
    answer = await import_all(voting, SOME)
    conversation_id = uuid5(NAMESPACE_URL, "https://polis.example/1")
    assert answer.conversation_id == str(conversation_id)
    assert (answer.opinion_count, answer.vote_count, answer.participant_count) == (3, 4, 3)
    assert (answer.unchanged_count, answer.rejected_count) == (0, 0) and answer.commit_token
    conversation = await voting.get(answer.conversation_id)
    assert (conversation.title, conversation.external_id, conversation.creator_id) == (
        "Taxis",
        "https://polis.example/1",
        "",
    )
    assert totals(conversation.counts) == (3, 4, 3)
    assert totals(conversation.visible_counts) == (2, 3, 2)
    rows = await db.fetch(
        "SELECT opinion_id, author_id, state, created_time FROM voting.opinions ORDER BY created_time"
    )
    assert [row["opinion_id"] for row in rows] == [uuid5(conversation_id, f"opinion:{n}") for n in range(3)]
    assert [row["state"] for row in rows] == ["unmoderated", "accepted", "hidden"]
    assert rows[0]["author_id"] == uuid5(conversation_id, "participant:7") and rows[0]["created_time"] == LONG_AGO
    cast = await db.fetch("SELECT user_id, vote, vote_time FROM voting.votes WHERE vote = -1")
    assert [tuple(row) for row in cast] == [(uuid5(conversation_id, "participant:2"), -1, LONG_AGO)]


async def test_moderating_says_whether_an_opinion_was_imported_with_the_state_it_had(
    voting: Conversations, db: Connection
) -> None:
    answer = await import_all(voting, SOME)
    hidden = resources.Opinion(
        conversation_id=answer.conversation_id,
        opinion_id=str(uuid5(UUID(answer.conversation_id), "opinion:2")),
    )
    for action in (
        messages.MODERATION_ACTION_MARK_META,
        messages.MODERATION_ACTION_RESTORE,
        messages.MODERATION_ACTION_HIDE,
        messages.MODERATION_ACTION_RESTORE,
    ):
        await voting.moderate(hidden, action)
    told = await db.fetch("""
        SELECT payload->>'previous_state' AS before, payload->>'previous_state_imported' AS imported
        FROM operations.events WHERE kind = 'opinion.moderated' ORDER BY xid, position
    """)
    assert [tuple(row) for row in told] == [
        ("hidden", "true"),
        ("hidden", "true"),
        ("unmoderated", "false"),
        ("hidden", "false"),
    ]


async def test_importing_again_changes_nothing_and_says_so(voting: Conversations, db: Connection) -> None:
    """G5: also what broke off in the middle is taken up by sending all of it."""
    await import_all(voting, SOME[:5])
    resumed = await import_all(voting, SOME)
    assert (resumed.vote_count, resumed.unchanged_count) == (4, 4)
    before = await everything(db)
    again = await import_all(voting, SOME)
    assert again.unchanged_count == 7
    assert (again.opinion_count, again.vote_count, again.participant_count) == (3, 4, 3)
    assert await everything(db) == before


@pytest.mark.parametrize(
    ("sent", "stands"),
    [
        pytest.param([(AGREE, 1), (DISAGREE, 2)], (0, 1, 0), id="later"),
        pytest.param([(AGREE, 2), (DISAGREE, 1)], (1, 0, 0), id="earlier"),
        pytest.param([(AGREE, 1), (DISAGREE, 1)], (0, 1, 0), id="at the same time"),
        pytest.param([(AGREE, 1), (PASS, 3), (DISAGREE, 2)], (0, 0, 1), id="in between"),
    ],
)
async def test_of_a_persons_votes_the_latest_stands_however_they_are_divided(
    voting: Conversations, sent: list[tuple[int, int]], stands: tuple[int, int, int]
) -> None:
    """In one message, one message each, and one import each."""
    each = [a_vote("0", "1", choice, minute) for choice, minute in sent]  # type: ignore[arg-type]  # an enum's number
    opinion = an_opinion("0")
    together = await import_all(voting, [a_header("a"), opinion, votes(*each)])
    apart = await import_all(voting, [a_header("b"), opinion, *(Piece(vote=vote) for vote in each)])
    await import_all(voting, [a_header("c"), opinion])
    for vote in each:
        one_by_one = await import_all(voting, [a_header("c"), Piece(vote=vote)])
    for answer in (together, apart, one_by_one):
        assert (answer.vote_count, answer.participant_count) == (1, 1)
        opinion_id = str(uuid5(UUID(answer.conversation_id), "opinion:0"))
        listed = a_live_vote(await voting.add_opinion(answer.conversation_id))
        listed.opinion_id, listed.conversation_id = opinion_id, answer.conversation_id
        counts = three((await voting.stub.CastVote(listed)).opinion_counts)
        assert counts == (stands[0] + 1, *stands[1:])


async def test_what_is_bad_is_left_out_and_told_by_its_number(voting: Conversations) -> None:
    """G9: the rest is imported."""
    pieces = [
        a_header(),
        an_opinion("0"),
        an_opinion("1", body=" "),
        an_opinion("2", moderation=2),
        Piece(vote=a_vote("9", "1")),
        votes(
            a_vote("0", "1"),
            a_vote("0", ""),
            transfer.TransferredVote(opinion_external_id="0", participant_external_id="2", vote_time=at(0)),
            transfer.TransferredVote(opinion_external_id="0", participant_external_id="2", vote=AGREE),
            transfer.TransferredVote(
                opinion_external_id="0", participant_external_id="2", vote=AGREE, vote_time=Timestamp(seconds=-(10**12))
            ),
            a_vote("0", "3"),
        ),
    ]
    answer = await import_all(voting, pieces)
    assert (answer.opinion_count, answer.vote_count, answer.participant_count, answer.rejected_count) == (1, 2, 2, 7)
    told = {item.index: refusal(item.error) for item in answer.rejected}
    assert {number: (each.reason, each.fields) for number, each in told.items()} == {
        2: ("INVALID_FIELDS", ["opinion.body"]),
        3: ("INVALID_FIELDS", ["opinion.moderation"]),
        4: ("OPINION_NOT_FOUND", []),
        6: ("INVALID_FIELDS", ["votes.votes[1].participant_external_id"]),
        7: ("INVALID_FIELDS", ["votes.votes[2].vote"]),
        8: ("INVALID_FIELDS", ["votes.votes[3].vote_time"]),
        9: ("INVALID_FIELDS", ["votes.votes[4].vote_time"]),
    }


@pytest.mark.parametrize(
    ("pieces", "field"),
    [
        pytest.param([], "header", id="nothing"),
        pytest.param([an_opinion("0")], "header", id="no header"),
        pytest.param([a_header(title=" ")], "header.title", id="a blank title"),
        pytest.param([a_header(external_id="")], "header.external_id", id="no external id"),
        pytest.param([a_header(external_id="x" * 501)], "header.external_id", id="501 characters"),
    ],
)
async def test_without_a_good_header_nothing_is_stored(
    voting: Conversations, db: Connection, pieces: list[Piece], field: str
) -> None:
    """G9."""
    before = await everything(db)
    answer = await refused(import_all(voting, pieces))
    assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "INVALID_FIELDS", [field])
    assert await everything(db) == before


async def test_a_second_header_ends_the_import(voting: Conversations) -> None:
    """G9."""
    answer = await refused(import_all(voting, [a_header(), an_opinion("0"), a_header()]))
    assert (*answer.said, answer.fields) == ("INVALID_ARGUMENT", "INVALID_FIELDS", ["header"])


async def test_a_locked_conversation_and_a_halted_service_take_no_import(voting: Conversations, db: Connection) -> None:
    """G8."""
    conversation_id = (await import_all(voting, SOME)).conversation_id
    more = [a_header(), an_opinion("3"), Piece(vote=a_vote("3", "1"))]
    await voting.lock(conversation_id)
    before = await everything(db)
    assert (await refused(import_all(voting, more))).said == ("FAILED_PRECONDITION", "CONVERSATION_LOCKED")
    assert await everything(db) == before
    await voting.unlock(conversation_id)
    await halt(db)
    before = await everything(db)
    assert (await refused(import_all(voting, more))).said == ("FAILED_PRECONDITION", "HALTED")
    assert await everything(db) == before
    await resume(db)
    assert (await import_all(voting, more)).opinion_count == 4


async def test_a_vote_cast_here_is_not_undone_by_an_older_one(voting: Conversations) -> None:
    """G5: and one that is replaced by a newer one is still what its request was answered with."""
    conversation_id = (await import_all(voting, SOME)).conversation_id
    opinion_id = str(uuid5(UUID(conversation_id), "opinion:0"))
    user = str(uuid5(UUID(conversation_id), "participant:2"))
    opinion = await voting.add_opinion(conversation_id)
    opinion.opinion_id = opinion_id
    request = a_live_vote(opinion, PASS, user)
    first = await voting.stub.CastVote(request)
    assert (await import_all(voting, SOME)).unchanged_count == 7
    assert three((await voting.get_opinion(opinion)).counts) == (1, 0, 1)
    newer = a_vote("0", "2", AGREE)
    newer.vote_time.FromSeconds(4_000_000_000)
    await import_all(voting, [a_header(), Piece(vote=newer)])
    assert three((await voting.get_opinion(opinion)).counts) == (2, 0, 0)
    again = await voting.stub.CastVote(request)
    assert again.replayed
    again.replayed = False
    assert again == first


async def test_what_is_exported_makes_the_same_conversation_elsewhere_and_none_where_it_is(
    voting: Conversations, db: Connection
) -> None:
    """Live opinions and votes among the imported ones."""
    conversation_id = (await import_all(voting, SOME)).conversation_id
    opinion = await voting.add_opinion(conversation_id, body="Übrigens:\n„nein“")
    await voting.voted_by(opinion, 3, DISAGREE)
    deleted = await voting.add_opinion(conversation_id)
    await voting.delete(deleted)
    exported = await export_all(voting, conversation_id)
    before = await everything(db)
    again = await import_all(voting, to_import(exported))
    assert (again.conversation_id, again.unchanged_count) == (conversation_id, 4 + 8)
    assert await everything(db) == before
    copy = await import_all(voting, to_import(exported, "a copy"))
    assert copy.conversation_id != conversation_id
    there, here = await voting.get(conversation_id), await voting.get(copy.conversation_id)
    assert (here.counts, here.visible_counts) == (there.counts, there.visible_counts)
    once_more = await export_all(voting, copy.conversation_id)
    assert [p.opinion for p in once_more if p.HasField("opinion")] == [
        p.opinion for p in exported if p.HasField("opinion")
    ]
    assert _votes(once_more) == _votes(exported)


async def test_a_conversation_that_is_not_there_is_not_exported(voting: Conversations) -> None:
    answer = await refused(export_all(voting, str(uuid5(NAMESPACE_URL, "nothing"))))
    assert answer.said == ("NOT_FOUND", "CONVERSATION_NOT_FOUND")


def _votes(exported: list) -> list[bytes]:  # type: ignore[type-arg]
    return sorted(vote.SerializeToString(deterministic=True) for piece in exported for vote in piece.votes.votes)
