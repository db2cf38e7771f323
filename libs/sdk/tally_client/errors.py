"""What a call to Tally can fail with, decoded from its status."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import grpc
from google.rpc import error_details_pb2, status_pb2

_DETAILS_KEY = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One bad field: its path (`requests[3].user_id`), what is wrong, and the rule in UPPER_SNAKE_CASE."""

    field: str
    description: str
    rule: str = ""


class TallyError(Exception):
    """A call that failed.

    Attributes:
        code: the canonical gRPC code.
        reason: a `tally.common.v1.ErrorReason` without its prefix; empty where no Tally server answered.
        message: one sentence for people.
        metadata: facts for machines, such as `ordinal` of ALREADY_SIGNED.
        violations: every bad field of an INVALID_ARGUMENT.
        retry_after: seconds after which a repeat makes sense, where the server said so.
        outcome_unknown: the call was a write and may have been stored; repeating it with the same `request_id` tells.
    """

    code = grpc.StatusCode.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode | None = None,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: Iterable[FieldViolation] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{reason}: {message}" if reason else message)
        self.message = message
        self.code = code or type(self).code
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after = retry_after
        self.outcome_unknown = reason == "OUTCOME_UNKNOWN"


class Cancelled(TallyError):
    code = grpc.StatusCode.CANCELLED


class InvalidArgument(TallyError):
    code = grpc.StatusCode.INVALID_ARGUMENT


class DeadlineExceeded(TallyError):
    code = grpc.StatusCode.DEADLINE_EXCEEDED


class NotFound(TallyError):
    code = grpc.StatusCode.NOT_FOUND


class AlreadyExists(TallyError):
    code = grpc.StatusCode.ALREADY_EXISTS


class PermissionDenied(TallyError):
    code = grpc.StatusCode.PERMISSION_DENIED


class ResourceExhausted(TallyError):
    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class FailedPrecondition(TallyError):
    code = grpc.StatusCode.FAILED_PRECONDITION


class Aborted(TallyError):
    code = grpc.StatusCode.ABORTED


class Unimplemented(TallyError):
    code = grpc.StatusCode.UNIMPLEMENTED


class Internal(TallyError):
    code = grpc.StatusCode.INTERNAL


class Unavailable(TallyError):
    code = grpc.StatusCode.UNAVAILABLE


class OutcomeUnknown(Unavailable):
    """The write was sent and its answer lost. Repeat with the same `request_id` to learn what became of it."""


class Unauthenticated(TallyError):
    code = grpc.StatusCode.UNAUTHENTICATED


_BY_CODE: dict[grpc.StatusCode, type[TallyError]] = {kind.code: kind for kind in TallyError.__subclasses__()}
_BY_REASON: dict[str, type[TallyError]] = {"OUTCOME_UNKNOWN": OutcomeUnknown}
_BY_NUMBER: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


def from_rpc_error(error: grpc.RpcError) -> TallyError:
    """The typed form of what grpc raises, synchronous or asyncio."""
    call: grpc.Call = error  # type: ignore[assignment]  # what is raised of a call is one, too
    for key, value in call.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            return from_status(status_pb2.Status.FromString(value))
    return _BY_CODE.get(call.code(), TallyError)(call.details() or "", code=call.code())


def from_status(status: status_pb2.Status) -> TallyError:
    """The typed form of a status: what a call failed with, or an item of a batch."""
    info, bad_request, retry_info = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
    )
    retry_after = None
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad_request)
        if detail.Unpack(retry_info):
            retry_after = retry_info.retry_delay.ToNanoseconds() / 1e9
    code = _BY_NUMBER.get(status.code, grpc.StatusCode.UNKNOWN)
    kind = _BY_REASON.get(info.reason) or _BY_CODE.get(code, TallyError)
    return kind(
        status.message,
        code=code,
        reason=info.reason,
        metadata=info.metadata,
        violations=[FieldViolation(each.field, each.description, each.reason) for each in bad_request.field_violations],
        retry_after=retry_after,
    )
