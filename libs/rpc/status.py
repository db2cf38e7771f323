"""The one table from Tally's errors to gRPC statuses, and the message that carries one to the caller.

Every error a caller sees has a canonical code, and a `google.rpc.ErrorInfo` (domain `tally`) whose reason is the name
of a `tally.common.v1.ErrorReason` without its prefix. Bad fields travel as `google.rpc.BadRequest`, when to come back
as `google.rpc.RetryInfo`.
"""

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from libs.data import errors

DOMAIN = "tally"

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
    known = error if isinstance(error, errors.TallyError) else errors.Internal()
    info = error_details_pb2.ErrorInfo(reason=known.reason, domain=DOMAIN, metadata=known.metadata)
    details: list[Message] = [info]
    if isinstance(known, errors.InvalidInput):
        bad_request = _bad_request(known)
        details.append(bad_request)
        if omitted := len(known.violations) - len(bad_request.field_violations):
            info.metadata["omitted_fields"] = str(omitted)
    retry_after = getattr(known, "retry_after_seconds", None)
    if retry_after is not None:
        delay = Duration()
        delay.FromNanoseconds(int(retry_after * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(code=code_of(known).value[0], message=shortened(known.message))
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def to_grpc(error: BaseException) -> grpc.Status:
    """What `ServicerContext.abort_with_status` takes."""
    return rpc_status.to_status(to_proto(error))


def code_name(status: status_pb2.Status) -> str:
    """Of a status proto, its canonical code's name, such as `ALREADY_EXISTS`."""
    return str(code_pb2.Code.Name(status.code))


def _bad_request(error: errors.InvalidInput) -> error_details_pb2.BadRequest:
    bad_request = error_details_pb2.BadRequest()
    for violation in error.violations:
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
