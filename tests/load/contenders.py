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
from tally.petition.v1 import petition_pb2, petition_service_pb2
from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceServicer, add_PetitionServiceServicer_to_server
from tally.voting.v1 import voting_pb2, voting_service_pb2
from tally.voting.v1.voting_service_pb2_grpc import VotingServiceServicer, add_VotingServiceServicer_to_server

from libs.data.errors import FailedPrecondition
from libs.rpc.server import Composition, Registration, run
from libs.rpc.settings import ServerSettings
from libs.rpc.status import to_grpc

TEXTBOOK_SCHEMA = """
CREATE SCHEMA textbook;
CREATE TABLE textbook.petitions (petition_id uuid PRIMARY KEY, co_signer_count integer NOT NULL DEFAULT 0)
    WITH (fillfactor = 70);
CREATE TABLE textbook.co_signs (
    petition_id uuid        NOT NULL REFERENCES textbook.petitions,
    user_id     uuid        NOT NULL,
    ordinal     integer     NOT NULL,
    request_id  uuid        NOT NULL,
    signed_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (petition_id, user_id)
);
"""


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


class Textbook(PetitionServiceServicer):
    """One transaction a call: lock the row, insert, count, commit."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    async def CoSign(self, request: Any, context: Any) -> petition_service_pb2.CoSignResponse:
        async with self._pool.acquire() as connection, connection.transaction():
            count = await connection.fetchval(
                "SELECT co_signer_count FROM textbook.petitions WHERE petition_id = $1 FOR UPDATE", request.petition_id
            )
            count += 1
            await connection.execute(
                "INSERT INTO textbook.co_signs (petition_id, user_id, ordinal, request_id) VALUES ($1, $2, $3, $4)",
                request.petition_id,
                request.user_id,
                count,
                request.request_id,
            )
            await connection.execute(
                "UPDATE textbook.petitions SET co_signer_count = $2 WHERE petition_id = $1", request.petition_id, count
            )
        co_sign = petition_pb2.CoSign(petition_id=request.petition_id, user_id=request.user_id, ordinal=count)
        return petition_service_pb2.CoSignResponse(co_sign=co_sign, co_signer_count=count)


class TextbookCoupons(CouponServiceServicer):
    """One transaction a call: lock the row, look at the stock, insert, take one, commit."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    async def ClaimCoupon(self, request: Any, context: Any) -> coupon_service_pb2.ClaimCouponResponse:
        name = request.coupon_name
        async with self._pool.acquire() as connection, connection.transaction():
            remaining = await connection.fetchval(
                "SELECT remaining FROM textbook.coupons WHERE name = $1 FOR UPDATE", name
            )
            if remaining > 0:
                await connection.execute(
                    "INSERT INTO textbook.claims (coupon_name, user_id, request_id) VALUES ($1, $2, $3)",
                    name,
                    request.user_id,
                    request.request_id,
                )
                await connection.execute("UPDATE textbook.coupons SET remaining = remaining - 1 WHERE name = $1", name)
        if remaining == 0:
            await context.abort_with_status(OUT_OF_STOCK)
        return coupon_service_pb2.ClaimCouponResponse(remaining_amount=remaining - 1)


_STORED = {voting_pb2.VOTE_AGREE: 1, voting_pb2.VOTE_DISAGREE: -1, voting_pb2.VOTE_PASS: 0}


class TextbookVotes(VotingServiceServicer):
    """One transaction a call: lock the conversation, set the vote, move the opinion's and its counters, commit."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    async def CastVote(self, request: Any, context: Any) -> voting_service_pb2.CastVoteResponse:
        vote = _STORED[request.vote]
        async with self._pool.acquire() as connection, connection.transaction():
            count = await connection.fetchval(
                "SELECT vote_count FROM textbook.conversations WHERE conversation_id = $1 FOR UPDATE",
                request.conversation_id,
            )
            before = await connection.fetchval(
                "INSERT INTO textbook.votes (opinion_id, user_id, vote, request_id) VALUES ($1, $2, $3, $4) "
                "ON CONFLICT (opinion_id, user_id) DO UPDATE SET vote = $3, request_id = $4, vote_time = now() "
                "RETURNING old.vote",
                request.opinion_id,
                request.user_id,
                vote,
                request.request_id,
            )
            moved = [(vote == stored) - (before == stored) for stored in _STORED.values()]
            counts = await connection.fetchrow(
                "UPDATE textbook.opinions SET agree_count = agree_count + $2, disagree_count = disagree_count + $3, "
                "pass_count = pass_count + $4 WHERE opinion_id = $1 RETURNING agree_count, disagree_count, pass_count",
                request.opinion_id,
                *moved,
            )
            if before is None:
                count += 1
                await connection.execute(
                    "UPDATE textbook.conversations SET vote_count = $2 WHERE conversation_id = $1",
                    request.conversation_id,
                    count,
                )
        assert counts is not None
        agrees, disagrees, passes = counts
        return voting_service_pb2.CastVoteResponse(
            opinion_counts=voting_pb2.OpinionCounts(agrees=agrees, disagrees=disagrees, passes=passes),
            conversation_counts=voting_pb2.ConversationCounts(vote_count=count),
        )


OUT_OF_STOCK = to_grpc(FailedPrecondition("nothing is left", reason="OUT_OF_STOCK"))
ADD_TO_SERVER: tuple[tuple[type, Callable[[Any, grpc.aio.Server], None]], ...] = (
    (PetitionServiceServicer, add_PetitionServiceServicer_to_server),
    (AggregatorServiceServicer, add_AggregatorServiceServicer_to_server),
    (CouponServiceServicer, add_CouponServiceServicer_to_server),
    (VotingServiceServicer, add_VotingServiceServicer_to_server),
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
        await serve_bare(Textbook(pool), TextbookCoupons(pool), TextbookVotes(pool))  # type: ignore[abstract]  # one method is measured


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
            uvloop.run(serve_bare(EmptyPetitions(), EmptyCounters(), EmptyCoupons(), EmptyVotes()))  # type: ignore[abstract]
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
