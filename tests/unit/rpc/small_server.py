"""A small service behind the full chain, over a real socket."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc.aio
from tally.petition.v1 import petition_service_pb2 as messages
from tally.petition.v1.petition_service_pb2_grpc import (
    PetitionServiceServicer,
    PetitionServiceStub,
    add_PetitionServiceServicer_to_server,
)

from libs.rpc.server import Composition, Registration, serving
from libs.rpc.settings import ServerSettings

if TYPE_CHECKING:
    from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceAsyncStub

DESCRIPTOR = messages.DESCRIPTOR.services_by_name["PetitionService"]


@dataclass(frozen=True)
class Running:
    """A server that runs, and a stub connected to it."""

    address: str
    channel: grpc.aio.Channel
    stub: "PetitionServiceAsyncStub"


def settings(**overrides: Any) -> ServerSettings:
    given: dict[str, Any] = {"listen": "127.0.0.1:0", "metrics_listen": "", "drain_pause_seconds": 0.0}
    return ServerSettings(**(given | overrides))


def completed(servicer: object, generated: type) -> object:
    """The servicer; methods it lacks are left to generated code."""
    own = type(servicer)
    servicer.__class__ = type(own.__name__, (own, generated), {})
    return servicer


def running(
    servicer: object, given: ServerSettings | None = None, **composition: Any
) -> AbstractAsyncContextManager[Running]:
    """Serves the servicer while the context is open; methods it lacks are left to generated code.

    `composition` adds `ready` and `drain`.
    """
    completed(servicer, PetitionServiceServicer)

    @asynccontextmanager
    async def compose(_: ServerSettings) -> AsyncIterator[Composition]:
        registration = Registration(add_PetitionServiceServicer_to_server, servicer, DESCRIPTOR)
        yield Composition(services=[registration], **composition)

    @asynccontextmanager
    async def serve() -> AsyncIterator[Running]:
        async with (
            serving("test", given or settings(), compose) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            yield Running(server.address, channel, PetitionServiceStub(channel))

    return serve()


PETITION_ID = "018f4e6e-7c3a-7000-8000-000000000001"
USER_ID = "018f4e6e-7c3a-7000-8000-000000000002"
REQUEST_ID = "018f4e6e-7c3a-7000-8000-000000000003"


def co_sign(**overrides: str) -> messages.CoSignRequest:
    """A good CoSignRequest, and what is to be different about it."""
    given = {"petition_id": PETITION_ID, "user_id": USER_ID, "request_id": REQUEST_ID}
    return messages.CoSignRequest(**(given | overrides))


def get_petition() -> messages.GetPetitionRequest:
    return messages.GetPetitionRequest(petition_id=PETITION_ID)
