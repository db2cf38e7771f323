"""The acts of the scenario that are about limited goods: a flash sale, and food from its post to its rating."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp
from tally.claims.v1 import coupon_service_pb2 as coupons
from tally.claims.v1 import exchange_pb2 as resources
from tally.claims.v1 import exchange_service_pb2 as exchanges
from tally.claims.v1.coupon_service_pb2_grpc import CouponServiceStub
from tally.claims.v1.exchange_service_pb2_grpc import ExchangeServiceStub

from libs.cli.callers.reasons import reason
from libs.cli.scenario.acting import DEADLINE, Advance, acting, each
from libs.cli.scenario.ledger import Act, Ledger, Meal, Sale

BUYERS, STOCK = 500, 50
WAITING, RESTOCKED = 40, 60
PORTIONS = 8


class Market:
    """Plays act after act and keeps the ledger."""

    def __init__(self, channel: grpc.aio.Channel, ledger: Ledger, seed: int) -> None:
        self._coupons: Any = CouponServiceStub(channel)
        self._exchanges: Any = ExchangeServiceStub(channel)
        self._ledger = ledger
        self._random = random.Random(seed)  # noqa: S311  # a scenario, not a secret

    async def flash_sale(self, advance: Advance) -> None:
        """Everybody at once, ten for each that there is."""
        name = f"A loaf of bread {uuid4()}"
        request = coupons.CreateCouponRequest(name=name, amount=STOCK, request_id=str(uuid4()))
        sale = self._ledger.sale = Sale(name, STOCK)
        sale.heard((await self._coupons.CreateCoupon(request, timeout=DEADLINE)).commit_token)
        with acting(self._ledger, f"flash sale: {BUYERS} for {STOCK}") as act:
            await each(act, [str(uuid4()) for _ in range(BUYERS)], self._claim, advance, BUYERS)

    async def restock(self, advance: Advance) -> None:
        """Some who got none wait, some of them twice; then there is more, and the first in line get it first."""
        sale = self._sale
        waiting = sale.refused[:WAITING]
        with acting(self._ledger, "wait for more") as act:
            await each(act, [*waiting, *waiting[:4]], self._wait, advance, WAITING)
        with acting(self._ledger, f"{RESTOCKED} more") as act:
            act.sent = 1
            request = coupons.RestockCouponRequest(coupon_name=sale.name, amount=RESTOCKED, request_id=str(uuid4()))
            answer = await self._coupons.RestockCoupon(request, timeout=DEADLINE)
            sale.heard(answer.commit_token)
            served = [sale.line[place] for place in sorted(sale.line)][: answer.served_count]
            act.accepted = answer.served_count
            for user_id in served:
                sale.claims[user_id] = len(sale.claims) + 1
            sale.remaining += RESTOCKED - answer.served_count
            advance(answer.served_count)

    async def share_food(self, advance: Advance) -> None:
        """Portions are held, confirmed, handed over and rated; some change their minds, and others get theirs. One of the
        group gives, the others want some; of what is given besides nobody takes any."""
        gathering = self._ledger.gathering
        assert gathering is not None
        giver, *people = gathering.members
        meal = self._ledger.meal = await self._post("Soup of the day", giver, gathering.group_id)
        await self._post("Apples from the garden", giver, gathering.group_id)
        with acting(self._ledger, f"{len(people)} for {PORTIONS} portions") as act:
            await each(act, people, self._hold, advance, len(people))
        leaving = self._random.sample(sorted(meal.exchanges), 2)
        with acting(self._ledger, "change their minds") as act:
            await each(act, leaving, self._cancel, advance, 2)
        with acting(self._ledger, "get what came back") as act:
            await each(act, meal.refused[:2], self._hold, advance, 2)
        confirming = sorted(meal.exchanges)[: PORTIONS - 2]
        for name, step in (("confirm", self._confirm), ("hand over", self._complete), ("rate both sides", self._rate)):
            with acting(self._ledger, name) as act:
                await each(act, confirming, step, advance, len(confirming))

    @property
    def _sale(self) -> Sale:
        assert self._ledger.sale is not None
        return self._ledger.sale

    @property
    def _meal(self) -> Meal:
        assert self._ledger.meal is not None
        return self._ledger.meal

    async def _claim(self, act: Act, user_id: str) -> None:
        sale = self._sale
        request = coupons.ClaimCouponRequest(coupon_name=sale.name, user_id=user_id, request_id=str(uuid4()))
        try:
            answer = await self._coupons.ClaimCoupon(request, timeout=DEADLINE)
        except grpc.aio.AioRpcError as error:
            if "OUT_OF_STOCK" not in reason(error):
                raise
            act.refused += 1
            sale.refused.append(user_id)
            return
        act.accepted += 1
        sale.remaining -= 1
        sale.claims[user_id] = answer.claim.ordinal
        sale.heard(answer.commit_token)

    async def _wait(self, act: Act, user_id: str) -> None:
        sale = self._sale
        request = coupons.JoinWaitlistRequest(coupon_name=sale.name, user_id=user_id, request_id=str(uuid4()))
        try:
            answer = await self._coupons.JoinWaitlist(request, timeout=DEADLINE)
        except grpc.aio.AioRpcError as error:
            if "ALREADY_WAITING" not in reason(error):
                raise
            act.duplicates += 1
            return
        act.accepted += 1
        sale.line[answer.place.position] = user_id
        sale.heard(answer.commit_token)

    async def _post(self, title: str, giver_id: str, group_id: str) -> Meal:
        pickup = Timestamp()
        pickup.FromDatetime(datetime.now(UTC) + timedelta(hours=3))
        post = resources.FoodPost(
            title=title, portions=PORTIONS, pickup_time=pickup, giver_id=giver_id, group_id=group_id
        )
        request = exchanges.CreateFoodPostRequest(food_post=post, request_id=str(uuid4()))
        answer = await self._exchanges.CreateFoodPost(request, timeout=DEADLINE)
        meal = Meal(answer.food_post.food_post_id, giver_id, PORTIONS)
        meal.heard(answer.commit_token)
        return meal

    async def _hold(self, act: Act, user_id: str) -> None:
        meal = self._meal
        request = exchanges.ClaimFoodRequest(
            food_post_id=meal.food_post_id, user_id=user_id, portions=1, request_id=str(uuid4())
        )
        try:
            answer = await self._exchanges.ClaimFood(request, timeout=DEADLINE)
        except grpc.aio.AioRpcError as error:
            if "OUT_OF_STOCK" not in reason(error):
                raise
            act.refused += 1
            meal.refused.append(user_id)
            return
        act.accepted += 1
        meal.exchanges[user_id] = answer.exchange.exchange_id
        meal.remaining, meal.held = meal.remaining - 1, meal.held + 1
        meal.heard(answer.commit_token)

    async def _cancel(self, act: Act, user_id: str) -> None:
        meal = self._meal
        request = exchanges.CancelExchangeRequest(
            exchange_id=meal.exchanges[user_id], actor_id=user_id, request_id=str(uuid4())
        )
        meal.heard((await self._exchanges.CancelExchange(request, timeout=DEADLINE)).commit_token)
        del meal.exchanges[user_id]
        meal.remaining, meal.held = meal.remaining + 1, meal.held - 1
        act.withdrawn += 1

    async def _confirm(self, act: Act, user_id: str) -> None:
        meal = self._meal
        request = exchanges.ConfirmExchangeRequest(
            exchange_id=meal.exchanges[user_id], actor_id=meal.giver_id, request_id=str(uuid4())
        )
        meal.heard((await self._exchanges.ConfirmExchange(request, timeout=DEADLINE)).commit_token)
        meal.held, meal.claimed = meal.held - 1, meal.claimed + 1
        act.accepted += 1

    async def _complete(self, act: Act, user_id: str) -> None:
        request = exchanges.CompleteExchangeRequest(
            exchange_id=self._meal.exchanges[user_id], actor_id=user_id, request_id=str(uuid4())
        )
        self._meal.heard((await self._exchanges.CompleteExchange(request, timeout=DEADLINE)).commit_token)
        self._meal.completed.append(user_id)
        act.accepted += 1

    async def _rate(self, act: Act, user_id: str) -> None:
        for rater_id in (user_id, self._meal.giver_id):
            request = exchanges.RateExchangeRequest(
                exchange_id=self._meal.exchanges[user_id],
                rater_id=rater_id,
                stars=self._random.randint(3, 5),
                request_id=str(uuid4()),
            )
            await self._exchanges.RateExchange(request, timeout=DEADLINE)
            act.accepted += 1
