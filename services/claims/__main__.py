"""Composition root of the claims service: `python -m services.claims`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tally.claims.v1 import coupon_service_pb2, exchange_service_pb2
from tally.claims.v1.coupon_service_pb2_grpc import add_CouponServiceServicer_to_server
from tally.claims.v1.exchange_service_pb2_grpc import add_ExchangeServiceServicer_to_server

from libs.data.database import Database
from libs.rpc.server import Composition, Registration, run
from services.claims.coupons.claiming import Claiming
from services.claims.coupons.service import CouponService
from services.claims.coupons.sold_out import SoldOut
from services.claims.exchanges.exchanging import Exchanging
from services.claims.exchanges.expiry import Expiry
from services.claims.exchanges.service import ExchangeService
from services.claims.settings import ClaimsSettings


@asynccontextmanager
async def compose(settings: ClaimsSettings) -> AsyncIterator[Composition]:
    async with Database.open(settings.database) as database:
        sold_out = SoldOut(
            database,
            max_coupons=settings.claims_sold_out_coupons,
            max_claimants=settings.claims_sold_out_claimants,
        )
        claiming = Claiming(database, sold_out, settings)
        exchanging = Exchanging(database, settings)
        background = [
            asyncio.create_task(work)
            for work in (
                sold_out.run(),
                Expiry(database, exchanging, settings.claims_expiry_seconds).run(),
            )
        ]
        try:
            yield Composition(
                services=[
                    Registration(
                        add_CouponServiceServicer_to_server,
                        CouponService(database, claiming),
                        coupon_service_pb2.DESCRIPTOR.services_by_name["CouponService"],
                    ),
                    Registration(
                        add_ExchangeServiceServicer_to_server,
                        ExchangeService(database, exchanging),
                        exchange_service_pb2.DESCRIPTOR.services_by_name["ExchangeService"],
                    ),
                ],
                drain=[claiming.drain, exchanging.drain, database.drain],
                ready=database.ping,
            )
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)


def main() -> None:
    run("claims", ClaimsSettings(), compose)


if __name__ == "__main__":
    main()
