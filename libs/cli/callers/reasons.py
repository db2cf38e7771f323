"""Why a call or an item of a batch was refused."""

from functools import lru_cache

import grpc.aio
from google.rpc import error_details_pb2, status_pb2

_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


def reason(error: grpc.aio.AioRpcError | grpc.Call) -> str:
    """Code and reason of a call that failed, such as `ALREADY_EXISTS ALREADY_SIGNED`."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            return _reason_in(value)
    return str(error.code().name)


@lru_cache
def _reason_in(details: bytes) -> str:
    """A rush is refused with the same bytes over and over, and who measures it must not be what takes time."""
    return reason_of(status_pb2.Status.FromString(details))


def reason_of(status: status_pb2.Status) -> str:
    """The same of an item's status."""
    info = error_details_pb2.ErrorInfo()
    code = _CODES.get(status.code, str(status.code))
    for detail in status.details:
        if detail.Unpack(info):
            return f"{code} {info.reason}"
    return code
