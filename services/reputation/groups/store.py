"""Joining, leaving and roles, for everybody who is waiting, in one transaction (G1, G2, G5)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from libs.data.catalog.reputation import GROUP_ADMINS, GROUP_MEMBERS, GROUPS, GROUPS_PARTICIPATED, USERS
from libs.data.commit_tokens import encode_token
from libs.data.events import Event
from libs.data.tables import Locked, Row, Table
from libs.data.transaction import Transaction
from services.reputation.groups import rules
from services.reputation.groups.model import Change, Command, Join, Kind, Membership, Role, SetRole
from services.reputation.times import stored


async def change_memberships(tx: Transaction, commands: Sequence[Command]) -> list[rules.Outcome]:
    """One outcome a command, in order."""
    groups, seen = await lock_and_look_up(tx, commands)
    users = await lock_users(tx, commands, seen)
    decision = rules.decide(groups.rows, seen, commands)
    write_memberships(tx, groups, decision.memberships.values())
    write_changes(tx, groups, decision.changes)
    tx.increment(GROUP_MEMBERS, decision.members)
    tx.increment(GROUP_ADMINS, decision.admins)
    note_activity(tx, users, decision.active, decision.participations)
    return decision.outcomes


# Two probes of an index a command, in one round trip.
LOOK_UP = """
SELECT m.group_id AS id, m.user_id, m.role, m.joined_time, m.left_time, NULL::uuid AS request_id, NULL AS change,
       NULL::uuid AS actor_id, NULL::integer AS member_count, NULL::bigint AS xid
FROM unnest($1::uuid[], $2::uuid[]) AS wanted(group_id, user_id)
JOIN reputation.group_members m USING (group_id, user_id)
UNION ALL
SELECT c.group_id, c.user_id, c.role, c.joined_time, c.change_time, c.request_id, c.change, c.actor_id, c.member_count,
       c.commit_xid::text::bigint
FROM unnest($3::uuid[], $4::uuid[], $5::uuid[]) AS asked(group_id, user_id, request_id)
JOIN reputation.group_member_changes c USING (group_id, user_id, request_id)
"""


async def lock_and_look_up(tx: Transaction, commands: Sequence[Command]) -> tuple[Locked[Table], rules.Seen]:
    """The commands' groups, locked, and what is stored about the commands' users in them."""
    members = {(c.group_id, c.user_id): None for c in commands}
    members |= {(c.group_id, c.actor_id): None for c in commands if isinstance(c, SetRole)}
    asked = {(c.group_id, c.user_id, c.request_id): None for c in commands}
    groups, rows = await tx.lock_and_read(
        GROUPS,
        {group_id for group_id, _ in members},
        LOOK_UP,
        [group_id for group_id, _ in members],
        [user_id for _, user_id in members],
        *map(list, zip(*asked, strict=True)),
    )
    seen = rules.Seen()
    for group_id, user_id, role, joined_time, time, request_id, change, actor_id, member_count, xid in rows:
        if request_id is None:
            seen.memberships[group_id, user_id] = Membership(group_id, user_id, Role(role), joined_time, time)
            continue
        left_time = time if change == Kind.LEFT else None
        then = Membership(group_id, user_id, Role(role), joined_time, left_time)
        made = Change(Kind(change), then, request_id, actor_id, member_count, time, encode_token(xid))
        seen.changes[group_id, user_id, request_id] = made
    return groups, seen


# Whoever is there stays, and a level that changes at this moment was either before or after: it needs no version of the row.
LEVELS = "SELECT id AS user_id, verification_level FROM reputation.users WHERE id = ANY($1::uuid[])"


async def lock_users(tx: Transaction, commands: Sequence[Command], seen: rules.Seen) -> Locked[Table]:
    """The users who may join or leave, locked after the groups; what is known of them is added to what was seen."""
    users = {c.user_id for c in commands if not isinstance(c, SetRole)}
    joining = {c.user_id for c in commands if isinstance(c, Join)}
    locked, rows = await tx.lock_and_read(USERS, users, LEVELS, list(joining))
    seen.verification_levels.update((user_id, level) for user_id, level in rows)
    return locked


WRITE = """
INSERT INTO reputation.group_members AS m (group_id, user_id, role, joined_time, left_time)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[])
ON CONFLICT (group_id, user_id) DO UPDATE
SET role = EXCLUDED.role, joined_time = EXCLUDED.joined_time, left_time = EXCLUDED.left_time
"""


def write_memberships(tx: Transaction, groups: Locked[Table], memberships: Iterable[Membership]) -> None:
    written = list(memberships)
    if not written:
        return
    # A role need not move a counter, nor need one who came and another who went.
    tx.touch(GROUPS, {m.group_id for m in written})
    tx.write_last(
        WRITE,
        [m.group_id for m in written],
        [m.user_id for m in written],
        [m.role.value for m in written],
        [m.joined_time for m in written],
        [m.left_time for m in written],
        rows=len(written),
    )


INSERT_CHANGES = """
INSERT INTO reputation.group_member_changes
    (group_id, user_id, request_id, change, role, actor_id, joined_time, member_count, change_time)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::timestamptz[],
                     $8::integer[], $9::timestamptz[])
"""


def insert_changes(tx: Transaction, changes: Sequence[Change]) -> None:
    tx.write_last(
        INSERT_CHANGES,
        [c.membership.group_id for c in changes],
        [c.membership.user_id for c in changes],
        [c.request_id for c in changes],
        [c.kind.value for c in changes],
        [c.membership.role.value for c in changes],
        [c.actor_id for c in changes],
        [c.membership.joined_time for c in changes],
        [c.member_count for c in changes],
        [c.change_time for c in changes],
        rows=len(changes),
    )


def write_changes(tx: Transaction, groups: Locked[Table], changes: Sequence[Change]) -> None:
    """Stores and emits what became of memberships."""
    if not changes:
        return
    insert_changes(tx, changes)
    tx.emit(_event(change, groups.next_version(change.membership.group_id)) for change in changes)


def _event(change: Change, version: int) -> Event:
    member = change.membership
    payload = {"user_id": str(member.user_id), "role": member.role.value, "actor_id": str(change.actor_id)}
    return Event(f"group.member_{change.kind.value}", member.group_id, version, payload)


def note_activity(
    tx: Transaction, users: Locked[Table], active: Iterable[UUID], participations: Mapping[tuple[UUID], int]
) -> None:
    """Counts the groups that users joined for the first time, and says when they were last active."""
    tx.increment(GROUPS_PARTICIPATED, participations)
    tx.write_columns(USERS, {user_id: {"last_activity": _active_time(users.rows[user_id])} for user_id in active})


def _active_time(user: Row) -> datetime:
    """Now, as the column holds it; never before what is there."""
    before: datetime = user["last_activity"]
    return max(stored(user["locked_time"]), before)
