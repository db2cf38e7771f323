"""What the operations service refuses, each with its reason."""

from libs.data.errors import DeadlineExceeded, FailedPrecondition, NotFound, Unavailable


class NotHalted(FailedPrecondition):
    reason = "NOT_HALTED"

    def __init__(self) -> None:
        super().__init__("writes are not halted")


class WritesStillRun(DeadlineExceeded):
    """The halt is stored, and new writes are refused; some that had begun before may still commit."""

    def __init__(self) -> None:
        super().__init__(
            "writes are halted, but some that had begun before still run; repeat with the same request_id to wait for them"
        )


class WritesMayStillRun(Unavailable):
    """The halt is stored, and new writes are refused; whether some that had begun before still run could not be seen."""

    reason = "DATABASE_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__(
            "writes are halted, but the database did not say whether some that had begun before still run; "
            "repeat with the same request_id to learn it"
        )


class CounterNotFound(NotFound):
    reason = "COUNTER_NOT_FOUND"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no counter {name!r}; ListCounters lists those that are served")


class ResourceNotFound(NotFound):
    reason = "RESOURCE_NOT_FOUND"

    def __init__(self, name: str, resource_id: str) -> None:
        super().__init__(f"counter {name} has no resource {resource_id!r}")


class JobNotFound(NotFound):
    reason = "JOB_NOT_FOUND"

    def __init__(self, job_id: int) -> None:
        super().__init__(f"there is no job {job_id}, or it is not kept any more")


class JobNotFailed(FailedPrecondition):
    reason = "JOB_NOT_FAILED"

    def __init__(self, job_id: int) -> None:
        super().__init__(f"job {job_id} has not failed for good")
