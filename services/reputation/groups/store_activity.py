"""What went on in groups: reading the summary, and bringing it up to date."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from libs.data.errors import TallyError
from libs.data.pages import decode_page_token, encode_page_token
from libs.data.requests import Requests
from libs.data.transaction import Record, Snapshot, Transaction
from services.reputation.groups.model import GroupActivity, GroupType, Refreshed
from services.reputation.ledger.errors import GroupNotFound

REFRESHES = Requests("reputation", "RefreshGroupActivity", Refreshed)

_COLUMNS = """
a.active_members, a.food_posts_30d, coalesce(round(a.avg_rating, 2)::text, '') AS avg_rating, a.successful_exchanges_30d,
a.last_food_post
"""

# A group that is newer than the summary has nothing in it.
GET = f"""
SELECT f.refreshed_time, g.id, g.name, g.group_type, {_COLUMNS}
FROM reputation.community_groups g CROSS JOIN reputation.group_activity_refresh f
LEFT JOIN reputation.group_activity_summary a ON a.group_id = g.id
WHERE g.id = $1
"""


async def get(snapshot: Snapshot, group_id: UUID) -> tuple[GroupActivity, datetime]:
    """What went on, and as of when."""
    row = await snapshot.fetchrow(GET, group_id)
    if row is None:
        raise GroupNotFound(group_id)
    return _to_activity(row), row["refreshed_time"]


# Time and page in one statement, so of one refresh.
_MOST_SUCCESSFUL = f"""
SELECT f.refreshed_time, a.* FROM reputation.group_activity_refresh f
LEFT JOIN LATERAL (
    SELECT a.group_id, a.group_name, a.group_type, {_COLUMNS} FROM reputation.group_activity_summary a
    WHERE (a.successful_exchanges_30d, a.group_id) < ($1, $2){{condition}}
    ORDER BY a.successful_exchanges_30d DESC, a.group_id DESC
    LIMIT $3
) a ON true
ORDER BY a.successful_exchanges_30d DESC, a.group_id DESC
"""
MOST_SUCCESSFUL = _MOST_SUCCESSFUL.format(condition="")
MOST_SUCCESSFUL_OF_TYPE = _MOST_SUCCESSFUL.format(condition=" AND a.group_type = $4")
ABOVE_ALL = (2**31 - 1, UUID(int=2**128 - 1))


async def list_most_successful(
    snapshot: Snapshot, group_type: GroupType | None, size: int, token: str
) -> tuple[list[GroupActivity], datetime, str]:
    """One page, most successful exchanges first; as of when; and the next page's token."""
    listing = f"activity/{group_type or ''}"
    after = decode_page_token(token, listing, int, UUID) or ABOVE_ALL
    sql, filters = (MOST_SUCCESSFUL, []) if group_type is None else (MOST_SUCCESSFUL_OF_TYPE, [group_type.value])
    rows = await snapshot.fetch(sql, *after, size + 1, *filters)
    activities = [_to_activity(row) for row in rows[:size] if row["group_id"] is not None]
    next_page_token = ""
    if len(rows) > size:
        last = activities[-1]
        next_page_token = encode_page_token(listing, last.successful_exchanges_30d, str(last.group_id))
    return activities, rows[0]["refreshed_time"], next_page_token


def _to_activity(row: Record) -> GroupActivity:
    _, group_id, name, group_type, active, posts, rating, exchanges, last_post = row
    return GroupActivity(
        group_id, name, GroupType(group_type), active or 0, posts or 0, rating, exchanges or 0, last_post
    )


REFRESH = "SELECT reputation.refresh_group_activity()"


async def refresh(tx: Transaction) -> datetime:
    """Brings the summary up to date: all that committed before is in it. Answers as of when it is."""
    refreshed_time: datetime = await tx.fetchval(REFRESH)
    return refreshed_time


async def refresh_for(tx: Transaction, request_ids: Sequence[UUID]) -> list[Refreshed | TallyError]:
    """One refresh for all that ask; one outcome each, in order."""
    known: dict[UUID, Refreshed | TallyError] = {}
    new: list[UUID] = []
    for request_id in sorted(set(request_ids)):
        try:
            replay = await REFRESHES.claim(tx, request_id)
        except TallyError as error:
            known[request_id] = error
        else:
            if replay is None:
                new.append(request_id)
            else:
                known[request_id] = replace(replay.answer, replayed=True, token=replay.token)
    if new:
        refreshed = Refreshed(await refresh(tx))
        for request_id in new:
            known[request_id] = refreshed
            await REFRESHES.record(tx, request_id, refreshed)
    return [known[request_id] for request_id in request_ids]
