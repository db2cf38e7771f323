"""Reading the votes of a conversation at one moment, and storing what their analysis says (V7, V8)."""

from uuid import UUID

from libs.data.events import Event
from libs.data.transaction import Snapshot, Transaction
from services.voting.errors import ConversationNotFound
from services.voting.model_analysis import Ballots, Basis, Computed, Standing, Statistics

# A transaction that only reads has no id of its own, so its snapshot's xmin is that of the others.
BASIS = """
SELECT c.version AS conversation_version, coalesce(a.version, 0) AS version, a.conversation_version AS analysed_version,
       a.state, pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon, now() AS time
FROM voting.conversations c LEFT JOIN voting.analyses a USING (conversation_id)
WHERE c.conversation_id = $1
"""
OPINIONS = r"""
SELECT coalesce(string_agg(uuid_send(opinion_id), '' ORDER BY opinion_id), '') AS ids,
       coalesce(string_agg(CASE WHEN state IN ('moved', 'hidden') THEN '\x01'::bytea ELSE '\x00' END, ''
                           ORDER BY opinion_id), '') AS moderated,
       coalesce(string_agg(CASE WHEN meta THEN '\x01'::bytea ELSE '\x00' END, '' ORDER BY opinion_id), '') AS meta
FROM voting.opinions
WHERE conversation_id = $1 AND state <> 'deleted'
"""
STATISTICS = """
SELECT coalesce(array_agg(opinion_id::text ORDER BY opinion_id), '{}'),
       coalesce(array_agg(group_votes::text ORDER BY opinion_id), '{}'),
       coalesce(array_agg(analysed_rank ORDER BY opinion_id), '{}')
FROM voting.opinion_statistics
WHERE conversation_id = $1
"""
# A row a person and not a vote, in the order of the primary key.
VOTES = """
SELECT uuid_send(user_id), string_agg(uuid_send(opinion_id), '' ORDER BY opinion_id),
       string_agg(int2send(vote), '' ORDER BY opinion_id)
FROM voting.votes
WHERE conversation_id = $1
GROUP BY user_id
ORDER BY user_id
"""
# People that are in memory as rows at once.
PAGE = 2_000


async def read_ballots(snapshot: Snapshot, conversation_id: UUID) -> Ballots | None:
    """What there is to analyse; None if the last analysis is of the conversation as it is.

    Args:
        snapshot: of `Database.snapshot`.

    Raises:
        ConversationNotFound
    """
    row = await snapshot.fetchrow(BASIS, conversation_id)
    if row is None:
        raise ConversationNotFound(conversation_id)
    if row["analysed_version"] == row["conversation_version"]:
        return None
    basis = Basis(conversation_id, row["version"], row["conversation_version"], row["horizon"], row["time"])
    opinions = await snapshot.fetchrow(OPINIONS, conversation_id)
    statistics = await snapshot.fetchrow(STATISTICS, conversation_id)
    assert opinions is not None and statistics is not None
    people, voted_on, votes = [], [], []
    async for page in snapshot.pages(VOTES, conversation_id, size=PAGE):
        for person, of_person, cast in page:
            people.append(person)
            voted_on.append(of_person)
            votes.append(cast)
    return Ballots(
        basis,
        opinions["ids"],
        opinions["moderated"],
        opinions["meta"],
        b"".join(people),
        [len(cast) // 2 for cast in votes],
        b"".join(voted_on),
        b"".join(votes),
        Statistics(*statistics),
        row["state"],
    )


RESULT = """
conversation_id, version, conversation_version, horizon, computed_time, vote_count, participant_count, group_count,
analysis, participants, participant_ids, participant_xs, participant_ys, participant_groups, state
"""
GIVEN = "$1, $2::bigint, $3, $4::text::xid8, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15"
FIRST = f"INSERT INTO voting.analyses ({RESULT}) VALUES ({GIVEN}) ON CONFLICT (conversation_id) DO NOTHING"
# The version it started from tells whether another has been stored since.
NEXT = f"UPDATE voting.analyses SET ({RESULT}) = ROW ({GIVEN}) WHERE conversation_id = $1 AND version = $2 - 1"


async def store(tx: Transaction, computed: Computed) -> bool:
    """Stores an analysis with all that the listings read of it; False if another came first, and then nothing.

    Takes no lock that a vote waits for. Of opinions it writes what differs from what is stored, and no more: readers of events
    wait for every transaction that has written, so it must be short.
    """
    basis = computed.basis
    if not await tx.execute(FIRST if basis.version == 0 else NEXT, *_result(computed)):
        return False
    await _store_statistics(tx, computed)
    await _store_standing(tx, basis.conversation_id, computed.standing)
    payload = {
        "analysis_version": computed.version,
        "vote_count": computed.vote_count,
        "group_count": computed.group_count,
    }
    tx.emit([Event("conversation.analysed", basis.conversation_id, basis.conversation_version, payload)])
    return True


def _result(computed: Computed) -> tuple[object, ...]:
    basis, positions = computed.basis, computed.positions
    return (
        basis.conversation_id,
        computed.version,
        basis.conversation_version,
        str(basis.horizon),
        basis.time,
        computed.vote_count,
        len(positions.participant_ids),
        computed.group_count,
        computed.analysis,
        computed.participants,
        *positions,
        computed.state,
    )


# An opinion that is deleted meanwhile takes its statistics along, or they go with the next analysis: no listing shows them.
STORE_STATISTICS = """
INSERT INTO voting.opinion_statistics (conversation_id, opinion_id, group_votes, analysed_rank)
SELECT $1, opinion_id, group_votes::integer[], rank
FROM unnest($2::uuid[], $3::text[], $4::integer[]) AS w(opinion_id, group_votes, rank)
ON CONFLICT (conversation_id, opinion_id)
    DO UPDATE SET group_votes = EXCLUDED.group_votes, analysed_rank = EXCLUDED.analysed_rank
"""
DELETE_STATISTICS = "DELETE FROM voting.opinion_statistics WHERE conversation_id = $1 AND opinion_id = ANY($2::uuid[])"


async def _store_statistics(tx: Transaction, computed: Computed) -> None:
    conversation_id = computed.basis.conversation_id
    if computed.statistics.opinion_ids:
        await tx.execute(STORE_STATISTICS, conversation_id, *computed.statistics)
    if computed.without_statistics:
        await tx.execute(DELETE_STATISTICS, conversation_id, computed.without_statistics)


DELETE_STANDING = "DELETE FROM voting.group_opinions WHERE conversation_id = $1"
STORE_STANDING = """
INSERT INTO voting.group_opinions (conversation_id, group_id, place, opinion_id)
SELECT $1, * FROM unnest($2::integer[], $3::integer[], $4::uuid[])
"""


async def _store_standing(tx: Transaction, conversation_id: UUID, standing: Standing) -> None:
    await tx.execute(DELETE_STANDING, conversation_id)
    if standing.opinion_ids:
        tx.write_last(STORE_STANDING, conversation_id, *standing, rows=len(standing.opinion_ids))
