"""A good request of every RPC about users and ledgers, for tests that make one thing about it bad."""

from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import Message
from tally.reputation.v1 import reputation_service_pb2 as messages

from tests.services.reputation.ledgers import Ledgers, a_registration, a_reversal, an_event


@dataclass(frozen=True)
class World:
    """A user that good requests name, and an event of theirs."""

    user_id: str
    event_id: str


async def a_world(ledgers: Ledgers) -> World:
    user_id = await ledgers.register()
    return World(user_id, (await ledgers.record(user_id)).event_id)


# What changes something, each a good request that would be stored.
WRITES: dict[str, Callable[[World], Message]] = {
    "RegisterUser": lambda world: a_registration(),
    "RecordReputationEvent": lambda world: an_event(world.user_id),
    "ReverseReputationEvent": lambda world: a_reversal(world.event_id),
}
READS: dict[str, Callable[[World], Message]] = {
    "GetUser": lambda world: messages.GetUserRequest(user_id=world.user_id),
    "GetReputation": lambda world: messages.GetReputationRequest(user_id=world.user_id),
    "BatchGetReputations": lambda world: messages.BatchGetReputationsRequest(user_ids=[world.user_id]),
    "ListReputationEvents": lambda world: messages.ListReputationEventsRequest(user_id=world.user_id),
    "VerifyReputation": lambda world: messages.VerifyReputationRequest(user_id=world.user_id),
    "ListLeaders": lambda world: messages.ListLeadersRequest(),
}
