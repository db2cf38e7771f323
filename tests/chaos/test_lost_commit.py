"""The answer to a COMMIT is lost on its way: stored or not, the server cannot know, and says so."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from tally.petition.v1 import petition_pb2
from tally.petition.v1 import petition_service_pb2 as messages
from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceStub

from tests.chaos.proxy import CUTS, CommitProxy, Cut
from tests.concurrency.answers import open_channel
from tests.concurrency.callers import calling
from tests.concurrency.calls import Caller
from tests.concurrency.checker import assert_exact
from tests.concurrency.history import History
from tests.concurrency.mix import LIVELY
from tests.concurrency.petitions import create_petitions, new_id
from tests.concurrency.plan import Plan
from tests.concurrency.service_process import ServiceProcess, petition_service
from tests.unit.devstack.waiting import wait_until


@pytest.fixture(scope="module")
def service(proxy: CommitProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """One for all tests of this file; each has petitions of its own."""
    with petition_service(proxy.url, tmp_path_factory.mktemp("proxied") / "petition.log") as service:
        yield service


@pytest.fixture
def petition(service: ServiceProcess) -> str:
    return create_petitions(service.address, thresholds=[1, 2])[0]


@pytest.fixture
def history() -> History:
    return []


@pytest.fixture
async def caller(service: ServiceProcess, history: History) -> AsyncIterator[Caller]:
    async with open_channel(service.address) as channel:
        yield Caller(channel, history, 10.0)


def sign(petition_id: str) -> messages.CoSignRequest:
    return messages.CoSignRequest(petition_id=petition_id, user_id=new_id(), request_id=new_id())


@pytest.mark.parametrize("cut", CUTS)
async def test_a_signature_whose_commit_got_no_answer_is_there_once_after_asking_again(
    proxy: CommitProxy, petition: str, caller: Caller, history: History, own_database: str, cut: Cut
) -> None:
    """G1, G5: OUTCOME_UNKNOWN; the same request again gets the one signature; the server by itself repeats nothing."""
    request = sign(petition)
    proxy.arm(cut)
    unknown = await caller.sign(request)
    assert (unknown.code, unknown.reason) == ("UNAVAILABLE", "OUTCOME_UNKNOWN")

    # Somebody else's signature commits, so the lane has moved on, and the first one was sent once.
    other = await caller.sign(sign(petition))
    assert other.acknowledged and other.ordinal == (2 if cut == "after" else 1)
    assert [t.cut for t in proxy.transactions_with(uuid.UUID(request.user_id).bytes)] == [True]

    again = await caller.sign(request)
    assert again.acknowledged and again.replayed == (cut == "after")
    assert again.ordinal == (1 if cut == "after" else 2) and again.thresholds == (again.ordinal,)
    assert_exact(own_database, [petition], history)


@pytest.mark.parametrize("cut", CUTS)
async def test_everybody_in_a_transaction_whose_commit_got_no_answer_is_told_so(
    proxy: CommitProxy, petition: str, caller: Caller, history: History, own_database: str, cut: Cut
) -> None:
    """G1, G5: callers that shared the commit share its unknown outcome, and each gets its own signature by asking again."""
    requests = [sign(petition) for _ in range(50)]
    proxy.arm(cut, cut)
    first = await asyncio.gather(*(caller.sign(request) for request in requests))
    proxy.disarm()
    told = [r for r, attempt in zip(requests, first, strict=True) if attempt.reason == "OUTCOME_UNKNOWN"]
    assert len(told) > 1 and {attempt.reason for attempt in first} <= {"", "OUTCOME_UNKNOWN"}
    for request in told:
        assert len(proxy.transactions_with(uuid.UUID(request.user_id).bytes)) == 1
        assert any(uuid.UUID(request.user_id).bytes in t.sent for t in proxy.lost)
    second = await asyncio.gather(*(caller.sign(request) for request in told))
    assert {attempt.replayed for attempt in second} == {cut == "after"}
    stored = assert_exact(own_database, [petition], history)
    assert stored[petition].co_signer_count == 50


@pytest.mark.parametrize("cut", CUTS)
async def test_a_withdrawal_whose_commit_got_no_answer_happens_once(
    proxy: CommitProxy, petition: str, caller: Caller, history: History, own_database: str, cut: Cut
) -> None:
    """G1, G5: the same as for a signature."""
    signature = sign(petition)
    await caller.sign(signature)
    request = messages.WithdrawCoSignRequest(petition_id=petition, user_id=signature.user_id, request_id=new_id())
    proxy.arm(cut)
    assert (await caller.withdraw(request)).reason == "OUTCOME_UNKNOWN"
    again = await caller.withdraw(request)
    assert again.acknowledged and again.replayed == (cut == "after")
    stored = assert_exact(own_database, [petition], history)
    assert (stored[petition].co_signer_count, len(stored[petition].removed)) == (0, 1)


@pytest.mark.parametrize("cut", CUTS)
def test_a_petition_whose_commit_got_no_answer_is_created_closed_and_cleared_once(
    proxy: CommitProxy, service: ServiceProcess, petition: str, own_database: str, cut: Cut
) -> None:
    """G1, G5: creating, invalidating and closing are answered OUTCOME_UNKNOWN and done once, too."""
    with grpc.insecure_channel(service.address) as channel:
        stub = PetitionServiceStub(channel)
        user = sign(petition)
        stub.CoSign(user, timeout=10)
        body = petition_pb2.Petition(
            title=f"Lost {cut} the commit", body="b", petition_type="local", submitter_id=new_id()
        )
        users = messages.UserSelection(user_ids=[user.user_id])
        calls: list[tuple[Any, Any]] = [
            (stub.CreatePetition, messages.CreatePetitionRequest(petition=body, request_id=new_id())),
            (
                stub.InvalidateCoSigns,
                messages.InvalidateCoSignsRequest(petition_id=petition, users=users, reason="x", request_id=new_id()),
            ),
            (stub.ClosePetition, messages.ClosePetitionRequest(petition_id=petition, request_id=new_id())),
        ]
        for call, request in calls:
            proxy.arm(cut)
            with pytest.raises(grpc.RpcError, match="outcome is unknown") as lost:
                call(request, timeout=10)
            assert lost.value.code() is grpc.StatusCode.UNAVAILABLE
            again = call(request, timeout=10)
            assert again.replayed == (cut == "after")
            assert call(request, timeout=10).commit_token == again.commit_token
    with psycopg.connect(own_database) as connection:
        counts = connection.execute(
            "SELECT count(*) FILTER (WHERE title = %s), count(*) FILTER (WHERE petition_id = %s AND state = 'closed'), "
            "(SELECT count(*) FROM petition.removed_co_signs WHERE petition_id = %s) FROM petition.petition_submissions",
            [body.title, petition, petition],
        ).fetchone()
    assert counts == (1, 1, 1)


@pytest.mark.parametrize("rounds", [8, pytest.param(50, marks=pytest.mark.heavy)])
def test_64_callers_whose_commits_get_lost_again_and_again_keep_an_exact_count(
    proxy: CommitProxy, service: ServiceProcess, own_database: str, seed: str, tmp_path: Path, rounds: int
) -> None:
    """G1, G2, G5: commits are lost both ways under load; nothing acknowledged is missing, nothing is there twice."""
    petitions = create_petitions(service.address, 2, thresholds=[1, *(50 * 2**n for n in range(12))])
    plan = Plan([service.address], petitions, seed, callers=64, users=100_000, items=10, weights=LIVELY)
    lost, logged = len(proxy.lost), len(service.logged("commit_outcome_unknown"))
    with calling(plan, tmp_path) as callers:
        for n in range(rounds):
            callers.wait_for(50)
            proxy.arm(CUTS[n % 2])
            wait_until(lambda: not proxy.armed)
        callers.wait_for(50)
        callers.stop()
        history = callers.history()
    assert_exact(own_database, petitions, history)
    assert {attempt.reason for attempt in history} >= {"", "OUTCOME_UNKNOWN"}
    assert "DATABASE_UNAVAILABLE" not in {attempt.reason for attempt in history}
    assert len(proxy.lost) - lost == rounds == len(service.logged("commit_outcome_unknown")) - logged
