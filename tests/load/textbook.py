"""What one writes first: one transaction a call, `SELECT … FOR UPDATE`, INSERT, UPDATE, COMMIT."""

from decimal import Decimal
from typing import Any

import asyncpg
from tally.claims.v1 import coupon_service_pb2
from tally.claims.v1.coupon_service_pb2_grpc import CouponServiceServicer
from tally.petition.v1 import petition_pb2, petition_service_pb2
from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceServicer
from tally.reputation.v1 import reputation_pb2, reputation_service_pb2
from tally.reputation.v1.reputation_service_pb2_grpc import ReputationServiceServicer
from tally.voting.v1 import voting_pb2, voting_service_pb2
from tally.voting.v1.voting_service_pb2_grpc import VotingServiceServicer

from libs.data.errors import FailedPrecondition
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
OUT_OF_STOCK = to_grpc(FailedPrecondition("nothing is left", reason="OUT_OF_STOCK"))


class TextbookPetitions(PetitionServiceServicer):
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


class TextbookLedgers(ReputationServiceServicer):
    """One transaction a call: lock the user, append to the ledger, move the score, commit."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    async def RecordReputationEvent(
        self, request: Any, context: Any
    ) -> reputation_service_pb2.RecordReputationEventResponse:
        impact = Decimal(request.impact_score)
        async with self._pool.acquire() as connection, connection.transaction():
            before, count = await connection.fetchrow(  # type: ignore[misc]  # the user is there
                "SELECT score, event_count FROM textbook.scores WHERE user_id = $1 FOR UPDATE", request.user_id
            )
            after = min(max(before + impact, Decimal(0)), Decimal("99.99"))
            await connection.execute(
                "INSERT INTO textbook.ledger (user_id, sequence, impact, before, after, request_id) "
                "VALUES ($1, $2, $3, $4, $5, $6)",
                request.user_id,
                count + 1,
                impact,
                before,
                after,
                request.request_id,
            )
            await connection.execute(
                "UPDATE textbook.scores SET score = $2, event_count = $3 WHERE user_id = $1",
                request.user_id,
                after,
                count + 1,
            )
        event = reputation_pb2.ReputationEvent(
            user_id=request.user_id, previous_score=str(before), new_score=str(after)
        )
        return reputation_service_pb2.RecordReputationEventResponse(event=event)


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
