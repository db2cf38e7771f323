"""Statuses that are kept, because many callers are answered alike."""

from libs.data import errors
from libs.rpc import status


def told(error: errors.TallyError) -> bytes:
    (_, details), *_ = status.to_grpc(error).trailing_metadata
    assert isinstance(details, bytes)
    return details


def test_equal_errors_are_answered_by_the_very_same_status() -> None:
    first, second = (errors.FailedPrecondition("nothing is left", reason="OUT_OF_STOCK") for _ in range(2))
    assert status.to_grpc(first) is status.to_grpc(second)


def test_errors_that_differ_in_anything_a_caller_is_told_are_told_apart() -> None:
    different = [
        errors.AlreadyExists("twice", reason="ALREADY_SIGNED", metadata={"ordinal": "1"}),
        errors.AlreadyExists("twice", reason="ALREADY_SIGNED", metadata={"ordinal": "2"}),
        errors.AlreadyExists("twice", reason="ALREADY_CLAIMED", metadata={"ordinal": "1"}),
        errors.AlreadyExists("again", reason="ALREADY_SIGNED", metadata={"ordinal": "1"}),
        errors.NotFound("twice", reason="ALREADY_SIGNED", metadata={"ordinal": "1"}),
        errors.ResourceExhausted("full", retry_after_seconds=0.5),
        errors.ResourceExhausted("full", retry_after_seconds=0.25),
        errors.InvalidInput([errors.FieldViolation("a", "is bad", "string.min_len")]),
        errors.InvalidInput([errors.FieldViolation("a", "is bad", "string.max_len")]),
    ]
    assert len({told(error) for error in different}) == len(different)


def test_a_status_may_be_changed_by_whoever_asked_for_it() -> None:
    error = errors.NotFound("nobody", reason="PETITION_NOT_FOUND")
    status.to_proto(error).message = "somebody"
    assert status.to_proto(error).message == "nobody"


def test_what_is_kept_is_bounded_and_is_not_bad_input() -> None:
    before = status.kept()
    status.to_grpc(errors.InvalidInput([errors.FieldViolation("a", "is bad")]))
    assert status.kept() == before
    for number in range(1_000):
        status.to_grpc(errors.NotFound(f"there is no petition {number}"))
    assert status.kept() == status.MOST_KEPT
