"""An operations service as its tests talk to it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tally.operations.v1 import operations_service_pb2 as messages
from tally.operations.v1.operations_service_pb2_grpc import OperationsServiceStub

from libs.jobs.settings import JobSettings
from services.operations.__main__ import compose
from services.operations.settings import OperationsSettings
from tests.servers import channel_to, quick
from tests.services.petition.people import new_uuid

if TYPE_CHECKING:  # in the stubs only
    from tally.operations.v1.operations_service_pb2_grpc import OperationsServiceAsyncStub


class Operator:
    """The stub, and the calls tests make most."""

    def __init__(self, stub: "OperationsServiceAsyncStub") -> None:
        self.stub = stub

    async def halt(
        self, reason: str = "drill", actor: str = "ada", request_id: str = "", timeout: float = 20
    ) -> messages.HaltResponse:
        request = messages.HaltRequest(reason=reason, actor=actor, request_id=request_id or new_uuid())
        return await self.stub.Halt(request, timeout=timeout)

    async def resume(self, reason: str = "", actor: str = "", request_id: str = "") -> messages.ResumeResponse:
        request = messages.ResumeRequest(reason=reason, actor=actor, request_id=request_id or new_uuid())
        return await self.stub.Resume(request)

    async def verify(
        self, counter: str, resource_ids: Sequence[str] = (), page_size: int = 0, page_token: str = ""
    ) -> messages.VerifyCountersResponse:
        return await self.stub.VerifyCounters(
            messages.VerifyCountersRequest(
                counter=counter, resource_ids=resource_ids, page_size=page_size, page_token=page_token
            )
        )

    async def repair(self, counter: str, resource_id: str, request_id: str = "") -> messages.RepairCounterResponse:
        return await self.stub.RepairCounter(
            messages.RepairCounterRequest(counter=counter, resource_id=resource_id, request_id=request_id or new_uuid())
        )

    async def status(self) -> messages.GetStatusResponse:
        return await self.stub.GetStatus(messages.GetStatusRequest())


@asynccontextmanager
async def operations_service(database_url: str, **settings: object) -> AsyncIterator[Operator]:
    """An operations service on this database, with the rights it has in production. It works on jobs if `jobs` says so."""
    made = quick(
        OperationsSettings, database_url, "tally_operations", **{"jobs": JobSettings(enabled=False), **settings}
    )
    async with channel_to("operations", made, compose) as channel:
        yield Operator(OperationsServiceStub(channel))
