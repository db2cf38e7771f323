"""Rating the other side of an exchange."""

from libs.data.catalog.claims import FOOD_POSTS
from libs.data.commit_tokens import encode_token
from libs.data.errors import FieldViolation, InvalidInput
from libs.data.events import Event
from libs.data.transaction import Transaction
from services.claims.exchanges.errors import AlreadyRated, ExchangeNotCompleted, ExchangeNotFound, NotAParty
from services.claims.exchanges.model import NewRating, Rating, Status
from services.claims.exchanges.store import posts_of
from services.claims.exchanges.store_reads import get_exchange

FIND = """
SELECT exchange_id, rater_id, rated_id, stars, comment, created_at, request_id, commit_xid::text::bigint AS xid
FROM claims.ratings WHERE food_id = $1 AND exchange_id = $2 AND rater_id = $3
"""
INSERT = """
INSERT INTO claims.ratings (food_id, exchange_id, rater_id, rated_id, stars, comment, request_id, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


async def rate(tx: Transaction, new: NewRating) -> Rating:
    """Stores a rating, or answers the one that the same request stored before, with its token."""
    food_post_id = (await posts_of(tx, [new.exchange_id])).get(new.exchange_id)
    if food_post_id is None:
        raise ExchangeNotFound(new.exchange_id)
    posts = await tx.lock(FOOD_POSTS, [food_post_id])
    exchange = await get_exchange(tx, new.exchange_id)
    if new.rater_id not in (exchange.giver_id, exchange.receiver_id):
        raise NotAParty.of_exchange(new.exchange_id)
    stored = await tx.fetchrow(FIND, food_post_id, new.exchange_id, new.rater_id)
    if stored is not None:
        exchange_id, rater_id, rated_id, stars, comment, created_time = stored[:6]
        token = encode_token(stored["xid"])
        rating = Rating(exchange_id, rater_id, rated_id, stars, comment, created_time, token)
        if stored["request_id"] != new.request_id:
            raise AlreadyRated(new.exchange_id, new.rater_id, rating.stars)
        if (rating.stars, rating.comment) != (new.stars, new.comment):
            violation = FieldViolation("request_id", "was used before, for a request that said something else")
            raise InvalidInput([violation], reason="REQUEST_ID_REUSED")
        return rating
    if exchange.status is not Status.COMPLETED:
        raise ExchangeNotCompleted(exchange)
    rated_id = exchange.giver_id if new.rater_id == exchange.receiver_id else exchange.receiver_id
    now = posts[food_post_id]["locked_time"]
    await tx.execute(
        INSERT, food_post_id, new.exchange_id, new.rater_id, rated_id, new.stars, new.comment, new.request_id, now
    )
    group_id = posts[food_post_id]["group_id"]
    payload = {
        "rater_id": str(new.rater_id),
        "rated_id": str(rated_id),
        "rated_side": "giver" if rated_id == exchange.giver_id else "receiver",
        "stars": new.stars,
        "group_id": str(group_id) if group_id else None,
    }
    tx.emit([Event("exchange.rated", new.exchange_id, posts[food_post_id]["version"], payload)])
    return Rating(new.exchange_id, new.rater_id, rated_id, new.stars, new.comment, now)
