"""Composition root of the reputation service: `python -m services.reputation`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tally.reputation.v1 import group_service_pb2, reputation_service_pb2
from tally.reputation.v1.group_service_pb2_grpc import add_GroupServiceServicer_to_server
from tally.reputation.v1.reputation_service_pb2_grpc import add_ReputationServiceServicer_to_server

from libs.data.database import Database
from libs.rpc.server import Composition, Registration, run
from services.reputation.groups.joining import membership_lane
from services.reputation.groups.refreshing import Refreshing
from services.reputation.groups.service import GroupService
from services.reputation.ledger.recording import ledger_lane
from services.reputation.ledger.service import ReputationService
from services.reputation.settings import ReputationSettings
from services.reputation.stream.consumer import consuming


@asynccontextmanager
async def compose(settings: ReputationSettings) -> AsyncIterator[Composition]:
    async with (
        Database.open(settings.database) as database,
        Refreshing.open(settings) as refreshing,
        consuming(database, settings),
    ):
        recording = ledger_lane(database, settings)
        joining = membership_lane(database, settings)
        yield Composition(
            services=[
                Registration(
                    add_ReputationServiceServicer_to_server,
                    ReputationService(database, recording, max_waiting=settings.reputation_max_queue),
                    reputation_service_pb2.DESCRIPTOR.services_by_name["ReputationService"],
                ),
                Registration(
                    add_GroupServiceServicer_to_server,
                    GroupService(database, joining, refreshing),
                    group_service_pb2.DESCRIPTOR.services_by_name["GroupService"],
                ),
            ],
            drain=[recording.drain, joining.drain, refreshing.drain, database.drain],
            ready=database.ping,
        )


def main() -> None:
    run("reputation", ReputationSettings(), compose)


if __name__ == "__main__":
    main()
