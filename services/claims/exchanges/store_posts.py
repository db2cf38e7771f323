"""Offering food, and ending an offer."""

from uuid import UUID

from libs.data.catalog.claims import FOOD_POSTS, PORTIONS_CLAIMED, PORTIONS_HELD, PORTIONS_REMAINING
from libs.data.events import Event
from libs.data.ids import new_id
from libs.data.requests import Replay, Requests
from libs.data.transaction import Record, Transaction
from services.claims.exchanges.errors import FoodPostClosed, FoodPostNotFound, NotAParty
from services.claims.exchanges.model import FoodPost, NewFoodPost, PostStatus

CREATIONS = Requests("claims", "CreateFoodPost", FoodPost)
CLOSINGS = Requests("claims", "CloseFoodPost", FoodPost)

COLUMNS = """
food_post_id, title, group_id, sharing_mode, giver_id, portions, portions_remaining, portions_held, portions_claimed,
pickup_time, created_at, status
"""


def to_food_post(row: Record) -> FoodPost:
    """From a row that begins with COLUMNS."""
    post_id, title, group_id, mode, giver_id, portions, remaining, held, claimed, pickup, created, status = row[:12]
    return FoodPost(
        post_id,
        title,
        group_id,
        mode,
        giver_id,
        portions,
        remaining,
        held,
        claimed,
        pickup,
        created,
        PostStatus(status),
    )


CREATE = f"""
INSERT INTO claims.food_posts
    (food_post_id, title, group_id, sharing_mode, giver_id, portions, portions_remaining, pickup_time)
VALUES ($1, $2, $3, $4, $5, $6, $6, $7)
RETURNING {COLUMNS}
"""


async def create(tx: Transaction, new: NewFoodPost, request_id: UUID) -> FoodPost | Replay[FoodPost]:
    replay = await CREATIONS.claim(tx, request_id, new)
    if replay is not None:
        return replay
    row = await tx.fetchrow(
        CREATE, new_id(), new.title, new.group_id, new.sharing_mode, new.giver_id, new.portions, new.pickup_time
    )
    assert row is not None
    post = to_food_post(row)
    counters = {
        counter.name: {str(post.food_post_id): value}
        for counter, value in ((PORTIONS_REMAINING, post.portions), (PORTIONS_HELD, 0), (PORTIONS_CLAIMED, 0))
    }
    payload = {"counters": counters, "giver_id": str(post.giver_id)}
    tx.emit([Event("food_post.created", post.food_post_id, 0, payload)])
    await CREATIONS.record(tx, request_id, post)
    return post


CLOSE = f"""
UPDATE claims.food_posts SET closed_time = $2, version = version + 1 WHERE food_post_id = $1 RETURNING {COLUMNS}
"""


async def close(tx: Transaction, food_post_id: UUID, actor_id: UUID, request_id: UUID) -> FoodPost | Replay[FoodPost]:
    replay = await CLOSINGS.claim(tx, request_id, food_post_id, actor_id)
    if replay is not None:
        return replay
    posts = await tx.lock(FOOD_POSTS, [food_post_id])
    locked = posts.get(food_post_id)
    if locked is None:
        raise FoodPostNotFound(food_post_id)
    if locked["giver_id"] != actor_id:
        raise NotAParty.of_post(food_post_id)
    if locked["status"] == PostStatus.CLOSED:
        raise FoodPostClosed(food_post_id)
    row = await tx.fetchrow(CLOSE, food_post_id, locked["locked_time"])
    assert row is not None
    post = to_food_post(row)
    tx.emit([Event("food_post.closed", food_post_id, posts.next_version(food_post_id), {})])
    await CLOSINGS.record(tx, request_id, post)
    return post
