"""Tally's client for other teams: channels, deadlines, typed errors and safe repeats around the generated stubs.

with Client() as tally:
    answer = tally.call(tally.petitions.CoSign, CoSignRequest(petition_id=…, user_id=…))

async with AsyncClient(Addresses(petition="petition:50051")) as tally:
    answer = await tally.call(tally.petitions.CoSign, request, timeout=2)
"""

from tally_client.addresses import Addresses
from tally_client.asynchronous import AsyncClient
from tally_client.errors import (
    Aborted,
    AlreadyExists,
    Cancelled,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    Internal,
    InvalidArgument,
    NotFound,
    OutcomeUnknown,
    PermissionDenied,
    ResourceExhausted,
    TallyError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    from_rpc_error,
    from_status,
)
from tally_client.repeats import Repeats
from tally_client.synchronous import Client

__all__ = [
    "Aborted",
    "Addresses",
    "AlreadyExists",
    "AsyncClient",
    "Cancelled",
    "Client",
    "DeadlineExceeded",
    "FailedPrecondition",
    "FieldViolation",
    "Internal",
    "InvalidArgument",
    "NotFound",
    "OutcomeUnknown",
    "PermissionDenied",
    "Repeats",
    "ResourceExhausted",
    "TallyError",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "from_rpc_error",
    "from_status",
]
