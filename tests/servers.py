"""Services in the test's own process, on the test's own database, and what calls to them answer."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2

from libs.data.settings import DatabaseSettings
from libs.rpc.server import Composition, serving
from libs.rpc.settings import ServerSettings

S = TypeVar("S", bound=ServerSettings)


def quick(settings: type[S], url: str, role: str = "", **more: object) -> S:
    """Settings for a server that starts and stops at once; `more` overrides. Of the database, the URL and role are given."""
    database = DatabaseSettings(database_url=url, database_role=role)
    given: dict[str, Any] = {
        "listen": "127.0.0.1:0",
        "metrics_listen": "",
        "drain_pause_seconds": 0.0,
        "log_call_ratio": 0.0,
        "database": database,
    }
    return settings(**(given | more))


@asynccontextmanager
async def channel_to(
    name: str, settings: S, compose: Callable[[S], AbstractAsyncContextManager[Composition]]
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a service of its own that ends with the context."""
    async with serving(name, settings, compose) as server, grpc.aio.insecure_channel(server.address) as channel:
        yield channel


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a call or an item of a batch was refused with.

    Args:
        fields: the paths of bad fields, in the order of the answer.
        retry_after: seconds; None where the answer does not say.
    """

    code: str
    reason: str
    message: str
    metadata: dict[str, str]
    fields: list[str]
    retry_after: float | None

    @property
    def said(self) -> tuple[str, str]:
        """Code and reason."""
        return self.code, self.reason


def refusal(status: status_pb2.Status) -> Refusal:
    """What a status says; every error must carry an ErrorInfo of Tally's."""
    info, fields, retry_after = None, [], None
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            detail.Unpack(bad)
            fields = [violation.field for violation in bad.field_violations]
            assert all(violation.description for violation in bad.field_violations)
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            detail.Unpack(retry)
            retry_after = retry.retry_delay.ToNanoseconds() / 1e9
    assert info is not None and info.domain == "tally", f"an error without its ErrorInfo: {status}"
    code = next(code.name for code in grpc.StatusCode if code.value[0] == status.code)
    return Refusal(code, info.reason, status.message, dict(info.metadata), fields, retry_after)


async def refused(call: Awaitable[object]) -> Refusal:
    """What a call that must fail was refused with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return refusal_of(caught.value)


def refusal_of(error: grpc.aio.AioRpcError) -> Refusal:
    """What a call that failed was refused with."""
    packed = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    assert isinstance(packed, bytes), f"an error without details: {error.code()} {error.details()}"
    status = status_pb2.Status.FromString(packed)
    assert (status.code, status.message) == (error.code().value[0], error.details())
    return refusal(status)
