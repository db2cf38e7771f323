"""The service is killed or told to stop under load."""

import pytest

from tests.chaos.scene import Scene
from tests.concurrency.history import Attempt, History
from tests.concurrency.judging import WRITTEN_TO_A_BROKEN_STREAM


@pytest.mark.parametrize("times", [1, pytest.param(3, marks=pytest.mark.heavy)])
def test_a_killed_service_loses_no_acknowledged_signature(scene: Scene[Attempt], times: int) -> None:
    """G1, G2, G5: kill -9 of the service under load; callers repeat their requests when it is back."""
    with scene.load() as callers:
        for _ in range(times):
            scene.service.kill()
            scene.service.start()
            callers.wait_for(50)
        history = scene.finish(callers)
    assert any(attempt.code == "UNAVAILABLE" for attempt in history), "nobody noticed"


@pytest.mark.parametrize("times", [1, pytest.param(3, marks=pytest.mark.heavy)])
def test_a_service_told_to_stop_fails_no_call_that_it_accepted(scene: Scene[Attempt], times: int) -> None:
    """G1, G2: SIGTERM under load: what was accepted is answered, what comes later is cleanly UNAVAILABLE."""
    with scene.load(deadline=60.0) as callers:
        for _ in range(times):
            scene.service.terminate()
            assert scene.service.wait(30.0) == 0
            scene.service.start()
            callers.wait_for(50)
        history = scene.finish(callers)
    failed = [a for a in history if a.code not in ("OK", "ALREADY_EXISTS", "NOT_FOUND", "INVALID_ARGUMENT")]
    assert failed, "nobody noticed"
    # New calls are refused; the few that gRPC had received but not yet handed to the service when it stopped, it cancels.
    assert {a.code for a in failed if a.message != WRITTEN_TO_A_BROKEN_STREAM} <= {"UNAVAILABLE", "CANCELLED"}
    assert not (lost := done_but_not_answered(history)), f"{len(lost)} answers were lost, such as {lost[0]}"
    assert len(scene.service.logged("stopped")) == times
    assert not scene.service.logged("drain failed")


def done_but_not_answered(history: History) -> list[Attempt]:
    """Repeats that found their request done although nobody had been told."""
    told: set[tuple[str, str]] = set()
    lost = []
    for attempt in sorted(history, key=lambda attempt: attempt.answered):
        if attempt.replayed and (attempt.kind, attempt.request_id) not in told:
            lost.append(attempt)
        if attempt.acknowledged:
            told.add((attempt.kind, attempt.request_id))
    return lost
