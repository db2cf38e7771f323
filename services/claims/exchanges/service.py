"""The RPCs of `tally.claims.v1.ExchangeService`."""

from functools import partial
from typing import Any

import grpc.aio
from tally.claims.v1 import exchange_service_pb2 as messages
from tally.claims.v1.exchange_service_pb2_grpc import ExchangeServiceServicer

from libs.data.consistency import PRIMARY
from libs.data.database import Database
from libs.data.ids import parse_id
from libs.data.pages import page_size
from libs.data.requests import first_answer
from services.claims.exchanges import convert, store_posts, store_ratings, store_reads
from services.claims.exchanges.exchanging import Exchanging
from services.claims.exchanges.model import Status

Context = grpc.aio.ServicerContext[Any, Any]


class ExchangeService(ExchangeServiceServicer):
    """Food posts and exchanges: no portion is promised twice."""

    def __init__(self, database: Database, exchanging: Exchanging) -> None:
        self._database = database
        self._exchanging = exchanging

    async def CreateFoodPost(
        self, request: messages.CreateFoodPostRequest, context: Context
    ) -> messages.CreateFoodPostResponse:
        new, request_id = convert.to_new_food_post(request.food_post), parse_id(request.request_id)
        committed = await self._database.write(lambda tx: store_posts.create(tx, new, request_id))
        post, token, replayed = first_answer(committed)
        return messages.CreateFoodPostResponse(
            food_post=convert.to_food_post(post), commit_token=token, replayed=replayed
        )

    async def GetFoodPost(self, request: messages.GetFoodPostRequest, context: Context) -> messages.GetFoodPostResponse:
        # The primary, so that whoever just wrote reads it.
        post = await self._database.read(
            partial(store_reads.get_food_post, food_post_id=parse_id(request.food_post_id)), PRIMARY
        )
        return messages.GetFoodPostResponse(food_post=convert.to_food_post(post))

    async def ListFoodPosts(
        self, request: messages.ListFoodPostsRequest, context: Context
    ) -> messages.ListFoodPostsResponse:
        posts, next_page_token = await self._database.read(
            partial(
                store_reads.list_available,
                group_id=parse_id(request.group_id) if request.group_id else None,
                sharing_mode=request.sharing_mode,
                size=page_size(request.page_size),
                token=request.page_token,
            )
        )
        return messages.ListFoodPostsResponse(
            food_posts=map(convert.to_food_post, posts), next_page_token=next_page_token
        )

    async def CloseFoodPost(
        self, request: messages.CloseFoodPostRequest, context: Context
    ) -> messages.CloseFoodPostResponse:
        ids = (parse_id(request.food_post_id), parse_id(request.actor_id), parse_id(request.request_id))
        committed = await self._database.write(lambda tx: store_posts.close(tx, *ids))
        post, token, replayed = first_answer(committed)
        return messages.CloseFoodPostResponse(
            food_post=convert.to_food_post(post), commit_token=token, replayed=replayed
        )

    async def ClaimFood(self, request: messages.ClaimFoodRequest, context: Context) -> messages.ClaimFoodResponse:
        advanced = await self._exchanging.do(convert.to_claim(request))
        return messages.ClaimFoodResponse(**convert.to_advanced(advanced))

    async def ConfirmExchange(
        self, request: messages.ConfirmExchangeRequest, context: Context
    ) -> messages.ConfirmExchangeResponse:
        advanced = await self._exchanging.do(convert.to_advance(request, Status.CONFIRMED))
        return messages.ConfirmExchangeResponse(**convert.to_advanced(advanced))

    async def CompleteExchange(
        self, request: messages.CompleteExchangeRequest, context: Context
    ) -> messages.CompleteExchangeResponse:
        advanced = await self._exchanging.do(convert.to_advance(request, Status.COMPLETED))
        return messages.CompleteExchangeResponse(**convert.to_advanced(advanced))

    async def CancelExchange(
        self, request: messages.CancelExchangeRequest, context: Context
    ) -> messages.CancelExchangeResponse:
        advanced = await self._exchanging.do(convert.to_advance(request, Status.CANCELLED))
        return messages.CancelExchangeResponse(**convert.to_advanced(advanced))

    async def GetExchange(self, request: messages.GetExchangeRequest, context: Context) -> messages.GetExchangeResponse:
        exchange = await self._database.read(
            partial(store_reads.get_exchange, exchange_id=parse_id(request.exchange_id)), PRIMARY
        )
        return messages.GetExchangeResponse(exchange=convert.to_exchange(exchange))

    async def ListExchanges(
        self, request: messages.ListExchangesRequest, context: Context
    ) -> messages.ListExchangesResponse:
        field = request.WhichOneof("of")
        assert field is not None
        exchanges, next_page_token = await self._database.read(
            partial(
                store_reads.list_exchanges,
                field=field,
                whose=parse_id(getattr(request, field)),
                size=page_size(request.page_size),
                token=request.page_token,
            )
        )
        return messages.ListExchangesResponse(
            exchanges=map(convert.to_exchange, exchanges), next_page_token=next_page_token
        )

    async def RateExchange(
        self, request: messages.RateExchangeRequest, context: Context
    ) -> messages.RateExchangeResponse:
        new = convert.to_new_rating(request)
        return convert.to_rate_response(await self._database.write(lambda tx: store_ratings.rate(tx, new)))
