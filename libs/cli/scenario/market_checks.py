"""Compares what buyers and eaters were answered with what the services and the rows say."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
from tally.aggregator.v1 import aggregator_pb2, aggregator_service_pb2
from tally.aggregator.v1.aggregator_service_pb2_grpc import AggregatorServiceStub
from tally.claims.v1 import coupon_service_pb2 as coupons
from tally.claims.v1 import exchange_pb2 as resources
from tally.claims.v1 import exchange_service_pb2 as exchanges
from tally.claims.v1.coupon_service_pb2_grpc import CouponServiceStub
from tally.claims.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from tally.common.v1 import count_pb2

from libs.cli.scenario.acting import DEADLINE
from libs.cli.scenario.comparison import CountComparison
from libs.cli.scenario.ledger import Meal, Sale

_PENDING = frozenset({resources.EXCHANGE_STATUS_PENDING})
_CLAIMED = frozenset({resources.EXCHANGE_STATUS_CONFIRMED, resources.EXCHANGE_STATUS_COMPLETED})


class MarketChecks:
    """Asks the claims service and the aggregator."""

    def __init__(self, claims: grpc.aio.Channel, aggregator: grpc.aio.Channel) -> None:
        self._coupons: Any = CouponServiceStub(claims)
        self._exchanges: Any = ExchangeServiceStub(claims)
        self._aggregator: Any = AggregatorServiceStub(aggregator)

    async def sale(self, sale: Sale) -> list[CountComparison]:
        coupon = (await self._coupons.GetCoupon(coupons.GetCouponRequest(name=sale.name), timeout=DEADLINE)).coupon
        rows = {claim.user_id: claim.ordinal async for claim in self._claims(sale)}
        claimed = CountComparison(
            what="coupons claimed",
            answered=len(sale.claims),
            aggregator=await self._served("claims.coupon_claims", sale.name, sale.token),
            counter=coupon.claim_count,
            rows=len(rows),
        )
        if rows != sale.claims:
            claimed.disagreements.append("not the same people have claims, or not in the order they were answered")
        left = CountComparison(
            what="coupons left",
            answered=sale.remaining,
            aggregator=await self._served("claims.coupon_remaining", sale.name, sale.token),
            counter=coupon.remaining_amount,
            rows=coupon.amount + coupon.restocked_amount - len(rows),
        )
        return [claimed.judged(), left.judged()]

    async def meal(self, meal: Meal) -> list[CountComparison]:
        request = exchanges.GetFoodPostRequest(food_post_id=meal.food_post_id)
        post = (await self._exchanges.GetFoodPost(request, timeout=DEADLINE)).food_post
        listing = exchanges.ListExchangesRequest(food_post_id=meal.food_post_id, page_size=1_000)
        rows: Counter[int] = Counter()
        for exchange in (await self._exchanges.ListExchanges(listing, timeout=DEADLINE)).exchanges:
            rows[exchange.status] += exchange.portions
        held, claimed = (sum(rows[status] for status in statuses) for statuses in (_PENDING, _CLAIMED))
        return [
            CountComparison(
                what=f"portions {name}",
                answered=answered,
                aggregator=await self._served(f"claims.portions_{name}", meal.food_post_id, meal.token),
                counter=counter,
                rows=counted,
            ).judged()
            for name, answered, counter, counted in (
                ("remaining", meal.remaining, post.portions_remaining, post.portions - held - claimed),
                ("held", meal.held, post.portions_held, held),
                ("claimed", meal.claimed, post.portions_claimed, claimed),
            )
        ]

    async def _claims(self, sale: Sale) -> AsyncIterator[Any]:
        request = coupons.ListCouponClaimsRequest(coupon_name=sale.name, page_size=1_000)
        while True:
            page = await self._coupons.ListCouponClaims(request, timeout=DEADLINE)
            for claim in page.claims:
                yield claim
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def _served(self, counter: str, resource_id: str, token: int) -> int:
        request = aggregator_service_pb2.GetCounterRequest(
            key=aggregator_pb2.CounterKey(counter=counter, resource_id=resource_id),
            consistency=count_pb2.Consistency(at_least=f"{token:x}"),
        )
        return int((await self._aggregator.GetCounter(request, timeout=DEADLINE)).count.value)
