"""A petition service as its tests talk to it: short words for the calls they make most."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tally.petition.v1 import petition_pb2 as resources
from tally.petition.v1 import petition_service_pb2 as messages
from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceStub

from services.petition.__main__ import compose
from services.petition.settings import PetitionSettings
from tests.servers import channel_to, quick

if TYPE_CHECKING:  # in the stubs only
    from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceAsyncStub


def new_uuid() -> str:
    return str(uuid4())


def a_petition(**changes: Any) -> resources.Petition:
    """A petition that is good as it is."""
    fields: dict[str, Any] = {
        "title": "Plant trees on Main Street",
        "body": "It is hot there.\nAnd trees are nice.",
        "petition_type": "local",
        "submitter_id": new_uuid(),
        "escalation_thresholds": [2, 4],
    }
    return resources.Petition(**(fields | changes))


class Petitions:
    """The stub, and builders of what tests need first."""

    def __init__(self, stub: "PetitionServiceAsyncStub") -> None:
        self.stub = stub

    async def create(self, **changes: Any) -> resources.Petition:
        request = messages.CreatePetitionRequest(petition=a_petition(**changes), request_id=new_uuid())
        return (await self.stub.CreatePetition(request)).petition

    async def sign(
        self, petition_id: str, user_id: str = "", *, region_code: str = "", request_id: str = ""
    ) -> messages.CoSignResponse:
        return await self.stub.CoSign(a_signature(petition_id, user_id, region_code=region_code, request_id=request_id))

    async def signed_by(self, petition_id: str, people: int, *, region_code: str = "") -> list[str]:
        """The users, in order of their ordinals; signed in one batch at a time."""
        users = [new_uuid() for _ in range(people)]
        for start in range(0, people, 1000):
            requests = [a_signature(petition_id, user, region_code=region_code) for user in users[start : start + 1000]]
            answer = await self.stub.BatchCoSign(messages.BatchCoSignRequest(requests=requests))
            assert all(result.HasField("co_sign") for result in answer.results)
        return users

    async def withdraw_signature(
        self, petition_id: str, user_id: str, request_id: str = ""
    ) -> messages.WithdrawCoSignResponse:
        return await self.stub.WithdrawCoSign(
            messages.WithdrawCoSignRequest(
                petition_id=petition_id, user_id=user_id, request_id=request_id or new_uuid()
            )
        )

    async def invalidate(self, petition_id: str, users: Iterable[str]) -> messages.InvalidateCoSignsResponse:
        return await self.stub.InvalidateCoSigns(
            messages.InvalidateCoSignsRequest(
                petition_id=petition_id,
                users=messages.UserSelection(user_ids=users),
                reason="bought",
                request_id=new_uuid(),
            )
        )

    async def close(self, petition_id: str) -> messages.ClosePetitionResponse:
        return await self.stub.ClosePetition(
            messages.ClosePetitionRequest(petition_id=petition_id, request_id=new_uuid())
        )

    async def withdraw(self, petition: resources.Petition) -> messages.WithdrawPetitionResponse:
        return await self.stub.WithdrawPetition(
            messages.WithdrawPetitionRequest(
                petition_id=petition.petition_id, submitter_id=petition.submitter_id, request_id=new_uuid()
            )
        )

    async def count(self, petition_id: str) -> int:
        answer = await self.stub.GetCoSignerCount(messages.GetCoSignerCountRequest(petition_id=petition_id))
        return answer.count.value

    async def escalations(self, petition_id: str) -> list[tuple[str, int, int, int]]:
        """Kind, threshold, count after and ordinal of each passing, in the order they happened."""
        answer = await self.stub.ListEscalations(messages.ListEscalationsRequest(petition_id=petition_id))
        names = {resources.ESCALATION_KIND_CROSSED: "crossed", resources.ESCALATION_KIND_REVERSED: "reversed"}
        return [(names[e.kind], e.threshold, e.co_signer_count, e.ordinal) for e in answer.escalations]

    async def stream(self, requests: Iterable[messages.CoSignRequest]) -> list[messages.CoSignResult]:
        call = self.stub.StreamCoSigns(messages.StreamCoSignsRequest(request=request) for request in requests)
        return [message.result async for message in call]


def a_signature(
    petition_id: str, user_id: str = "", *, region_code: str = "", request_id: str = ""
) -> messages.CoSignRequest:
    return messages.CoSignRequest(
        petition_id=petition_id,
        user_id=user_id or new_uuid(),
        region_code=region_code,
        request_id=request_id or new_uuid(),
    )


@asynccontextmanager
async def petition_service(database_url: str, **settings: object) -> AsyncIterator[Petitions]:
    """A petition service on this database, with the rights it has in production."""
    made = quick(PetitionSettings, database_url, "tally_petition", **settings)
    async with channel_to("petition", made, compose) as channel:
        yield Petitions(PetitionServiceStub(channel))
