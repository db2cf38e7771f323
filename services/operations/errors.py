"""What the operations service refuses, each with its reason."""

from libs.data.errors import DeadlineExceeded, FailedPrecondition, Unavailable


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
