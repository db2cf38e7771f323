"""The answer to the COMMIT of a claim is lost on its way: claimed or not, the server cannot know, and says so."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tally.claims.v1 import coupon_service_pb2 as coupons
from tally.claims.v1 import exchange_service_pb2 as exchanges

from tests.chaos.proxy import CUTS, CommitProxy, Cut
from tests.concurrency.answers import open_channel
from tests.concurrency.callers import calling
from tests.concurrency.claims.attempts import ClaimsAttempt, ClaimsHistory
from tests.concurrency.claims.calls import Caller
from tests.concurrency.claims.coupon_checker import assert_coupons_exact
from tests.concurrency.claims.exact import assert_claims_exact
from tests.concurrency.claims.food_checker import assert_food_exact
from tests.concurrency.claims.mix import EVERYTHING, GIVER
from tests.concurrency.claims.supply import create_coupons, create_food_posts
from tests.concurrency.petitions import new_id
from tests.concurrency.plan import Plan
from tests.concurrency.service_process import ServiceProcess, claims_service
from tests.eventually import becomes_true
from tests.unit.devstack.waiting import wait_until

# By the service, or by the caller's own gRPC before it hears from the service.
TOO_LATE = [("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"), ("DEADLINE_EXCEEDED", "")]


@pytest.fixture(scope="module")
def service(proxy: CommitProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """One for all tests of this file; each has coupons of its own. Nothing ends by itself, so that who commits is known."""
    quiet = {"claims_expiry_seconds": "3600", "lock_timeout": "0.3"}
    with claims_service(proxy.url, tmp_path_factory.mktemp("proxied") / "claims.log", **quiet) as service:
        yield service


@pytest.fixture
def history() -> ClaimsHistory:
    return []


@pytest.fixture
async def caller(service: ServiceProcess, history: ClaimsHistory) -> AsyncIterator[Caller]:
    async with open_channel(service.address) as channel:
        yield Caller(channel, history, 10.0)


def claim(coupon_name: str) -> coupons.ClaimCouponRequest:
    return coupons.ClaimCouponRequest(coupon_name=coupon_name, user_id=new_id(), request_id=new_id())


def sent(proxy: CommitProxy, request: coupons.ClaimCouponRequest) -> list[bool]:
    """The transactions about this user that the server forwarded, each as whether its commit was cut."""
    return [t.cut for t in proxy.transactions_with(uuid.UUID(request.user_id).bytes)]


@pytest.mark.parametrize("cut", CUTS)
async def test_the_last_claim_whose_commit_got_no_answer_is_found_by_asking_again_though_all_is_sold_out(
    proxy: CommitProxy, service: ServiceProcess, caller: Caller, history: ClaimsHistory, own_database: str, cut: Cut
) -> None:
    """G1, G4, G5, C10: OUTCOME_UNKNOWN; the server repeats nothing by itself. When memory refuses everybody else without
    the database, the same request still gets the one claim, if it was made."""
    (coupon,) = create_coupons(service.address, amount=1)
    request = claim(coupon)
    proxy.arm(cut)
    unknown = await caller.do(request)
    assert (unknown.code, unknown.reason) == ("UNAVAILABLE", "OUTCOME_UNKNOWN")

    other = await caller.do(claim(coupon))
    assert other.reason == ("OUT_OF_STOCK" if cut == "after" else "")
    assert sent(proxy, request) == [True]

    async def memory_refuses() -> bool:
        late = claim(coupon)
        assert (await caller.do(late)).reason == "OUT_OF_STOCK"
        return not sent(proxy, late)

    await becomes_true(memory_refuses)
    again = await caller.do(request)
    if cut == "after":
        assert again.acknowledged and again.replayed and again.result == (1, 0)
        assert sent(proxy, request) == [True, False]
    else:
        assert again.reason == "OUT_OF_STOCK"
    stored = assert_coupons_exact(own_database, [coupon], history)[coupon]
    assert [c.request_id for c in stored.claims] == [(request if cut == "after" else other).request_id]


@pytest.mark.parametrize("cut", CUTS)
async def test_everybody_in_a_transaction_of_claims_whose_commit_got_no_answer_is_told_so(
    proxy: CommitProxy, service: ServiceProcess, caller: Caller, history: ClaimsHistory, own_database: str, cut: Cut
) -> None:
    """G1, G4, G5, C10: those who shared the commit share its unknown outcome; asking again, as many as there is stock
    have a claim, each once."""
    (coupon,) = create_coupons(service.address, amount=40)
    requests = [claim(coupon) for _ in range(50)]
    proxy.arm(cut, cut)
    first = await asyncio.gather(*(caller.do(request) for request in requests))
    proxy.disarm()
    told = [r for r, attempt in zip(requests, first, strict=True) if attempt.reason == "OUTCOME_UNKNOWN"]
    assert len(told) > 1 and {attempt.reason for attempt in first} <= {"", "OUTCOME_UNKNOWN", "OUT_OF_STOCK"}
    assert all(sent(proxy, request) == [True] for request in told)
    second = await asyncio.gather(*(caller.do(request) for request in told))
    replayed = {attempt.replayed for attempt in second if attempt.acknowledged}
    # Where nothing was committed, others may have had all there is before anybody asked again.
    assert replayed == {True} if cut == "after" else replayed <= {False}
    stored = assert_coupons_exact(own_database, [coupon], history)[coupon]
    assert (stored.remaining, len(stored.claims)) == (0, 40)


@pytest.mark.parametrize("cut", CUTS)
async def test_every_other_write_whose_commit_got_no_answer_is_done_once(
    proxy: CommitProxy, service: ServiceProcess, caller: Caller, history: ClaimsHistory, own_database: str, cut: Cut
) -> None:
    """G1, G5, C10: lining up, adding stock, claiming food and each step of an exchange, asked again with the same id."""
    (coupon,) = create_coupons(service.address, amount=1)
    (post,) = create_food_posts(service.address, portions=3)
    receiver = new_id()

    async def once(request: Any) -> ClaimsAttempt:
        proxy.arm(cut)
        assert (await caller.do(request)).reason == "OUTCOME_UNKNOWN"
        again = await caller.do(request)
        assert again.acknowledged and again.replayed == (cut == "after")
        assert (await caller.do(request)).answer == again.answer
        return again

    async def step(kind: Any, exchange_id: object) -> None:
        await once(kind(exchange_id=str(exchange_id), actor_id=GIVER, request_id=new_id()))

    def food() -> exchanges.ClaimFoodRequest:
        return exchanges.ClaimFoodRequest(food_post_id=post, user_id=receiver, portions=2, request_id=new_id())

    await caller.do(claim(coupon))
    joined = await once(coupons.JoinWaitlistRequest(coupon_name=coupon, user_id=new_id(), request_id=new_id()))
    assert joined.result == ("place", 1)
    restocked = await once(coupons.RestockCouponRequest(coupon_name=coupon, amount=2, request_id=new_id()))
    assert restocked.result == (2, 1, 2, 0, 1)
    called_off = (await once(food())).result[0]
    await step(exchanges.CancelExchangeRequest, called_off)
    completed = (await once(food())).result[0]
    await step(exchanges.ConfirmExchangeRequest, completed)
    await step(exchanges.CompleteExchangeRequest, completed)
    assert_coupons_exact(own_database, [coupon], history)
    stored = assert_food_exact(own_database, [post], history)[post]
    assert (stored.remaining, stored.held, stored.claimed, stored.completed) == (1, 0, 2, 1)


@pytest.mark.parametrize(("deadline", "said"), [(0.15, TOO_LATE), (10.0, [("UNAVAILABLE", "DATABASE_UNAVAILABLE")])])
async def test_a_claim_that_meets_a_row_locked_for_too_long_is_told_so_and_stores_nothing(
    service: ServiceProcess,
    caller: Caller,
    history: ClaimsHistory,
    own_database: str,
    deadline: float,
    said: list[tuple[str, str]],
) -> None:
    """C10: whether the caller's deadline passes first or the service's own limit; once the row is free, claiming goes on."""
    (coupon,) = create_coupons(service.address, amount=1)
    with psycopg.connect(own_database) as outsider:
        outsider.execute("SELECT FROM claims.coupons WHERE name = %s FOR UPDATE", [coupon])
        given_up = service.logs_more("database_error")
        refused = await caller.do(claim(coupon), deadline)
        assert (refused.code, refused.reason) in said
        await asyncio.to_thread(wait_until, given_up, 10.0)
    assert (await caller.do(claim(coupon))).result == (1, 0)
    assert_coupons_exact(own_database, [coupon], history)


@pytest.mark.parametrize("rounds", [6, pytest.param(20, marks=pytest.mark.heavy)])
def test_64_claimants_whose_commits_get_lost_again_and_again_sell_nothing_twice(
    proxy: CommitProxy, service: ServiceProcess, own_database: str, seed: str, tmp_path: Path, rounds: int
) -> None:
    """G1, G2, G4, G5, C10: commits are lost both ways under load; nothing acknowledged is missing, nothing is there twice."""
    names, posts = create_coupons(service.address, 2, amount=100), create_food_posts(service.address, 2, portions=500)
    plan = Plan(
        [service.address],
        names,
        seed,
        players="claimants",
        food_posts=posts,
        users=20_000,
        items=10,
        weights=EVERYTHING,
    )
    lost, logged = len(proxy.lost), len(service.logged("commit_outcome_unknown"))
    with calling(plan, tmp_path) as callers:
        for n in range(rounds):
            callers.wait_for(50)
            proxy.arm(CUTS[n % 2])
            wait_until(lambda: not proxy.armed)
        callers.wait_for(50)
        callers.stop()
        history = callers.history_of(ClaimsAttempt)
    assert_claims_exact(own_database, names, posts, history)
    reasons = {attempt.reason for attempt in history}
    assert "OUTCOME_UNKNOWN" in reasons
    # On a busy machine a lock may be waited for too long; never is that said of a write whose commit was sent.
    unavailable = [
        uuid.UUID(attempt.request_id).bytes for attempt in history if attempt.reason == "DATABASE_UNAVAILABLE"
    ]
    assert not [t for request in unavailable for t in proxy.transactions_with(request) if t.cut]
    assert len(proxy.lost) - lost == rounds == len(service.logged("commit_outcome_unknown")) - logged
