"""Hundreds of callers on one petition at the same moment, through two services on one database."""

import json
from pathlib import Path

import grpc
import psycopg
import pytest
from tally.petition.v1 import petition_service_pb2 as messages
from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceStub

from tests.concurrency.callers import calling
from tests.concurrency.checker import assert_exact
from tests.concurrency.mix import EVERYTHING
from tests.concurrency.petitions import create_petitions, new_id
from tests.concurrency.plan import Plan
from tests.concurrency.stage import Stage


@pytest.mark.parametrize("operations", [4, pytest.param(20, marks=pytest.mark.heavy)])
def test_500_callers_who_sign_repeat_batch_stream_and_withdraw_leave_an_exact_count(
    stage: Stage, seed: str, tmp_path: Path, operations: int
) -> None:
    """G2, G3, G5, G9: count = rows = highest ordinal - withdrawn; each threshold once a passing; one answer a request."""
    petitions = create_petitions(stage.addresses[0], thresholds=[1, *range(25, 500, 25)])
    plan = Plan(stage.addresses[:1], petitions, seed, callers=500, operations=operations, users=400, weights=EVERYTHING)
    with calling(plan, tmp_path, processes=2) as callers:
        history = callers.history()
    stored = assert_exact(stage.database_url, petitions, history)
    assert {attempt.reason for attempt in history} == {"", "ALREADY_SIGNED", "CO_SIGN_NOT_FOUND", "INVALID_FIELDS"}
    assert stored[petitions[0]].removed and any(attempt.replayed for attempt in history)
    assert stage.trouble() == []


@pytest.mark.parametrize("operations", [4, pytest.param(20, marks=pytest.mark.heavy)])
def test_two_services_on_one_database_keep_one_petition_exact_between_them(
    stage: Stage, seed: str, tmp_path: Path, operations: int
) -> None:
    """G2, G3, G5, G9: the row's lock orders both; neither meets a deadlock or a lock error."""
    deadlocks = stage.deadlocks()
    petitions = create_petitions(stage.addresses[0], thresholds=[1, *range(25, 500, 25)])
    plan = Plan(stage.addresses, petitions, seed, callers=500, operations=operations, users=400, weights=EVERYTHING)
    with calling(plan, tmp_path, processes=2) as callers:
        history = callers.history()
    assert_exact(stage.database_url, petitions, history)
    assert {attempt.reason for attempt in history} == {"", "ALREADY_SIGNED", "CO_SIGN_NOT_FOUND", "INVALID_FIELDS"}
    assert stage.deadlocks() == deadlocks
    assert stage.trouble() == []


def test_a_threshold_fires_once_when_500_people_cross_it_together(stage: Stage, seed: str, tmp_path: Path) -> None:
    """G3: everybody signs once, at once, through both services; each threshold is told to one signer and to the stream."""
    thresholds = [1, 2, 100, 250, 251, 499, 500]
    petitions = create_petitions(stage.addresses[0], thresholds=thresholds)
    with calling(Plan(stage.addresses, petitions, seed, callers=500, operations=1), tmp_path, processes=2) as callers:
        history = callers.history()
    stored = assert_exact(stage.database_url, petitions, history)[petitions[0]]
    assert sorted(t for attempt in history for t in attempt.thresholds) == thresholds
    assert [(e.threshold, e.kind) for e in stored.escalations] == [(t, "crossed") for t in thresholds]
    assert [e.payload["threshold"] for e in stored.events if e.kind == "petition.escalated"] == thresholds


def test_a_threshold_is_reversed_and_crossed_again_as_often_as_the_count_passes_it(
    stage: Stage, seed: str, tmp_path: Path
) -> None:
    """G3: few users sign and withdraw over and over, so the count hovers around the thresholds."""
    petitions = create_petitions(stage.addresses[0], thresholds=range(1, 21))
    plan = Plan(
        stage.addresses, petitions, seed, callers=100, operations=10, users=20, weights={"sign": 1, "withdraw": 1}
    )
    with calling(plan, tmp_path, processes=2) as callers:
        history = callers.history()
    stored = assert_exact(stage.database_url, petitions, history)[petitions[0]]
    kinds = [e.kind for e in stored.escalations]
    assert kinds.count("reversed") > 20, "the count did not hover"
    assert sum(len(a.thresholds) for a in history if not a.replayed) == len(kinds)


def test_no_signature_commits_after_close_has_answered(stage: Stage, seed: str, tmp_path: Path) -> None:
    """G2: Close answers the final count, whatever both services had in flight and in their queues."""
    petitions = create_petitions(stage.addresses[0])
    with calling(Plan(stage.addresses, petitions, seed, callers=200), tmp_path, processes=2) as callers:
        callers.wait_for(500)
        with grpc.insecure_channel(stage.addresses[1]) as channel:
            request = messages.ClosePetitionRequest(petition_id=petitions[0], request_id=new_id())
            closed = PetitionServiceStub(channel).ClosePetition(request, timeout=10)
        callers.stop()
        history = callers.history()
    stored = assert_exact(stage.database_url, petitions, history)[petitions[0]]
    assert (stored.state, stored.co_signer_count) == ("closed", closed.petition.co_signer_count)
    assert stored.events[-1].kind == "petition.closed", "something was written after it was closed"
    reasons = [attempt.reason for attempt in history]
    assert set(reasons) == {"", "PETITION_CLOSED"}, "nobody came too late, or something else was refused"


def test_invalidation_in_a_burst_takes_exactly_what_it_says(stage: Stage, seed: str, tmp_path: Path) -> None:
    """G2, G3: signatures are invalidated by user and by time while others are added; counts and thresholds follow."""
    petitions = create_petitions(stage.addresses[0], thresholds=[int(50 * 1.3**n) for n in range(20)])
    invalidated = 0
    with (
        calling(Plan(stage.addresses, petitions, seed, callers=100), tmp_path, processes=2) as callers,
        grpc.insecure_channel(stage.addresses[1]) as channel,
        psycopg.connect(stage.database_url, autocommit=True) as connection,
    ):
        stub = PetitionServiceStub(channel)
        for chosen in ("user_id", "signed_time"):
            callers.wait_for(300)
            request = messages.InvalidateCoSignsRequest(
                petition_id=petitions[0], reason="bought signatures", request_id=new_id()
            )
            rows = connection.execute(
                f"SELECT {chosen} FROM petition.co_signs WHERE petition_id = %s ORDER BY ordinal", petitions
            ).fetchall()
            if chosen == "user_id":
                request.users.user_ids.extend(str(user_id) for (user_id,) in rows[::3])
                expected = len(rows[::3])
            else:
                request.signed_window.start_time.FromDatetime(rows[0][0])
                request.signed_window.end_time.FromDatetime(rows[-1][0])
                expected = sum(time < rows[-1][0] for (time,) in rows)
            answer = stub.InvalidateCoSigns(request, timeout=10)
            assert answer.invalidated_count == expected, json.dumps({"chosen": chosen, "rows": len(rows)})
            invalidated += expected
        callers.wait_for(100)
        callers.stop()
        history = callers.history()
    stored = assert_exact(stage.database_url, petitions, history)[petitions[0]]
    assert len(stored.removed) == invalidated
    assert any(e.kind == "reversed" for e in stored.escalations)
