"""Callers who go away before they are answered."""

from tests.chaos.scene import Scene
from tests.concurrency.mix import IMPATIENT


def test_callers_who_cancel_or_have_one_millisecond_disturb_nobody(scene: Scene) -> None:
    """G1, G2, G5: a transaction that others share goes on without them; they learn their outcome by asking again."""
    with scene.load(IMPATIENT) as callers:
        callers.wait_for(1_000)
        history = scene.finish(callers)
    codes = [attempt.code for attempt in history]
    assert codes.count("CANCELLED") > 20 and codes.count("DEADLINE_EXCEEDED") > 20
    assert {a.code for a in history} <= {"OK", "ALREADY_EXISTS", "NOT_FOUND", "CANCELLED", "DEADLINE_EXCEEDED"}
