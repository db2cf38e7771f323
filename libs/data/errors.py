"""The errors Tally knows, each one kind of answer to a caller.

Services and `libs.data` raise these and nothing else on purpose; `libs.rpc.status` maps each class to its canonical gRPC
code. The `reason` is the name of a `tally.common.v1.ErrorReason` without its prefix. Messages are for callers: they
never quote the database driver.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self


class TallyError(Exception):
    """Base of everything a caller can be told.

    Args:
        message: one sentence for the caller.
        metadata: facts a machine can use, such as the ordinal of the signature that is already there.
    """

    reason = "INTERNAL"

    def __init__(self, message: str, *, reason: str | None = None, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = dict(metadata or {})
        if reason is not None:
            self.reason = reason

    def __copy__(self) -> Self:
        """The same error to raise to another caller, without traceback or cause; whatever a subclass's `__init__` takes."""
        twin = type(self).__new__(type(self), *self.args)
        twin.__dict__.update(self.__dict__)
        return twin


def shown_time(moment: datetime) -> str:
    """As errors tell it: in the form that JSON has for a Timestamp."""
    return moment.isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One bad field: its path as in the proto (`petition.title`), what is wrong, and the rule that says so."""

    field: str
    description: str
    rule: str = ""


class InvalidInput(TallyError):
    """The request itself is wrong, whatever is stored; names every bad field. Nothing was stored."""

    reason = "INVALID_FIELDS"

    def __init__(self, violations: Sequence[FieldViolation], *, reason: str | None = None) -> None:
        fields = "; ".join(f"{violation.field}: {violation.description}" for violation in violations)
        super().__init__(f"invalid request: {fields}", reason=reason)
        self.violations = tuple(violations)


class NotFound(TallyError):
    """What the request names does not exist."""

    reason = "RESOURCE_NOT_FOUND"


class AlreadyExists(TallyError):
    """What the request would create is there already."""


class FailedPrecondition(TallyError):
    """Right request, wrong state; repeating does not help until the state changes."""


class Halted(FailedPrecondition):
    """An operator has halted all writes."""

    reason = "HALTED"

    def __init__(self) -> None:
        super().__init__("all writes are halted by an operator")


class PermissionDenied(TallyError):
    """The caller may not do this."""

    reason = "PERMISSION_DENIED"


class Unauthenticated(TallyError):
    """The caller did not show who it is."""

    reason = "UNAUTHENTICATED"


class ResourceExhausted(TallyError):
    """A bound is reached; come back after `retry_after_seconds`. Nothing was stored."""

    reason = "QUEUE_FULL"

    def __init__(self, message: str, *, retry_after_seconds: float, reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(TallyError):
    """Try again, perhaps elsewhere. Nothing was stored."""

    reason = "SHUTTING_DOWN"
    retry_after_seconds = 1.0


class DatabaseUnavailable(Unavailable):
    """The database could not be reached or cut the transaction off before its commit was sent. Nothing was stored."""

    reason = "DATABASE_UNAVAILABLE"

    def __init__(self, message: str = "the database is not available; nothing was stored") -> None:
        super().__init__(message)


class OutcomeUnknown(Unavailable):
    """The commit was sent and its answer lost: stored or not, nobody here knows. Repeat with the same `request_id`."""

    reason = "OUTCOME_UNKNOWN"

    def __init__(self) -> None:
        super().__init__("the outcome is unknown; repeat with the same request_id to learn it")


class DeadlineExceeded(TallyError):
    """The caller's time is over. Of a write, nothing was stored."""

    reason = "DEADLINE_EXCEEDED"

    def __init__(self, message: str = "the deadline passed before the work was done") -> None:
        super().__init__(message)


class Internal(TallyError):
    """A defect of the server; the log has the cause, the caller does not."""

    reason = "INTERNAL"

    def __init__(self, message: str = "internal error") -> None:
        super().__init__(message)
