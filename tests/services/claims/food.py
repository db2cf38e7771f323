"""Food posts and exchanges as their tests talk of them: short words for the calls they make most."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from google.protobuf.timestamp_pb2 import Timestamp
from tally.claims.v1 import exchange_pb2 as resources
from tally.claims.v1 import exchange_service_pb2 as messages
from tally.claims.v1.exchange_service_pb2_grpc import ExchangeServiceStub

from libs.data.catalog.claims import EXCHANGES_COMPLETED, FOOD_STOCK
from libs.data.transaction import Snapshot
from libs.data.verification import survey
from tests.services.claims.serving import claims_channel
from tests.services.petition.people import new_uuid
from tests.stored import Connection

if TYPE_CHECKING:  # in the stubs only
    from tally.claims.v1.exchange_service_pb2_grpc import ExchangeServiceAsyncStub

PENDING = resources.EXCHANGE_STATUS_PENDING
CONFIRMED = resources.EXCHANGE_STATUS_CONFIRMED
COMPLETED = resources.EXCHANGE_STATUS_COMPLETED
CANCELLED = resources.EXCHANGE_STATUS_CANCELLED
EXPIRED = resources.EXCHANGE_STATUS_EXPIRED

AVAILABLE = resources.FOOD_POST_STATUS_AVAILABLE
EXHAUSTED = resources.FOOD_POST_STATUS_EXHAUSTED
CLOSED = resources.FOOD_POST_STATUS_CLOSED


def in_hours(hours: float) -> Timestamp:
    """So far from now; to the microsecond, as times are stored."""
    timestamp = Timestamp()
    timestamp.FromDatetime(datetime.now(UTC) + timedelta(hours=hours))
    return timestamp


def a_food_post(**changes: Any) -> resources.FoodPost:
    """A food post that is good as it is."""
    fields: dict[str, Any] = {
        "title": "Lentil soup",
        "group_id": new_uuid(),
        "sharing_mode": "community",
        "portions": 3,
        "pickup_time": in_hours(2),
        "giver_id": new_uuid(),
    }
    return resources.FoodPost(**(fields | changes))


def a_creation(request_id: str = "", **changes: Any) -> messages.CreateFoodPostRequest:
    return messages.CreateFoodPostRequest(food_post=a_food_post(**changes), request_id=request_id or new_uuid())


def a_closing(post: resources.FoodPost, actor_id: str = "") -> messages.CloseFoodPostRequest:
    """By its giver, unless another is named."""
    return messages.CloseFoodPostRequest(
        food_post_id=post.food_post_id, actor_id=actor_id or post.giver_id, request_id=new_uuid()
    )


def a_claim(food_post_id: str, user_id: str = "", portions: int = 1, request_id: str = "") -> messages.ClaimFoodRequest:
    return messages.ClaimFoodRequest(
        food_post_id=food_post_id,
        user_id=user_id or new_uuid(),
        portions=portions,
        request_id=request_id or new_uuid(),
    )


def a_confirmation(exchange: resources.Exchange, actor_id: str = "") -> messages.ConfirmExchangeRequest:
    """By the receiver, unless another is named; so with the other steps."""
    return messages.ConfirmExchangeRequest(
        exchange_id=exchange.exchange_id, actor_id=actor_id or exchange.receiver_id, request_id=new_uuid()
    )


def a_completion(exchange: resources.Exchange, actor_id: str = "") -> messages.CompleteExchangeRequest:
    return messages.CompleteExchangeRequest(
        exchange_id=exchange.exchange_id, actor_id=actor_id or exchange.receiver_id, request_id=new_uuid()
    )


def a_cancellation(exchange: resources.Exchange, actor_id: str = "") -> messages.CancelExchangeRequest:
    return messages.CancelExchangeRequest(
        exchange_id=exchange.exchange_id, actor_id=actor_id or exchange.receiver_id, request_id=new_uuid()
    )


def a_rating(
    exchange: resources.Exchange, rater_id: str = "", stars: int = 5, comment: str = "Delicious."
) -> messages.RateExchangeRequest:
    return messages.RateExchangeRequest(
        exchange_id=exchange.exchange_id,
        rater_id=rater_id or exchange.receiver_id,
        stars=stars,
        comment=comment,
        request_id=new_uuid(),
    )


class Food:
    """The stub, and builders of what tests need first."""

    def __init__(self, stub: "ExchangeServiceAsyncStub") -> None:
        self.stub = stub

    async def create(self, **changes: Any) -> resources.FoodPost:
        return (await self.stub.CreateFoodPost(a_creation(**changes))).food_post

    async def get(self, food_post_id: str) -> resources.FoodPost:
        return (await self.stub.GetFoodPost(messages.GetFoodPostRequest(food_post_id=food_post_id))).food_post

    async def close(self, post: resources.FoodPost) -> messages.CloseFoodPostResponse:
        return await self.stub.CloseFoodPost(a_closing(post))

    async def portions(self, food_post_id: str) -> tuple[int, int, int]:
        """Remaining, held and claimed ones."""
        post = await self.get(food_post_id)
        return post.portions_remaining, post.portions_held, post.portions_claimed

    async def listed(self, **asked: Any) -> list[str]:
        """Ids of the posts that are listed, all pages of them."""
        found, request = [], messages.ListFoodPostsRequest(**asked)
        while True:
            page = await self.stub.ListFoodPosts(request)
            found += [post.food_post_id for post in page.food_posts]
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return found

    async def claim(self, food_post_id: str, user_id: str = "", portions: int = 1) -> resources.Exchange:
        return (await self.stub.ClaimFood(a_claim(food_post_id, user_id, portions))).exchange

    async def exchange(self, exchange_id: str) -> resources.Exchange:
        return (await self.stub.GetExchange(messages.GetExchangeRequest(exchange_id=exchange_id))).exchange

    async def status(self, exchange: resources.Exchange) -> resources.ExchangeStatus.ValueType:
        return (await self.exchange(exchange.exchange_id)).status

    async def confirm(self, exchange: resources.Exchange) -> resources.Exchange:
        return (await self.stub.ConfirmExchange(a_confirmation(exchange))).exchange

    async def complete(self, exchange: resources.Exchange) -> resources.Exchange:
        return (await self.stub.CompleteExchange(a_completion(exchange))).exchange

    async def cancel(self, exchange: resources.Exchange) -> resources.Exchange:
        return (await self.stub.CancelExchange(a_cancellation(exchange))).exchange

    async def completed(self, food_post_id: str = "") -> resources.Exchange:
        """An exchange that came to its end, of a post of its own unless one is given."""
        exchange = await self.claim(food_post_id or (await self.create()).food_post_id)
        await self.confirm(exchange)
        return await self.complete(exchange)


@asynccontextmanager
async def food_service(database_url: str, **settings: object) -> AsyncIterator[Food]:
    """A service that does not look for overdue holds by itself, unless told otherwise."""
    async with claims_channel(database_url, **({"claims_expiry_seconds": 3600.0} | settings)) as channel:
        yield Food(ExchangeServiceStub(channel))


async def let_holds_end(db: Connection, *exchanges: resources.Exchange) -> None:
    """Moves the ends of these holds into the past."""
    moved = await db.execute(
        "UPDATE claims.exchanges SET hold_expire_time = now() - interval '1 second' WHERE exchange_id = ANY($1::uuid[])",
        [exchange.exchange_id for exchange in exchanges],
    )
    assert moved == f"UPDATE {len(exchanges)}"


async def food_adds_up(db: Connection) -> None:
    """Fails where portions were lost, made or promised twice, or where a counter differs from its rows."""
    for counter in (*FOOD_STOCK.counters, EXCHANGES_COMPLETED):
        found = await survey(Snapshot(db), counter)  # type: ignore[arg-type]  # any connection reads
        assert not found.discrepancies, (counter.name, found.discrepancies)
    wrong = await db.fetch("""
        SELECT * FROM claims.food_posts
        WHERE portions_remaining::bigint + portions_held + portions_claimed <> portions
    """)
    assert not wrong, wrong
    wrong = await db.fetch("""
        SELECT e.exchange_id, e.status, array_agg(s.status) FROM claims.exchanges e
        LEFT JOIN claims.exchange_steps s USING (food_id, exchange_id)
        GROUP BY e.food_id, e.exchange_id
        HAVING count(*) FILTER (WHERE s.status = e.status) <> 1
            OR count(*) FILTER (WHERE s.status IN ('completed', 'cancelled', 'expired')) > 1
    """)
    assert not wrong, wrong
