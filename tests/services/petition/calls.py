"""A good request of every RPC, for tests that make one thing about it bad."""

from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from tally.petition.v1 import petition_service_pb2 as messages

from tests.services.petition.people import Petitions, a_petition, a_signature, new_uuid


@dataclass(frozen=True)
class World:
    """Ids that good requests name."""

    petition_id: str
    submitter_id: str
    signer: str


async def a_world(petitions: Petitions) -> World:
    created = await petitions.create()
    (signer,) = await petitions.signed_by(created.petition_id, 1)
    return World(created.petition_id, created.submitter_id, signer)


def an_invalidation(world: World) -> messages.InvalidateCoSignsRequest:
    return messages.InvalidateCoSignsRequest(
        petition_id=world.petition_id,
        users=messages.UserSelection(user_ids=[world.signer]),
        reason="bought",
        request_id=new_uuid(),
    )


def an_invalidation_by_time(world: World) -> messages.InvalidateCoSignsRequest:
    request = an_invalidation(world)
    request.signed_window.CopyFrom(messages.TimeWindow(start_time=Timestamp(seconds=1), end_time=Timestamp(seconds=2)))
    return request


# What changes something, each a good request that would be stored.
WRITES: dict[str, Callable[[World], Message]] = {
    "CreatePetition": lambda world: messages.CreatePetitionRequest(petition=a_petition(), request_id=new_uuid()),
    "ClosePetition": lambda world: messages.ClosePetitionRequest(petition_id=world.petition_id, request_id=new_uuid()),
    "WithdrawPetition": lambda world: messages.WithdrawPetitionRequest(
        petition_id=world.petition_id, submitter_id=world.submitter_id, request_id=new_uuid()
    ),
    "CoSign": lambda world: a_signature(world.petition_id),
    "BatchCoSign": lambda world: messages.BatchCoSignRequest(requests=[a_signature(world.petition_id)]),
    "WithdrawCoSign": lambda world: messages.WithdrawCoSignRequest(
        petition_id=world.petition_id, user_id=world.signer, request_id=new_uuid()
    ),
    "InvalidateCoSigns": an_invalidation,
}
READS: dict[str, Callable[[World], Message]] = {
    "GetPetition": lambda world: messages.GetPetitionRequest(petition_id=world.petition_id),
    "ListPetitions": lambda world: messages.ListPetitionsRequest(),
    "GetCoSignerCount": lambda world: messages.GetCoSignerCountRequest(petition_id=world.petition_id),
    "ListCoSigners": lambda world: messages.ListCoSignersRequest(petition_id=world.petition_id),
    "ListEscalations": lambda world: messages.ListEscalationsRequest(petition_id=world.petition_id),
    "VerifyCoSignerCount": lambda world: messages.VerifyCoSignerCountRequest(petition_id=world.petition_id),
}
