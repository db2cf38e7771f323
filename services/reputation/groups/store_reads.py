"""Reading groups and their members. Nothing here waits for a writer or counts rows."""

from datetime import UTC, datetime
from uuid import UUID

from libs.data.pages import decode_page_token, encode_page_token, utc_time
from libs.data.transaction import Snapshot
from services.reputation.groups.errors import NoGroupOfChat
from services.reputation.groups.model import Group, GroupType, Membership, Role
from services.reputation.groups.store_groups import COLUMNS, to_group
from services.reputation.ledger.errors import GroupNotFound

GET = f"SELECT {COLUMNS} FROM reputation.community_groups WHERE id = $1"
GET_OF_CHAT = f"SELECT {COLUMNS} FROM reputation.community_groups WHERE telegram_group_id = $1"


async def get(snapshot: Snapshot, group_id: UUID) -> Group:
    row = await snapshot.fetchrow(GET, group_id)
    if row is None:
        raise GroupNotFound(group_id)
    return to_group(row)


async def get_of_chat(snapshot: Snapshot, telegram_group_id: int) -> Group:
    row = await snapshot.fetchrow(GET_OF_CHAT, telegram_group_id)
    if row is None:
        raise NoGroupOfChat(telegram_group_id)
    return to_group(row)


_BY_NAME = f"""
SELECT {COLUMNS} FROM reputation.community_groups
WHERE (name, id) > ($1, $2){{condition}}
ORDER BY name, id
LIMIT $3
"""
# A user is in few groups: all of them are looked up and sorted for each page.
_OF_MEMBER = f"""
SELECT {COLUMNS} FROM reputation.community_groups
WHERE (name, id) > ($1, $2)
  AND id = ANY (ARRAY(SELECT group_id FROM reputation.group_members WHERE user_id = $4 AND left_time IS NULL)){{condition}}
ORDER BY name, id
LIMIT $3
"""
BY_NAME = _BY_NAME.format(condition="")
BY_NAME_OF_TYPE = _BY_NAME.format(condition=" AND group_type = $4")
OF_MEMBER = _OF_MEMBER.format(condition="")
OF_MEMBER_OF_TYPE = _OF_MEMBER.format(condition=" AND group_type = $5")
NOBODY = UUID(int=0)


async def list_groups(
    snapshot: Snapshot, group_type: GroupType | None, member_id: UUID | None, size: int, token: str
) -> tuple[list[Group], str]:
    """One page by name, and the next page's token."""
    listing = f"groups/{group_type or ''}/{member_id or ''}"
    after = decode_page_token(token, listing, str, UUID) or ("", NOBODY)
    filters: list[object] = [] if member_id is None else [member_id]
    filters += [] if group_type is None else [group_type.value]
    if member_id is None:
        sql = BY_NAME if group_type is None else BY_NAME_OF_TYPE
    else:
        sql = OF_MEMBER if group_type is None else OF_MEMBER_OF_TYPE
    rows = await snapshot.fetch(sql, *after, size + 1, *filters)
    groups = [to_group(row) for row in rows[:size]]
    if len(rows) <= size:
        return groups, ""
    return groups, encode_page_token(listing, groups[-1].name, str(groups[-1].group_id))


MEMBERS = """
SELECT group_id, user_id, role, joined_time FROM reputation.group_members
WHERE group_id = $1 AND left_time IS NULL AND (joined_time, user_id) > ($2, $3)
ORDER BY joined_time, user_id
LIMIT $4
"""
EVER = datetime(1, 1, 1, tzinfo=UTC)


async def list_members(snapshot: Snapshot, group_id: UUID, size: int, token: str) -> tuple[list[Membership], str]:
    """One page in the order they joined, and the next page's token."""
    listing = f"members/{group_id}"
    after = decode_page_token(token, listing, utc_time, UUID) or (EVER, NOBODY)
    rows = await snapshot.fetch(MEMBERS, group_id, *after, size + 1)
    if not rows:
        await get(snapshot, group_id)
    members = [Membership(row[0], row[1], Role(row[2]), row[3]) for row in rows[:size]]
    if len(rows) <= size:
        return members, ""
    last = members[-1]
    return members, encode_page_token(listing, last.joined_time.isoformat(), str(last.user_id))
