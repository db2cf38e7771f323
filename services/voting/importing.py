"""Importing a conversation from a stream: it is read on while what was read is written, a batch a transaction."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial

from tally.voting.v1 import transfer_pb2 as transfer
from tally.voting.v1 import voting_service_pb2 as messages

from libs.data.database import Database
from libs.data.errors import FieldViolation, InvalidInput, TallyError
from libs.rpc.validation import violations
from services.voting import convert_transfer, store_import
from services.voting.model_transfer import Header, Item
from services.voting.names import Names

Requests = AsyncIterator[messages.ImportConversationRequest]
Rejected = tuple[int, TallyError]

# Items of one transaction. An opinion weighs as much as several votes: it has a text, and more indexes.
MAX_BATCH = 2_000
OPINION_WEIGHT = 4
# Items left out that are told one by one.
MAX_TOLD = 1_000
# Votes that are looked at before others get a turn.
_TURN = 200


@dataclass(slots=True)
class Batch:
    """What is written together: items in the order of the stream, and those that were bad in themselves."""

    items: list[Item] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    weight: int = 0


class Importing:
    """Takes imports on.

    Args:
        max_batch: votes of one transaction.
    """

    def __init__(self, database: Database, max_batch: int = MAX_BATCH) -> None:
        self._database = database
        self._max_batch = max_batch

    async def run(self, requests: Requests) -> messages.ImportConversationResponse:
        """Imports a stream to its end. What committed before it broke off, or failed, stays; memory is bounded.

        Raises:
            InvalidInput: the header is bad, missing, not the first or not the only one.
            ConversationLocked: it is, or was locked meanwhile.
        """
        upcoming = aiter(requests)
        header = await _header(upcoming)
        opened = await self._database.write(lambda tx: store_import.open_conversation(tx, header))
        report = _Report(self._database, opened.value, opened.token)
        batches: asyncio.Queue[Batch | None] = asyncio.Queue(maxsize=1)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_read(upcoming, batches, self._max_batch))
                tasks.create_task(report.write(batches))
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return report.response()


async def _header(requests: Requests) -> Header:
    async for request in requests:
        if request.WhichOneof("item") == "header":
            return convert_transfer.to_header(request.header)
        break
    raise InvalidInput([FieldViolation("header", "must come first")])


async def _read(requests: Requests, batches: "asyncio.Queue[Batch | None]", max_batch: int) -> None:
    """Gathers items into batches until the stream ends; waits while two of them wait to be written."""
    intake = _Intake()
    async for request in requests:
        await intake.take(request)
        while intake.batch.weight >= max_batch:
            await batches.put(intake.batch)
            intake.batch = Batch()
    await batches.put(intake.batch)
    await batches.put(None)


class _Intake:
    """Numbers the items of a stream and looks at each by itself."""

    def __init__(self) -> None:
        self.batch = Batch()
        self._number = 0
        self._votes = convert_transfer.VoteItems()

    async def take(self, request: messages.ImportConversationRequest) -> None:
        """Adds to the batch; bad items to those that are left out.

        Raises:
            InvalidInput: another header.
        """
        kind = request.WhichOneof("item")
        if kind == "votes":
            await self._take_votes(request.votes)
        elif kind == "vote":
            self._take_vote(request.vote, "vote.")
        elif kind == "opinion":
            self._take_opinion(request.opinion)
        else:
            raise InvalidInput([FieldViolation("header", "must come once, and first")])

    def _take_opinion(self, opinion: transfer.TransferredOpinion) -> None:
        self._number += 1
        try:
            item = convert_transfer.to_opinion_item(opinion, self._number)
        except InvalidInput as error:
            self._reject(error)
        else:
            self.batch.items.append(item)
            self.batch.weight += OPINION_WEIGHT

    def _take_vote(self, vote: transfer.TransferredVote, path: str, place: int = 0) -> None:
        self._number += 1
        try:
            item = self._votes.item(vote, self._number, path, place)
        except InvalidInput as error:
            self._reject(error)
        else:
            self.batch.items.append(item)
            self.batch.weight += 1

    async def _take_votes(self, many: transfer.TransferredVotes) -> None:
        """Of too many or none, each is left out."""
        votes = many.votes
        if bad := violations(many, "votes."):
            error = InvalidInput(bad)
            for _ in range(max(1, len(votes))):
                self._number += 1
                self._reject(error)
            return
        for place, vote in enumerate(votes):
            self._take_vote(vote, "votes.votes[{}].", place)
            if place % _TURN == _TURN - 1:
                await asyncio.sleep(0)

    def _reject(self, error: TallyError) -> None:
        self.batch.rejected.append((self._number, error))
        self.batch.weight += 1


class _Report:
    """Writes batches and adds up what became of them."""

    def __init__(self, database: Database, opened: store_import.Opened, token: str | None) -> None:
        self._database = database
        self._conversation_id = opened.conversation_id
        self._names = Names(opened.conversation_id)
        self._counts = opened.counts
        self._token = token
        self._unchanged = 0
        self._rejected_count = 0
        self._told: list[Rejected] = []

    async def write(self, batches: "asyncio.Queue[Batch | None]") -> None:
        while (batch := await batches.get()) is not None:
            rejected = batch.rejected
            if batch.items:
                committed = await self._database.write(
                    partial(
                        store_import.import_batch,
                        conversation_id=self._conversation_id,
                        names=self._names,
                        items=batch.items,
                    )
                )
                imported = committed.value
                self._counts, self._token = imported.counts, committed.token or self._token
                self._unchanged += imported.unchanged
                rejected = sorted(rejected + imported.rejected, key=lambda left_out: left_out[0])
            self._rejected_count += len(rejected)
            self._told += rejected[: MAX_TOLD - len(self._told)]

    def response(self) -> messages.ImportConversationResponse:
        return convert_transfer.to_import_response(
            self._counts, self._unchanged, self._rejected_count, self._told, self._conversation_id, self._token or ""
        )
