"""Channels to a service, and what becomes of the calls made over them, whatever happens to them."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import grpc
import grpc.aio
from google.rpc import code_pb2, error_details_pb2, status_pb2

R = TypeVar("R")

# Reconnects at once, so that a test does not wait out a back-off made for networks; one connection a channel.
CHANNEL_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.enable_retries", 0),
)


def open_channel(target: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)


async def answer_of(call: Awaitable[R], give_up_after: float | None = None) -> R | status_pb2.Status:
    """The response, or the status that the call ended with.

    Args:
        give_up_after: cancels a call that is not answered in so many seconds.
    """
    calling = asyncio.ensure_future(call)
    done, _ = await asyncio.wait({calling}, timeout=give_up_after)
    if not done:
        calling.cancel()
        await asyncio.wait({calling})
    if calling.cancelled():
        return status_pb2.Status(code=code_pb2.CANCELLED)
    error = calling.exception()
    return failure(error) if isinstance(error, grpc.aio.AioRpcError) else calling.result()


def failure(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    """With its details, if the service sent any."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            return status_pb2.Status.FromString(value)
    return status_pb2.Status(code=error.code().value[0], message=error.details() or "")


def reason_of(status: status_pb2.Status) -> tuple[str, dict[str, str]]:
    """The reason and the metadata of the error's ErrorInfo; empty where there is none."""
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info.reason, dict(info.metadata)
    return "", {}
