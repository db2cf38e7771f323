"""Whether every counter of a conversation equals its rows, recounted by plain SQL that knows nothing of the declarations."""

from uuid import UUID

import asyncpg

from libs.data.catalog.voting import VOTING_COUNTERS
from libs.data.consistency import PRIMARY
from libs.data.database import Database

# A vote with the state of its opinion.
_VOTES = """
(SELECT v.user_id, v.opinion_id, v.vote, o.state NOT IN ('moved', 'hidden', 'deleted') AS visible
 FROM voting.votes v LEFT JOIN voting.opinions o
     ON o.conversation_id = v.conversation_id AND o.opinion_id = v.opinion_id
 WHERE v.conversation_id = $1)
"""


def _of_conversation(column: str, recounted: str) -> str:
    return f"SELECT '' AS key, {column} AS n, ({recounted}) AS recounted FROM voting.conversations WHERE conversation_id = $1"


def _of_opinion(column: str, vote: int) -> str:
    votes = f"SELECT opinion_id, count(*) AS n FROM {_VOTES} v WHERE vote = {vote} GROUP BY opinion_id"
    return f"""
    SELECT coalesce(o.opinion_id, v.opinion_id)::text AS key, coalesce(o.{column}, 0) AS n, coalesce(v.n, 0) AS recounted
    FROM (SELECT * FROM voting.opinions WHERE conversation_id = $1) o FULL JOIN ({votes}) v ON v.opinion_id = o.opinion_id
    """


def _of_participant(column: str, condition: str) -> str:
    votes = f"SELECT user_id, count(*) AS n FROM {_VOTES} v WHERE {condition} GROUP BY user_id"
    return f"""
    SELECT coalesce(p.user_id, v.user_id)::text AS key, coalesce(p.{column}, 0) AS n, coalesce(v.n, 0) AS recounted
    FROM (SELECT * FROM voting.participants WHERE conversation_id = $1) p FULL JOIN ({votes}) v ON v.user_id = p.user_id
    """


_OPINIONS = "SELECT count(*) FROM voting.opinions WHERE conversation_id = $1 AND state "
RECOUNTS = {
    "voting.opinions": _of_conversation("opinion_count", f"{_OPINIONS} <> 'deleted'"),
    "voting.votes": _of_conversation("vote_count", f"SELECT count(*) FROM {_VOTES} v"),
    "voting.participants": _of_conversation("participant_count", f"SELECT count(DISTINCT user_id) FROM {_VOTES} v"),
    "voting.visible_opinions": _of_conversation(
        "visible_opinion_count", f"{_OPINIONS} NOT IN ('moved', 'hidden', 'deleted')"
    ),
    "voting.visible_votes": _of_conversation("visible_vote_count", f"SELECT count(*) FROM {_VOTES} v WHERE visible"),
    "voting.visible_participants": _of_conversation(
        "visible_participant_count", f"SELECT count(DISTINCT user_id) FROM {_VOTES} v WHERE visible"
    ),
    "voting.opinion_agrees": _of_opinion("agree_count", 1),
    "voting.opinion_disagrees": _of_opinion("disagree_count", -1),
    "voting.opinion_passes": _of_opinion("pass_count", 0),
    "voting.participant_votes": _of_participant("vote_count", "true"),
    "voting.participant_visible_votes": _of_participant("visible_vote_count", "visible"),
}
_EVERY = " UNION ALL ".join(f"SELECT '{name}' AS counter, * FROM ({sql}) q" for name, sql in RECOUNTS.items())
DIFFERING = f"""
SELECT counter, key, n, recounted FROM ({_EVERY}) every WHERE n <> recounted
UNION ALL
SELECT 'votes on an opinion that is not there', opinion_id::text, NULL, NULL FROM {_VOTES} v WHERE visible IS NULL
UNION ALL
SELECT 'no such conversation', '', NULL, NULL WHERE NOT EXISTS (SELECT FROM voting.conversations WHERE conversation_id = $1)
"""


async def assert_counts_hold(source: Database | str, conversation_id: UUID) -> None:
    """Fails where any voting counter of the conversation differs from the rows, at one moment.

    Args:
        source: the database, or its URL.
    """
    assert set(RECOUNTS) == {counter.name for counter in VOTING_COUNTERS}, "a counter is not recounted here"
    if isinstance(source, str):
        connection = await asyncpg.connect(source)
        try:
            differing = await connection.fetch(DIFFERING, conversation_id)
        finally:
            await connection.close()
    else:
        differing = await source.read(lambda snapshot: snapshot.fetch(DIFFERING, conversation_id), PRIMARY)
    assert not differing, "\n".join(str(tuple(row)) for row in differing)
