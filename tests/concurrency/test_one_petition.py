"""Hundreds of callers on one petition at the same moment."""

from pathlib import Path

from tests.concurrency.caller_process import Plan
from tests.concurrency.callers import calling
from tests.concurrency.checker import assert_exact
from tests.concurrency.mix import Action
from tests.concurrency.petitions import create_petitions
from tests.concurrency.stage import Stage

EVERYTHING: dict[Action, float] = {
    "sign": 8,
    "again": 2,
    "withdraw": 3,
    "batch": 1,
    "stream": 1,
}


def test_500_callers_who_sign_repeat_batch_stream_and_withdraw_leave_an_exact_count(
    stage: Stage, seed: str, tmp_path: Path
) -> None:
    """G2, G3, G5: count = rows = highest ordinal - withdrawn; each threshold once a passing; one answer a request."""
    petitions = create_petitions(stage.addresses[0], thresholds=[1, 50, 100, 150, 200, 250, 300])
    mixed = Plan([stage.addresses[0]], petitions, "", seed, callers=500, operations=5, users=400, weights=EVERYTHING)
    with calling(mixed, tmp_path, processes=2) as callers:
        history = callers.history()
    stored = assert_exact(stage.database_url, petitions, history)
    reasons = {attempt.reason for attempt in history}
    assert reasons == {"", "ALREADY_SIGNED", "CO_SIGN_NOT_FOUND"}
    assert stored[petitions[0]].removed and any(attempt.replayed for attempt in history)
