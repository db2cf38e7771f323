"""The one table from Tally's errors to gRPC statuses, and the message that carries one to the caller.

Every error a caller sees has a canonical code, and a `google.rpc.ErrorInfo` (domain `tally`) whose reason is the name
of a `tally.common.v1.ErrorReason` without its prefix. Bad fields travel as `google.rpc.BadRequest`, when to come back
as `google.rpc.RetryInfo`.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from libs.data import errors

DOMAIN = "tally"
MOST_KEPT = 256

_MOST_FIELD_BYTES = 3_500
_MOST_MESSAGE_CHARACTERS = 500

CODES: dict[type[errors.TallyError], grpc.StatusCode] = {
    errors.InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.ResourceExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.Internal: grpc.StatusCode.INTERNAL,
}


def code_of(error: BaseException) -> grpc.StatusCode:
    """The canonical code of an error; INTERNAL for whatever the table does not know."""
    for ancestor in type(error).__mro__:
        if (code := CODES.get(ancestor)) is not None:
            return code
    return grpc.StatusCode.INTERNAL


def to_proto(error: BaseException) -> status_pb2.Status:
    """The `google.rpc.Status` of an error: what a unary call answers, and an item of a batch.

    Of an exception that is not a TallyError nothing is told but that the server has a defect. A status travels in HTTP/2
    headers, which clients take up to 8 KiB of: of very many bad fields the first are named, and the metadata
    `omitted_fields` says how many were left out.
    """
    status = status_pb2.Status()
    status.CopyFrom(_answer(error).proto)
    return status


def to_grpc(error: BaseException) -> grpc.Status:
    """What `ServicerContext.abort_with_status` takes."""
    return _answer(error).grpc


class _Answer(NamedTuple):
    """Shared by all that are answered alike: not to be changed."""

    proto: status_pb2.Status
    grpc: grpc.Status


def _answer(error: BaseException) -> _Answer:
    known = error if isinstance(error, errors.TallyError) else errors.Internal()
    code, message, metadata = code_of(known).value[0], shortened(known.message), tuple(known.metadata.items())
    retry_after = getattr(known, "retry_after_seconds", None)
    if isinstance(known, errors.InvalidInput):
        return _made(code, known.reason, message, metadata, retry_after, known.violations)
    return _kept(code, known.reason, message, metadata, retry_after)


def _made(
    code: int,
    reason: str,
    message: str,
    metadata: tuple[tuple[str, str], ...],
    retry_after: float | None,
    violations: Sequence[errors.FieldViolation] | None = None,
) -> _Answer:
    info = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=dict(metadata))
    details: list[Message] = [info]
    if violations is not None:
        bad_request = _bad_request(violations)
        details.append(bad_request)
        if omitted := len(violations) - len(bad_request.field_violations):
            info.metadata["omitted_fields"] = str(omitted)
    if retry_after is not None:
        delay = Duration()
        delay.FromNanoseconds(int(retry_after * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(code=code, message=message)
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return _Answer(status, rpc_status.to_status(status))


# A rush is refused with the same words over and over; to make them anew was a twentieth of the server's time. Bad input stays
# out: it may be large, and is seldom the same twice.
_kept = lru_cache(MOST_KEPT)(_made)


def kept() -> int:
    """How many statuses are kept, at most `MOST_KEPT`."""
    return _kept.cache_info().currsize


def code_name(status: status_pb2.Status) -> str:
    """Of a status proto, its canonical code's name, such as `ALREADY_EXISTS`."""
    return str(code_pb2.Code.Name(status.code))


def _bad_request(violations: Sequence[errors.FieldViolation]) -> error_details_pb2.BadRequest:
    bad_request = error_details_pb2.BadRequest()
    for violation in violations:
        bad_request.field_violations.add(
            field=violation.field, description=violation.description, reason=_rule_reason(violation.rule)
        )
        if bad_request.ByteSize() > _MOST_FIELD_BYTES:
            del bad_request.field_violations[-1]
            break
    return bad_request


def _rule_reason(rule: str) -> str:
    """`string.min_len` as the UPPER_SNAKE_CASE that BadRequest asks of a reason."""
    return rule.replace(".", "_").upper()


def shortened(message: str) -> str:
    """A message as it is told and logged: thousands of bad fields would make one of a megabyte."""
    return message if len(message) <= _MOST_MESSAGE_CHARACTERS else message[: _MOST_MESSAGE_CHARACTERS - 1] + "…"
