"""Callers who go away before they are answered."""

from tests.chaos.scene import Scene
from tests.concurrency.history import Attempt
from tests.concurrency.mix import IMPATIENT


def test_callers_who_cancel_or_have_one_millisecond_disturb_nobody(scene: Scene[Attempt]) -> None:
    """G1, G2, G5: a transaction that others share goes on without them; they learn their outcome by asking again."""
    with scene.load(IMPATIENT) as callers:
        callers.wait_for(1_000)
        history = scene.finish(callers)
    codes = [attempt.code for attempt in history]
    assert codes.count("CANCELLED") > 20 and codes.count("DEADLINE_EXCEEDED") > 20
    refused = {"ALREADY_EXISTS", "NOT_FOUND", "INVALID_ARGUMENT"}
    assert {a.code for a in history} - refused == {"OK", "CANCELLED", "DEADLINE_EXCEEDED"}
