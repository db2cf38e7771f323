"""A good request of every RPC of exchanges, for tests that make one thing about it bad."""

from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import Message
from tally.claims.v1 import exchange_pb2 as resources
from tally.claims.v1 import exchange_service_pb2 as messages

from tests.services.claims.food import (
    Food,
    a_cancellation,
    a_claim,
    a_closing,
    a_completion,
    a_confirmation,
    a_creation,
    a_rating,
)


@dataclass(frozen=True)
class World:
    """What good requests name: a post with portions left, and an exchange of it in each status."""

    post: resources.FoodPost
    pending: resources.Exchange
    confirmed: resources.Exchange
    completed: resources.Exchange


async def a_world(food: Food) -> World:
    post = await food.create(portions=1_000)
    return World(
        post,
        await food.claim(post.food_post_id),
        await food.confirm(await food.claim(post.food_post_id)),
        await food.completed(post.food_post_id),
    )


# What changes something, each a good request that would be stored.
WRITES: dict[str, Callable[[World], Message]] = {
    "CreateFoodPost": lambda world: a_creation(),
    "CloseFoodPost": lambda world: a_closing(world.post),
    "ClaimFood": lambda world: a_claim(world.post.food_post_id),
    "ConfirmExchange": lambda world: a_confirmation(world.pending),
    "CompleteExchange": lambda world: a_completion(world.confirmed),
    "CancelExchange": lambda world: a_cancellation(world.pending),
    "RateExchange": lambda world: a_rating(world.completed),
}
READS: dict[str, Callable[[World], Message]] = {
    "GetFoodPost": lambda world: messages.GetFoodPostRequest(food_post_id=world.post.food_post_id),
    "ListFoodPosts": lambda world: messages.ListFoodPostsRequest(group_id=world.post.group_id),
    "GetExchange": lambda world: messages.GetExchangeRequest(exchange_id=world.pending.exchange_id),
    "ListExchanges": lambda world: messages.ListExchangesRequest(food_post_id=world.post.food_post_id),
    "ListExchanges of a giver": lambda world: messages.ListExchangesRequest(giver_id=world.post.giver_id),
    "ListExchanges of a receiver": lambda world: messages.ListExchangesRequest(receiver_id=world.pending.receiver_id),
}
