"""Reading users, reputations and ledgers. Nothing here waits for a writer or counts rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from libs.data.pages import decode_page_token, encode_page_token
from libs.data.transaction import Record, Snapshot
from services.reputation.ledger.errors import UserNotFound
from services.reputation.ledger.levels import TrustLevel, level_of
from services.reputation.ledger.model import HIGHEST_SCORE, LedgerEvent, User, Verification
from services.reputation.ledger.replay import Link, Replay
from services.reputation.ledger.store import EVENT_COLUMNS, to_event
from services.reputation.ledger.store_users import USER_COLUMNS, to_user

GET_USER = f"SELECT {USER_COLUMNS} FROM reputation.users WHERE id = $1"


async def get_user(snapshot: Snapshot, user_id: UUID) -> User:
    row = await snapshot.fetchrow(GET_USER, user_id)
    if row is None:
        raise UserNotFound(user_id)
    return to_user(row)


# With the names of the API, and numbers as it writes them. Whether the time of grace is over is asked of the clock that set it.
REPUTATIONS = """
SELECT r.user_id::text AS user_id, r.overall_score::text AS overall_score, r.trust_level, r.demotion_time,
       r.demotion_time <= clock.now AS demoted, r.peak_reputation::text AS peak_reputation,
       CASE WHEN r.trend_base_time > clock.now - interval '7 days' THEN r.reputation_trend ELSE 'stable' END
           AS reputation_trend,
       r.total_food_shared, r.total_food_claimed, r.total_exchanges_completed, r.total_groups_participated,
       r.avg_food_rating::text AS avg_food_rating, r.avg_recipient_rating::text AS avg_recipient_rating,
       r.reliability_score::text AS reliability_score, r.reported_incidents, r.resolved_disputes,
       r.community_contributions, extract(day FROM clock.now - r.known_since)::integer AS account_age_days, r.event_count,
       r.last_activity, r.reputation_updated_at, coalesce(r.last_stream_event_id, '') AS last_stream_event_id,
       r.stream_lag_seconds, r.reputation_sync_status AS sync_status
FROM (SELECT now() AT TIME ZONE 'UTC' AS now) AS clock, reputation.user_global_reputation r
WHERE r.user_id = ANY($1::uuid[])
"""


async def reputations(snapshot: Snapshot, user_ids: Sequence[str]) -> dict[str, Record]:
    """The reputations of the users that exist, by id in lower case; all of one moment."""
    return {row[0]: row for row in await snapshot.fetch(REPUTATIONS, user_ids)}


LEDGER_PAGE = f"""
SELECT {EVENT_COLUMNS} FROM reputation.reputation_events e
WHERE e.user_id = $1 AND e.sequence < $2
ORDER BY e.sequence DESC
LIMIT $3
"""
EXISTS = "SELECT EXISTS (SELECT FROM reputation.user_global_reputation WHERE user_id = $1)"
AFTER_ALL = 2**31 - 1


async def list_events(snapshot: Snapshot, user_id: UUID, size: int, token: str) -> tuple[list[LedgerEvent], str]:
    """One page of a ledger, newest first, and the next page's token."""
    listing = f"events/{user_id}"
    (before,) = decode_page_token(token, listing, int) or (AFTER_ALL,)
    rows = await snapshot.fetch(LEDGER_PAGE, user_id, before, size + 1)
    if not rows and not await snapshot.fetchval(EXISTS, user_id):
        raise UserNotFound(user_id)
    events = [to_event(row) for row in rows[:size]]
    return events, encode_page_token(listing, events[-1].sequence) if len(rows) > size else ""


STORED = """
SELECT (overall_score * 100)::integer, event_count FROM reputation.user_global_reputation WHERE user_id = $1
"""
CHAIN = """
SELECT sequence, (counted_impact * 100)::integer, (previous_score * 100)::integer, (new_score * 100)::integer
FROM reputation.reputation_events WHERE user_id = $1
ORDER BY sequence
"""
AT_ONCE = 1_000


async def verify(snapshot: Snapshot, user_id: UUID) -> Verification:
    """Replays a ledger and compares; in one snapshot, a page at a time."""
    stored = await snapshot.fetchrow(STORED, user_id)
    if stored is None:
        raise UserNotFound(user_id)
    replay = Replay()
    async for page in snapshot.pages(CHAIN, user_id, size=AT_ONCE):
        for row in page:
            replay.take(Link(*row))
    return replay.verdict(*stored)


@dataclass(frozen=True, slots=True)
class Leader:
    """A place among the highest scores, which are hundredths."""

    user_id: UUID
    score: int
    level: TrustLevel


_LEADERS = """
SELECT user_id, (overall_score * 100)::integer AS score, trust_level,
       demotion_time <= (now() AT TIME ZONE 'UTC') AS demoted
FROM reputation.user_global_reputation
WHERE overall_score >= 0.00 AND {condition}(overall_score, user_id) < ($1::integer / 100.0, $2)
ORDER BY overall_score DESC, user_id DESC
LIMIT $3
"""
LEADERS = _LEADERS.format(condition="")
# In capitals, as in the index that has the whole order. By the level as it is, Postgres takes the index of level, score and
# activity, and sorts all those who have the score that everybody starts with.
LEADERS_OF_LEVEL = _LEADERS.format(condition="upper(trust_level) = $4 AND ")
HIGHEST = (HIGHEST_SCORE + 1, UUID(int=2**128 - 1))


async def list_leaders(snapshot: Snapshot, level: TrustLevel | None, size: int, token: str) -> tuple[list[Leader], str]:
    """One page, highest score first, and the next page's token.

    Args:
        level: as stored; None for all.
    """
    listing = f"leaders/{level.word if level else ''}"
    after = decode_page_token(token, listing, int, UUID) or HIGHEST
    if level is None:
        rows = await snapshot.fetch(LEADERS, *after, size + 1)
    else:
        rows = await snapshot.fetch(LEADERS_OF_LEVEL, *after, size + 1, level.name)
    leaders = [
        Leader(row["user_id"], row["score"], served_level(row["trust_level"], row["demoted"], row["score"]))
        for row in rows[:size]
    ]
    if len(rows) <= size:
        return leaders, ""
    return leaders, encode_page_token(listing, leaders[-1].score, str(leaders[-1].user_id))


def served_level(word: str, demoted: bool | None, score: int) -> TrustLevel:
    """The level that holds now, also where the job that writes it down has not come by yet."""
    return level_of(score) if demoted else TrustLevel.of_word(word)
