"""One failure of a shared transaction is raised to many callers: each gets an error of its own."""

import copy

import pytest

from libs.data.errors import FieldViolation, Halted, InvalidInput, OutcomeUnknown, ResourceExhausted, TallyError


@pytest.mark.parametrize(
    "error",
    [
        Halted(),
        OutcomeUnknown(),
        ResourceExhausted("too many", retry_after_seconds=0.5),
        InvalidInput([FieldViolation("request_id", "was used before")], reason="REQUEST_ID_REUSED"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_copied_error_says_the_same_whatever_its_constructor_takes(error: TallyError) -> None:
    error.__cause__ = OSError("the driver's words")
    twin = copy.copy(error)
    assert type(twin) is type(error)
    assert str(twin) == str(error)
    assert vars(twin) == vars(error)
    assert twin.reason == error.reason
    assert twin.__cause__ is None
