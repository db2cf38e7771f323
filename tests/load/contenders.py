"""The servers Tally is measured against: `python -m tests.load.contenders bare|refusing|chain|textbook|tuned`.

All of them answer the same messages. They print the address they listen on and serve until they are terminated.
"""

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import grpc.aio
import uvloop
from tally.aggregator.v1 import aggregator_service_pb2
from tally.aggregator.v1.aggregator_service_pb2_grpc import (
    AggregatorServiceServicer,
    add_AggregatorServiceServicer_to_server,
)
from tally.claims.v1 import coupon_service_pb2
from tally.claims.v1.coupon_service_pb2_grpc import CouponServiceServicer, add_CouponServiceServicer_to_server
from tally.petition.v1 import petition_service_pb2
from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceServicer, add_PetitionServiceServicer_to_server
from tally.reputation.v1 import reputation_service_pb2
from tally.reputation.v1.reputation_service_pb2_grpc import (
    ReputationServiceServicer,
    add_ReputationServiceServicer_to_server,
)
from tally.voting.v1 import voting_service_pb2
from tally.voting.v1.voting_service_pb2_grpc import VotingServiceServicer, add_VotingServiceServicer_to_server

from libs.rpc.server import Composition, Registration, run
from libs.rpc.settings import ServerSettings
from tests.load.textbook import OUT_OF_STOCK, TextbookCoupons, TextbookLedgers, TextbookPetitions, TextbookVotes


class EmptyPetitions(PetitionServiceServicer):
    """Answers nothing, as fast as it can be answered."""

    async def CoSign(self, request: Any, context: Any) -> petition_service_pb2.CoSignResponse:
        return petition_service_pb2.CoSignResponse()


class EmptyCounters(AggregatorServiceServicer):
    """The same for the aggregator's messages."""

    async def GetCounter(self, request: Any, context: Any) -> aggregator_service_pb2.GetCounterResponse:
        return aggregator_service_pb2.GetCounterResponse()


class EmptyCoupons(CouponServiceServicer):
    """The same for coupons."""

    async def ClaimCoupon(self, request: Any, context: Any) -> coupon_service_pb2.ClaimCouponResponse:
        return coupon_service_pb2.ClaimCouponResponse()


class RefusingCoupons(CouponServiceServicer):
    """Refuses, with a status that was made before: what a refusal costs gRPC itself, in the server and in the caller."""

    async def ClaimCoupon(self, request: Any, context: Any) -> coupon_service_pb2.ClaimCouponResponse:
        context.set_code(OUT_OF_STOCK.code)
        context.set_details(OUT_OF_STOCK.details)
        context.set_trailing_metadata(OUT_OF_STOCK.trailing_metadata)
        return coupon_service_pb2.ClaimCouponResponse()


class EmptyVotes(VotingServiceServicer):
    """The same for votes."""

    async def CastVote(self, request: Any, context: Any) -> voting_service_pb2.CastVoteResponse:
        return voting_service_pb2.CastVoteResponse()


class EmptyReputations(ReputationServiceServicer):
    """The same for reputations."""

    async def GetReputation(self, request: Any, context: Any) -> reputation_service_pb2.GetReputationResponse:
        return reputation_service_pb2.GetReputationResponse()


ADD_TO_SERVER: tuple[tuple[type, Callable[[Any, grpc.aio.Server], None]], ...] = (
    (PetitionServiceServicer, add_PetitionServiceServicer_to_server),
    (AggregatorServiceServicer, add_AggregatorServiceServicer_to_server),
    (CouponServiceServicer, add_CouponServiceServicer_to_server),
    (VotingServiceServicer, add_VotingServiceServicer_to_server),
    (ReputationServiceServicer, add_ReputationServiceServicer_to_server),
)


async def serve_bare(*servicers: Any) -> None:
    """grpc's own asynchronous server, with nothing around the handlers."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    for servicer in servicers:
        for kind, add in ADD_TO_SERVER:
            if isinstance(servicer, kind):
                add(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f'{{"event": "serving", "address": "127.0.0.1:{port}"}}', flush=True)
    await server.wait_for_termination()


async def serve_textbook(size: int) -> None:
    # Nothing of a session is changed, so nothing needs resetting: a round trip less, for fairness.
    async with asyncpg.create_pool(
        os.environ["TALLY_DATABASE_URL"], min_size=size, max_size=size, connection_class=_Connection
    ) as pool:
        contenders = (TextbookPetitions, TextbookCoupons, TextbookVotes, TextbookLedgers)
        await serve_bare(*(contender(pool) for contender in contenders))  # type: ignore[abstract]  # one method is measured


class _Connection(asyncpg.Connection):
    def get_reset_query(self) -> str:
        return ""


@asynccontextmanager
async def compose_chain(settings: ServerSettings) -> AsyncIterator[Composition]:
    petitions = petition_service_pb2.DESCRIPTOR.services_by_name["PetitionService"]
    servicer = EmptyPetitions()  # type: ignore[abstract]
    yield Composition([Registration(add_PetitionServiceServicer_to_server, servicer, petitions)])


def main() -> None:
    match sys.argv[1]:
        case "bare":
            uvloop.run(serve_bare(EmptyPetitions(), EmptyCounters(), EmptyCoupons(), EmptyVotes(), EmptyReputations()))  # type: ignore[abstract]
        case "refusing":
            uvloop.run(serve_bare(RefusingCoupons()))  # type: ignore[abstract]
        case "chain":
            run("chain", ServerSettings(), compose_chain)
        case "textbook":
            uvloop.run(
                serve_textbook(int(os.environ.get("TEXTBOOK_POOL", "10")))
            )  # as many as asyncpg makes by default
        case "tuned":
            uvloop.run(serve_textbook(2))  # on one hot row nothing is faster; tried
        case other:
            sys.exit(f"no contender {other}")


if __name__ == "__main__":
    main()
