"""An aggregator as its tests talk to it: short words for the calls they make most."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from tally.aggregator.v1 import aggregator_pb2 as resources
from tally.aggregator.v1 import aggregator_service_pb2 as messages
from tally.aggregator.v1.aggregator_service_pb2_grpc import AggregatorServiceStub
from tally.common.v1 import count_pb2

from services.aggregator.__main__ import compose
from services.aggregator.settings import AggregatorSettings
from tests.servers import channel_to, quick

if TYPE_CHECKING:  # in the stubs only
    from tally.aggregator.v1.aggregator_service_pb2_grpc import AggregatorServiceAsyncStub

CO_SIGNERS = "petition.co_signers"
ORDINALS = "petition.ordinals"
BY_REGION = "petition.region_co_signers"
PRIMARY = count_pb2.Consistency(primary=True)


def at_least(token: str) -> count_pb2.Consistency:
    return count_pb2.Consistency(at_least=token)


def at_most(seconds: float) -> count_pb2.Consistency:
    """Not older than this."""
    return count_pb2.Consistency(max_staleness=duration(seconds))


def duration(seconds: float) -> Duration:
    made = Duration()
    made.FromNanoseconds(int(seconds * 1e9))
    return made


def seconds(given: Duration) -> float:
    return given.ToNanoseconds() / 1e9


def key(resource_id: str, counter: str = CO_SIGNERS) -> resources.CounterKey:
    return resources.CounterKey(counter=counter, resource_id=resource_id)


class Counters:
    """The stub, and the calls tests make most."""

    def __init__(self, stub: "AggregatorServiceAsyncStub") -> None:
        self.stub = stub

    async def get(
        self, resource_id: str, consistency: count_pb2.Consistency | None = None, counter: str = CO_SIGNERS
    ) -> count_pb2.Count:
        request = messages.GetCounterRequest(key=key(resource_id, counter), consistency=consistency)
        return (await self.stub.GetCounter(request)).count

    async def value(
        self, resource_id: str, consistency: count_pb2.Consistency | None = None, counter: str = CO_SIGNERS
    ) -> int:
        return (await self.get(resource_id, consistency, counter)).value

    async def batch(
        self, keys: Sequence[resources.CounterKey], consistency: count_pb2.Consistency | None = None
    ) -> list[messages.CounterResult]:
        request = messages.BatchGetCountersRequest(keys=keys, consistency=consistency)
        return list((await self.stub.BatchGetCounters(request)).results)

    async def top(self, size: int = 0, counter: str = CO_SIGNERS) -> list[tuple[str, int]]:
        answer = await self.stub.ListTop(messages.ListTopRequest(counter=counter, page_size=size))
        assert all(value.key.counter == counter for value in answer.values)
        return [(value.key.resource_id, value.count.value) for value in answer.values]


@asynccontextmanager
async def aggregator(database_url: str, **settings: object) -> AsyncIterator[Counters]:
    """An aggregator on this database, with the rights it has in production."""
    made = quick(AggregatorSettings, database_url, "tally_aggregator", **settings)
    async with channel_to("aggregator", made, compose) as channel:
        yield Counters(AggregatorServiceStub(channel))
