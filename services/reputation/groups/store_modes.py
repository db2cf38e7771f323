"""How users share."""

from dataclasses import replace
from uuid import UUID

from libs.data.catalog.reputation import USERS
from libs.data.events import Event
from libs.data.ids import new_id
from libs.data.requests import Replay, Requests
from libs.data.transaction import Transaction
from services.reputation.groups.errors import SharingModeUnchanged
from services.reputation.groups.model import ModeSwitched, ModeTransition
from services.reputation.ledger.errors import UserNotFound
from services.reputation.ledger.store_reads import get_user
from services.reputation.times import stored

SWITCHES = Requests("reputation", "SetSharingMode", ModeSwitched)

SET = "UPDATE reputation.users SET sharing_mode = $2 WHERE id = $1"
INSERT = """
INSERT INTO reputation.mode_transition_events (id, user_id, from_mode, to_mode, reason, created_at)
VALUES ($1, $2, $3, $4, $5, $6)
"""


async def set_sharing_mode(
    tx: Transaction, user_id: UUID, sharing_mode: str, reason: str, request_id: UUID
) -> ModeSwitched | Replay[ModeSwitched]:
    replay = await SWITCHES.claim(tx, request_id, user_id, sharing_mode, reason)
    if replay is not None:
        return replay
    users = await tx.lock(USERS, [user_id])
    if user_id not in users:
        raise UserNotFound(user_id)
    before = await get_user(tx, user_id)
    if before.sharing_mode == sharing_mode:
        raise SharingModeUnchanged(user_id, sharing_mode)
    now = users[user_id]["locked_time"]
    switched = ModeSwitched(
        replace(before, sharing_mode=sharing_mode),
        ModeTransition(new_id(), user_id, before.sharing_mode, sharing_mode, reason, now),
    )
    tx.write_last(SET, user_id, sharing_mode, rows=1)
    tx.write_last(
        INSERT,
        switched.transition.transition_id,
        user_id,
        before.sharing_mode,
        sharing_mode,
        reason,
        stored(now),
        rows=1,
    )
    tx.touch(USERS, [user_id])
    payload = {"from_mode": before.sharing_mode, "to_mode": sharing_mode}
    tx.emit([Event("user.sharing_mode_changed", user_id, users.next_version(user_id), payload)])
    await SWITCHES.record(tx, request_id, switched)
    return switched
