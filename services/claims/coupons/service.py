"""The RPCs of `tally.claims.v1.CouponService`."""

from functools import partial
from typing import Any

import grpc.aio
from tally.claims.v1 import coupon_service_pb2 as messages
from tally.claims.v1.coupon_service_pb2_grpc import CouponServiceServicer

from libs.data.consistency import PRIMARY
from libs.data.database import Database
from libs.data.ids import parse_id
from libs.data.pages import page_size
from libs.data.requests import first_answer
from services.claims.coupons import convert, store_coupons, store_reads
from services.claims.coupons.claiming import Claiming

Context = grpc.aio.ServicerContext[Any, Any]


class CouponService(CouponServiceServicer):
    """Coupons: given out exactly as many times as there are."""

    def __init__(self, database: Database, claiming: Claiming) -> None:
        self._database = database
        self._claiming = claiming

    async def CreateCoupon(
        self, request: messages.CreateCouponRequest, context: Context
    ) -> messages.CreateCouponResponse:
        request_id = parse_id(request.request_id)
        committed = await self._database.write(
            lambda tx: store_coupons.create(tx, request.name, request.amount, request_id)
        )
        coupon, token, replayed = first_answer(committed)
        return messages.CreateCouponResponse(coupon=convert.to_coupon(coupon), commit_token=token, replayed=replayed)

    async def GetCoupon(self, request: messages.GetCouponRequest, context: Context) -> messages.GetCouponResponse:
        # The primary, so that whoever just wrote reads it.
        coupon, claimants = await self._database.read(
            partial(store_reads.get, name=request.name), PRIMARY, repeatable=True
        )
        return messages.GetCouponResponse(coupon=convert.to_coupon(coupon, claimants))

    async def ListCoupons(self, request: messages.ListCouponsRequest, context: Context) -> messages.ListCouponsResponse:
        coupons, next_page_token = await self._database.read(
            partial(store_reads.list_coupons, size=page_size(request.page_size), token=request.page_token)
        )
        return messages.ListCouponsResponse(coupons=map(convert.to_coupon, coupons), next_page_token=next_page_token)

    async def RestockCoupon(
        self, request: messages.RestockCouponRequest, context: Context
    ) -> messages.RestockCouponResponse:
        request_id = parse_id(request.request_id)
        committed = await self._database.write(
            lambda tx: store_coupons.restock(tx, request.coupon_name, request.amount, request_id)
        )
        restocked, token, replayed = first_answer(committed)
        return messages.RestockCouponResponse(
            coupon=convert.to_coupon(restocked.coupon),
            served_count=restocked.served_count,
            commit_token=token,
            replayed=replayed,
        )

    async def ClaimCoupon(self, request: messages.ClaimCouponRequest, context: Context) -> messages.ClaimCouponResponse:
        return convert.to_claim_response(await self._claiming.claim(convert.to_claim(request)))

    async def BatchClaimCoupon(
        self, request: messages.BatchClaimCouponRequest, context: Context
    ) -> messages.BatchClaimCouponResponse:
        return messages.BatchClaimCouponResponse(results=await self._claiming.claim_each(request.requests))

    async def ListCouponClaims(
        self, request: messages.ListCouponClaimsRequest, context: Context
    ) -> messages.ListCouponClaimsResponse:
        claims, next_page_token = await self._database.read(
            partial(
                store_reads.list_claims,
                name=request.coupon_name,
                size=page_size(request.page_size),
                token=request.page_token,
            )
        )
        return messages.ListCouponClaimsResponse(
            claims=map(convert.to_claim_message, claims), next_page_token=next_page_token
        )

    async def JoinWaitlist(
        self, request: messages.JoinWaitlistRequest, context: Context
    ) -> messages.JoinWaitlistResponse:
        return convert.to_join_response(await self._claiming.join(convert.to_join(request)))
