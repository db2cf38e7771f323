"""Creating groups."""

from datetime import datetime
from uuid import UUID

from libs.data.catalog.reputation import GROUP_ADMINS, GROUP_MEMBERS, SCORE, USERS
from libs.data.events import Event
from libs.data.ids import new_id
from libs.data.requests import Replay, Requests
from libs.data.tables import Row
from libs.data.transaction import Record, Transaction
from services.reputation.groups.errors import GroupExists, TrustLevelTooLow
from services.reputation.groups.model import Change, Group, GroupType, Kind, Membership, NewGroup, Role
from services.reputation.groups.store import insert_changes, note_activity
from services.reputation.ledger.account import standing_of
from services.reputation.ledger.errors import UserNotFound
from services.reputation.ledger.levels import ALLOWANCES, TrustLevel
from services.reputation.times import aware, stored

CREATIONS = Requests("reputation", "CreateGroup", Group)

COLUMNS = "id, telegram_group_id, name, group_type, verification_required, admin_user_id, member_count, created_at"


def to_group(row: Record) -> Group:
    """From a row that begins with COLUMNS."""
    group_id, chat, name, group_type, verification_required, admin_id, members, created_at = row[:8]
    return Group(
        group_id, chat, name, GroupType(group_type), verification_required, admin_id, members, aware(created_at)
    )


CREATE = f"""
INSERT INTO reputation.community_groups
    (id, telegram_group_id, name, group_type, verification_required, admin_user_id, created_at, member_count, admin_count)
VALUES ($1, $2, $3, $4, $5, $6, $7, 1, 1)
ON CONFLICT (telegram_group_id) DO NOTHING
RETURNING {COLUMNS}
"""
OF_CHAT = "SELECT id FROM reputation.community_groups WHERE telegram_group_id = $1"
INSERT_ADMIN = """
INSERT INTO reputation.group_members (group_id, user_id, role, joined_time) VALUES ($1, $2, 'admin', $3)
"""


async def create(tx: Transaction, new: NewGroup, request_id: UUID) -> Group | Replay[Group]:
    """A group whose creator is its first member, an admin."""
    replay = await CREATIONS.claim(tx, request_id, new)
    if replay is not None:
        return replay
    # Nobody can wait for a group that is not there yet, so the user may be locked before it.
    users = await tx.lock(USERS, [new.admin_user_id])
    user = users.rows.get(new.admin_user_id)
    if user is None:
        raise UserNotFound(new.admin_user_id)
    level = level_now(user)
    if not ALLOWANCES[level].may_create_groups:
        raise TrustLevelTooLow(new.admin_user_id, level.word)
    now: datetime = user["locked_time"]
    row = await tx.fetchrow(
        CREATE,
        new_id(),
        new.telegram_group_id,
        new.name,
        new.group_type.value,
        new.verification_required,
        new.admin_user_id,
        stored(now),
    )
    if row is None:
        assert new.telegram_group_id is not None
        raise GroupExists(new.telegram_group_id, await tx.fetchval(OF_CHAT, new.telegram_group_id))
    group = to_group(row)
    admin = Membership(group.group_id, new.admin_user_id, Role.ADMIN, now)
    tx.write_last(INSERT_ADMIN, admin.group_id, admin.user_id, now, rows=1)
    insert_changes(tx, [Change(Kind.JOINED, admin, request_id, admin.user_id, 1, now)])
    note_activity(tx, users, [admin.user_id], {(admin.user_id,): 1})
    counters = {counter.name: {str(group.group_id): 1} for counter in (GROUP_MEMBERS, GROUP_ADMINS)}
    tx.emit([Event("group.created", group.group_id, 0, {"counters": counters, "admin_user_id": str(admin.user_id)})])
    await CREATIONS.record(tx, request_id, group)
    return group


def level_now(user: Row) -> TrustLevel:
    """The level that holds of a locked user: one whose time of grace is over has fallen, whoever has noted that yet."""
    return standing_of(user).at(user["locked_time"], SCORE.value_in(user)).level
