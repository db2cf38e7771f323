"""When a job that failed is tried again."""

import pytest

from libs.jobs.backoff import BackOff

TRIES = 500


@pytest.mark.parametrize("attempts", [1, 2, 3, 5, 10, 1000])
def test_every_pause_is_between_thirty_seconds_and_ten_minutes(attempts: int) -> None:
    pauses = [BackOff().pause(attempts) for _ in range(TRIES)]
    assert min(pauses) >= 30.0 and max(pauses) <= 600.0


def test_pauses_grow_with_every_attempt_until_they_are_as_long_as_they_may_be() -> None:
    longest = [max(BackOff().pause(attempts) for _ in range(TRIES)) for attempts in range(1, 7)]
    for pause, at_most in zip(longest, [60, 120, 240, 480, 600, 600], strict=True):
        assert at_most * 0.9 < pause <= at_most


def test_jobs_that_failed_together_do_not_come_back_together() -> None:
    pauses = sorted(BackOff().pause(3) for _ in range(TRIES))
    assert pauses[-1] - pauses[0] > 90.0
    assert len({round(pause, 6) for pause in pauses}) > TRIES * 0.9
