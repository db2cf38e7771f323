"""The RPCs of `tally.petition.v1.PetitionService`."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc.aio
from tally.petition.v1 import petition_service_pb2 as messages
from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceServicer

from libs.data.catalog.petition import CO_SIGNERS
from libs.data.consistency import PRIMARY
from libs.data.database import Database
from libs.data.ids import parse_id
from libs.data.pages import page_size
from libs.data.requests import first_answer
from libs.data.verification import repair, verify
from libs.rpc.counts import to_consistency
from services.petition import convert, store_petitions, store_reads
from services.petition.errors import PetitionNotFound
from services.petition.settings import PetitionSettings
from services.petition.signing import Signing

Context = grpc.aio.ServicerContext[Any, Any]


class PetitionService(PetitionServiceServicer):
    """Petitions and signatures; every count is exact at every commit."""

    def __init__(self, database: Database, signing: Signing, settings: PetitionSettings) -> None:
        self._database = database
        self._signing = signing
        self._settings = settings

    async def CreatePetition(
        self, request: messages.CreatePetitionRequest, context: Context
    ) -> messages.CreatePetitionResponse:
        new, request_id = convert.to_new_petition(request.petition), parse_id(request.request_id)
        defaults = self._settings.default_thresholds(new.petition_type)
        committed = await self._database.write(lambda tx: store_petitions.create(tx, new, defaults, request_id))
        petition, token, replayed = first_answer(committed)
        return messages.CreatePetitionResponse(
            petition=convert.to_petition(petition), commit_token=token, replayed=replayed
        )

    async def GetPetition(self, request: messages.GetPetitionRequest, context: Context) -> messages.GetPetitionResponse:
        # The primary, so that whoever just wrote reads it.
        petition = await self._database.read(
            partial(store_reads.get, petition_id=parse_id(request.petition_id)), PRIMARY
        )
        return messages.GetPetitionResponse(petition=convert.to_petition(petition))

    async def ListPetitions(
        self, request: messages.ListPetitionsRequest, context: Context
    ) -> messages.ListPetitionsResponse:
        most_signed = request.order == messages.PETITION_ORDER_MOST_SIGNED
        listing = store_reads.list_most_signed if most_signed else store_reads.list_newest
        petitions, next_page_token = await self._database.read(
            partial(listing, size=page_size(request.page_size), token=request.page_token)
        )
        return messages.ListPetitionsResponse(
            petitions=map(convert.to_petition, petitions), next_page_token=next_page_token
        )

    async def ClosePetition(
        self, request: messages.ClosePetitionRequest, context: Context
    ) -> messages.ClosePetitionResponse:
        committed = await self._database.write(
            lambda tx: store_petitions.close(tx, parse_id(request.petition_id), parse_id(request.request_id))
        )
        petition, token, replayed = first_answer(committed)
        return messages.ClosePetitionResponse(
            petition=convert.to_petition(petition), commit_token=token, replayed=replayed
        )

    async def WithdrawPetition(
        self, request: messages.WithdrawPetitionRequest, context: Context
    ) -> messages.WithdrawPetitionResponse:
        ids = (parse_id(request.petition_id), parse_id(request.submitter_id), parse_id(request.request_id))
        committed = await self._database.write(lambda tx: store_petitions.withdraw(tx, *ids))
        petition, token, replayed = first_answer(committed)
        return messages.WithdrawPetitionResponse(
            petition=convert.to_petition(petition), commit_token=token, replayed=replayed
        )

    async def CoSign(self, request: messages.CoSignRequest, context: Context) -> messages.CoSignResponse:
        return convert.to_co_sign_response(await self._signing.sign(convert.to_sign(request)))

    async def BatchCoSign(self, request: messages.BatchCoSignRequest, context: Context) -> messages.BatchCoSignResponse:
        return messages.BatchCoSignResponse(results=await self._signing.sign_each(request.requests))

    async def StreamCoSigns(
        self, request_iterator: AsyncIterator[messages.StreamCoSignsRequest], context: Context
    ) -> AsyncIterator[messages.StreamCoSignsResponse]:
        async for result in self._signing.sign_stream(message.request async for message in request_iterator):
            yield messages.StreamCoSignsResponse(result=result)

    async def WithdrawCoSign(
        self, request: messages.WithdrawCoSignRequest, context: Context
    ) -> messages.WithdrawCoSignResponse:
        return convert.to_withdraw_co_sign_response(await self._signing.withdraw(convert.to_withdraw(request)))

    async def InvalidateCoSigns(
        self, request: messages.InvalidateCoSignsRequest, context: Context
    ) -> messages.InvalidateCoSignsResponse:
        petition_id, request_id = parse_id(request.petition_id), parse_id(request.request_id)
        selection = convert.to_selection(request)
        committed = await self._database.write(
            lambda tx: store_petitions.invalidate(tx, petition_id, selection, request.reason, request_id)
        )
        return convert.to_invalidate_response(committed)

    async def GetCoSignerCount(
        self, request: messages.GetCoSignerCountRequest, context: Context
    ) -> messages.GetCoSignerCountResponse:
        petition_id, consistency = parse_id(request.petition_id), to_consistency(request.consistency)
        if not request.include_regions:
            read = await self._database.read(partial(store_reads.count, petition_id=petition_id), consistency)
            return messages.GetCoSignerCountResponse(count=convert.to_read_count(read))
        read, regions = await self._database.read(
            partial(store_reads.count_by_region, petition_id=petition_id), consistency
        )
        return messages.GetCoSignerCountResponse(
            count=convert.to_read_count(read), region_counts=convert.to_region_counts(regions)
        )

    async def ListCoSigners(
        self, request: messages.ListCoSignersRequest, context: Context
    ) -> messages.ListCoSignersResponse:
        signatures, next_page_token = await self._database.read(
            partial(
                store_reads.list_co_signs,
                petition_id=parse_id(request.petition_id),
                size=page_size(request.page_size),
                token=request.page_token,
            )
        )
        return messages.ListCoSignersResponse(
            co_signs=map(convert.to_co_sign, signatures), next_page_token=next_page_token
        )

    async def ListEscalations(
        self, request: messages.ListEscalationsRequest, context: Context
    ) -> messages.ListEscalationsResponse:
        escalations, next_page_token = await self._database.read(
            partial(
                store_reads.list_escalations,
                petition_id=parse_id(request.petition_id),
                size=page_size(request.page_size),
                token=request.page_token,
            )
        )
        return messages.ListEscalationsResponse(
            escalations=map(convert.to_escalation, escalations), next_page_token=next_page_token
        )

    async def VerifyCoSignerCount(
        self, request: messages.VerifyCoSignerCountRequest, context: Context
    ) -> messages.VerifyCoSignerCountResponse:
        key = (parse_id(request.petition_id),)
        if not await self._database.read(partial(store_reads.exists, petition_id=key[0]), PRIMARY):
            raise PetitionNotFound(key[0])
        if request.repair:
            found = (await self._database.write(lambda tx: repair(tx, CO_SIGNERS, key))).value
        else:
            found = await self._database.read(lambda snapshot: verify(snapshot, CO_SIGNERS, key), PRIMARY)
        return messages.VerifyCoSignerCountResponse(
            counter=found.counter,
            counted=found.counted,
            consistent=found.consistent,
            repaired=request.repair and not found.consistent,
        )
