"""Users become known, by being registered or by what they did; levels fall when their time of grace is over."""

from collections.abc import Collection, Sequence
from uuid import UUID

from libs.data.catalog.reputation import EVENTS, SCORE, USERS
from libs.data.events import Event
from libs.data.requests import Replay, Requests
from libs.data.transaction import Record, Snapshot, Transaction
from services.reputation.ledger.account import standing_of
from services.reputation.ledger.errors import UserExists
from services.reputation.ledger.model import FIRST_SCORE, NewUser, User
from services.reputation.ledger.store import level_changed

REGISTRATIONS = Requests("reputation", "RegisterUser", User)

USER_COLUMNS = """
id, sharing_mode, verification_level, created_at AT TIME ZONE 'UTC' AS created_time,
registered_at AT TIME ZONE 'UTC' AS registered_time
"""


def to_user(row: Record) -> User:
    """From a row that begins with USER_COLUMNS."""
    return User(*row[:5])


# Somebody known only by what they did is taken over, with the ledger there is.
REGISTER = f"""
INSERT INTO reputation.users AS u (id, sharing_mode, verification_level, registered_at) VALUES ($1, $2, $3, now())
ON CONFLICT (id) DO UPDATE SET sharing_mode = $2, verification_level = $3, registered_at = now()
    WHERE u.registered_at IS NULL
RETURNING {USER_COLUMNS}
"""


async def register(tx: Transaction, new: NewUser, request_id: UUID) -> User | Replay[User]:
    replay = await REGISTRATIONS.claim(tx, request_id, new)
    if replay is not None:
        return replay
    row = await tx.fetchrow(REGISTER, new.user_id, new.sharing_mode, new.verification_level)
    if row is None:
        raise UserExists(new.user_id)
    user = to_user(row)
    await open_accounts(tx, [new.user_id])
    tx.emit([Event("user.registered", new.user_id, 0, {})])
    await REGISTRATIONS.record(tx, request_id, user)
    return user


# In order of the ids, so that two who make the same users known wait for each other and not in a circle.
MAKE_KNOWN = """
INSERT INTO reputation.users (id) SELECT id FROM unnest($1::uuid[]) AS wanted(id) ORDER BY id ON CONFLICT (id) DO NOTHING
"""
OPEN = """
INSERT INTO reputation.user_global_reputation (user_id) SELECT id FROM unnest($1::uuid[]) AS wanted(id) ORDER BY id
ON CONFLICT (user_id) DO NOTHING
RETURNING user_id
"""


async def make_known(tx: Transaction, user_ids: Collection[UUID]) -> None:
    """Makes those of the users who are not known yet known by what they did, with accounts of their own."""
    if user_ids and await tx.execute(MAKE_KNOWN, list(user_ids)):
        await open_accounts(tx, user_ids)


async def open_accounts(tx: Transaction, user_ids: Collection[UUID]) -> None:
    opened = await tx.fetch(OPEN, list(user_ids))
    tx.emit(_created(row[0]) for row in opened)


def _created(user_id: UUID) -> Event:
    counters = {SCORE.name: {str(user_id): FIRST_SCORE}, EVENTS.name: {str(user_id): 0}}
    return Event("user.created", user_id, 0, {"counters": counters})


DUE = """
SELECT user_id FROM reputation.user_global_reputation
WHERE demotion_time <= (now() AT TIME ZONE 'UTC')
ORDER BY demotion_time
LIMIT $1
"""


async def due_for_demotion(snapshot: Snapshot, limit: int) -> list[UUID]:
    """Users whose time of grace is over, longest first."""
    return [row[0] for row in await snapshot.fetch(DUE, limit)]


async def demote(tx: Transaction, user_ids: Sequence[UUID]) -> int:
    """Lowers the level of those of the users whose time of grace is over; how many that were."""
    users = await tx.lock(USERS, user_ids)
    written: dict[UUID, dict[str, object]] = {}
    for user_id, row in users.rows.items():
        before = standing_of(row)
        score = SCORE.value_in(row)
        after = before.at(row["locked_time"], score)
        if after is before:
            continue
        written[user_id] = {"trust_level": after.level.word, "demotion_time": None}
        tx.emit([level_changed(user_id, users.next_version(user_id), before.level, after.level, score)])
    if written:
        tx.write_columns(USERS, written)
    return len(written)
