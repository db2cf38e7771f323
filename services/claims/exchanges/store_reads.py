"""Reading food posts and exchanges. Nothing here waits for a writer or counts rows."""

from datetime import UTC, datetime
from uuid import UUID

from libs.data.pages import decode_page_token, encode_page_token, utc_time
from libs.data.transaction import Record, Snapshot
from services.claims.exchanges.errors import ExchangeNotFound, FoodPostNotFound
from services.claims.exchanges.model import Exchange, FoodPost, Status
from services.claims.exchanges.store_posts import COLUMNS, to_food_post

GET = f"SELECT {COLUMNS} FROM claims.food_posts WHERE food_post_id = $1"


async def get_food_post(snapshot: Snapshot, food_post_id: UUID) -> FoodPost:
    row = await snapshot.fetchrow(GET, food_post_id)
    if row is None:
        raise FoodPostNotFound(food_post_id)
    return to_food_post(row)


# The status is written out, because only then Postgres knows that the partial indexes hold every row that is wanted.
_AVAILABLE = f"""
SELECT {COLUMNS} FROM claims.food_posts
WHERE status = 'available' AND pickup_time > now() AND (pickup_time, created_at, food_post_id) > ($1, $2, $3){{condition}}
ORDER BY pickup_time, created_at, food_post_id
LIMIT $4
"""
AVAILABLE = _AVAILABLE.format(condition="")
AVAILABLE_TO_GROUP = _AVAILABLE.format(condition=" AND group_id = $5")
AVAILABLE_IN_MODE = _AVAILABLE.format(condition=" AND sharing_mode = $5")
AVAILABLE_TO_GROUP_IN_MODE = _AVAILABLE.format(condition=" AND group_id = $5 AND sharing_mode = $6")
NEVER = datetime(1, 1, 1, tzinfo=UTC)


async def list_available(
    snapshot: Snapshot, group_id: UUID | None, sharing_mode: str, size: int, token: str
) -> tuple[list[FoodPost], str]:
    """One page of what can be claimed, first pickup first, and the next page's token."""
    listing = f"food/{group_id or ''}/{sharing_mode}"
    after = decode_page_token(token, listing, utc_time, utc_time, UUID) or (NEVER, NEVER, UUID(int=0))
    sql: str
    filters: list[object]
    if group_id is None:
        sql, filters = (AVAILABLE_IN_MODE, [sharing_mode]) if sharing_mode else (AVAILABLE, [])
    elif sharing_mode:
        sql, filters = AVAILABLE_TO_GROUP_IN_MODE, [group_id, sharing_mode]
    else:
        sql, filters = AVAILABLE_TO_GROUP, [group_id]
    rows = await snapshot.fetch(sql, *after, size + 1, *filters)
    posts = [to_food_post(row) for row in rows[:size]]
    if len(rows) <= size:
        return posts, ""
    last = posts[-1]
    key = (last.pickup_time.isoformat(), last.created_time.isoformat(), str(last.food_post_id))
    return posts, encode_page_token(listing, *key)


EXCHANGE_COLUMNS = """
exchange_id, food_id, giver_id, receiver_id, portions, status, hold_expire_time, created_at, status_time
"""


def to_exchange(row: Record) -> Exchange:
    """From a row that begins with EXCHANGE_COLUMNS."""
    exchange = Exchange(*row[:9])
    exchange.status = Status(exchange.status)
    return exchange


GET_EXCHANGE = f"SELECT {EXCHANGE_COLUMNS} FROM claims.exchanges WHERE exchange_id = $1"


async def get_exchange(snapshot: Snapshot, exchange_id: UUID) -> Exchange:
    row = await snapshot.fetchrow(GET_EXCHANGE, exchange_id)
    if row is None:
        raise ExchangeNotFound(exchange_id)
    return to_exchange(row)


# By whose exchanges are listed: a field of the request, and the column it is about.
LISTINGS = {
    field: f"""
SELECT {EXCHANGE_COLUMNS} FROM claims.exchanges
WHERE {column} = $1 AND exchange_id < $2
ORDER BY exchange_id DESC
LIMIT $3
"""
    for field, column in {"food_post_id": "food_id", "giver_id": "giver_id", "receiver_id": "receiver_id"}.items()
}
AFTER_ALL = UUID(int=2**128 - 1)


async def list_exchanges(
    snapshot: Snapshot, field: str, whose: UUID, size: int, token: str
) -> tuple[list[Exchange], str]:
    """One page, newest first, and the next page's token."""
    listing = f"exchanges/{field}/{whose}"
    (before,) = decode_page_token(token, listing, UUID) or (AFTER_ALL,)
    rows = await snapshot.fetch(LISTINGS[field], whose, before, size + 1)
    exchanges = [to_exchange(row) for row in rows[:size]]
    return exchanges, encode_page_token(listing, str(exchanges[-1].exchange_id)) if len(rows) > size else ""


OVERDUE = """
SELECT exchange_id FROM claims.exchanges
WHERE status = 'pending' AND hold_expire_time <= now() - make_interval(secs => $2)
ORDER BY hold_expire_time
LIMIT $1
"""


async def overdue(snapshot: Snapshot, limit: int, grace: float = 0.0) -> list[UUID]:
    """Holds whose time has been over for so many seconds, longest first."""
    return [row[0] for row in await snapshot.fetch(OVERDUE, limit, grace)]
