"""The RPCs of `tally.aggregator.v1.AggregatorService`."""

import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import grpc.aio
from tally.aggregator.v1 import aggregator_pb2 as resources
from tally.aggregator.v1 import aggregator_service_pb2 as messages
from tally.aggregator.v1.aggregator_service_pb2_grpc import AggregatorServiceServicer

from libs.data.consistency import ANY
from libs.data.errors import FieldViolation, InvalidInput, TallyError
from libs.rpc.counts import to_consistency
from libs.rpc.validation import violations
from services.aggregator import answers
from services.aggregator.answers import Answers
from services.aggregator.errors import ResourceNotFound
from services.aggregator.keys import Key, canonical, find_counter, served
from services.aggregator.measures import Asked
from services.aggregator.memory import Entry, Memory
from services.aggregator.rankings import Rankings
from services.aggregator.reader import Reader
from services.aggregator.watching import Watches

Context = grpc.aio.ServicerContext[Any, Any]

DEFAULT_TOP = 10


class AggregatorService(AggregatorServiceServicer):
    """Counters from memory, each with its age, its source and the commit it reflects."""

    def __init__(self, memory: Memory, reader: Reader, watches: Watches, rankings: Rankings, asked: Asked) -> None:
        self._memory = memory
        self._reader = reader
        self._watches = watches
        self._rankings = rankings
        self._asked = asked
        self._answers = Answers()

    async def ListCounters(
        self, request: messages.ListCountersRequest, context: Context
    ) -> messages.ListCountersResponse:
        return messages.ListCountersResponse(
            counters=[answers.to_counter(each) for _, each in sorted(served().items())]
        )

    async def GetCounter(self, request: messages.GetCounterRequest, context: Context) -> messages.GetCounterResponse:
        asked = request.key
        entry = self._memory.find((asked.counter, asked.resource_id))
        if entry is not None and entry.known and not request.HasField("consistency"):
            self._asked.hits += 1
            return self._answers.of_held(entry, self._reader.watermark_of(entry))
        key = canonical(find_counter(asked.counter), asked.resource_id)
        readings = await self._reader.read([key], to_consistency(request.consistency))
        if key not in readings:
            raise ResourceNotFound(*key)
        return answers.to_get_response(readings[key])

    async def BatchGetCounters(
        self, request: messages.BatchGetCountersRequest, context: Context
    ) -> messages.BatchGetCountersResponse:
        consistency = to_consistency(request.consistency)
        if consistency == ANY and (entries := self._all_held(request.keys)) is not None:
            self._asked.hits += len(entries)
            return self._answers.of_all_held(entries, self._reader.watermark_of)
        keys = [_key_or_error(item, f"keys[{place}].") for place, item in enumerate(request.keys)]
        readings = await self._reader.read([key for key in keys if not isinstance(key, TallyError)], consistency)
        response = messages.BatchGetCountersResponse()
        for key in keys:
            if isinstance(key, TallyError):
                response.results.append(answers.to_error_result(key))
            elif key in readings:
                response.results.add(count=answers.count_of(readings[key]))
            else:
                response.results.append(answers.to_error_result(ResourceNotFound(*key)))
        return response

    async def WatchCounters(
        self, request: messages.WatchCountersRequest, context: Context
    ) -> AsyncIterator[messages.WatchCountersResponse]:
        interval = request.min_interval.ToNanoseconds() / 1e9
        async with contextlib.aclosing(self._watches.watch(_different(request.keys), interval)) as changes:
            async for readings in changes:
                yield answers.to_watch_response(readings)

    async def ListTop(self, request: messages.ListTopRequest, context: Context) -> messages.ListTopResponse:
        counter = find_counter(request.counter)
        top = await self._rankings.top(counter, request.page_size or DEFAULT_TOP)
        return answers.to_top_response(counter, top.ranked, top.watermark, from_primary=top.from_primary)

    def _all_held(self, keys: Iterable[resources.CounterKey]) -> list[Entry] | None:
        """The entries if every key is in memory; then each is valid too, so none needs to be checked."""
        find = self._memory.find
        entries = []
        for key in keys:
            entry = find((key.counter, key.resource_id))
            if entry is None or not entry.known:
                return None
            entries.append(entry)
        return entries


def _key_or_error(item: resources.CounterKey, prefix: str) -> Key | TallyError:
    if bad := violations(item, prefix):
        return InvalidInput(bad)
    try:
        return canonical(find_counter(item.counter), item.resource_id, f"{prefix}resource_id")
    except TallyError as error:
        return error


def _different(items: Sequence[resources.CounterKey]) -> list[Key]:
    """The keys, none twice.

    Raises:
        CounterNotFound, InvalidInput: of the first key that is bad.
    """
    keys: dict[Key, None] = {}
    for place, item in enumerate(items):
        key = canonical(find_counter(item.counter), item.resource_id, f"keys[{place}].resource_id")
        if key in keys:
            raise InvalidInput([FieldViolation(f"keys[{place}]", "is there twice")])
        keys[key] = None
    return list(keys)
