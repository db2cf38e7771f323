"""Composition root of the aggregator: `python -m services.aggregator`."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tally.aggregator.v1 import aggregator_service_pb2
from tally.aggregator.v1.aggregator_service_pb2_grpc import add_AggregatorServiceServicer_to_server

from libs.data.database import Database
from libs.data.events import StoredEvent
from libs.data.follower import Follower
from libs.rpc.server import Composition, Registration, run
from services.aggregator.loader import Loader
from services.aggregator.measures import EVENTS, Asked, observe
from services.aggregator.memory import Memory
from services.aggregator.rankings import Rankings
from services.aggregator.reader import Reader
from services.aggregator.service import AggregatorService
from services.aggregator.settings import AggregatorSettings
from services.aggregator.watching import Watches


@asynccontextmanager
async def compose(settings: AggregatorSettings) -> AsyncIterator[Composition]:
    memory, asked = Memory(settings.aggregator_max_entries), Asked()

    def apply(events: Sequence[StoredEvent]) -> None:
        memory.apply(events)
        rankings.apply(events)
        asked.flush()
        if events:
            EVENTS.add(len(events))

    def reset() -> None:
        memory.clear()
        rankings.clear()

    async with Database.open(settings.database) as database:
        follower = Follower(
            database, apply, reset, fast=settings.aggregator_poll_fast, slow=settings.aggregator_poll_slow
        )
        rankings = Rankings(database, follower)
        loader = Loader(database, follower, memory, settings.aggregator_max_waiting)
        reader = Reader(follower, memory, loader, asked)
        watches = Watches(memory, loader, reader, settings.aggregator_max_watched)
        observe(memory, follower)

        async def ready() -> None:
            """Ready once the stream is followed; without the database, what is held is still served, and says its age."""
            await follower.started()

        following = asyncio.create_task(follower.run())
        try:
            yield Composition(
                services=[
                    Registration(
                        add_AggregatorServiceServicer_to_server,
                        AggregatorService(memory, reader, watches, rankings, asked),
                        aggregator_service_pb2.DESCRIPTOR.services_by_name["AggregatorService"],
                    )
                ],
                ready=ready,
            )
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


def main() -> None:
    run("aggregator", AggregatorSettings(), compose)


if __name__ == "__main__":
    main()
