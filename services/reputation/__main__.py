"""Composition root of the reputation service: `python -m services.reputation`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tally.reputation.v1 import reputation_service_pb2
from tally.reputation.v1.reputation_service_pb2_grpc import add_ReputationServiceServicer_to_server

from libs.data.database import Database
from libs.rpc.server import Composition, Registration, run
from services.reputation.ledger.recording import Recording
from services.reputation.ledger.service import ReputationService
from services.reputation.settings import ReputationSettings
from services.reputation.stream.consumer import consuming


@asynccontextmanager
async def compose(settings: ReputationSettings) -> AsyncIterator[Composition]:
    async with Database.open(settings.database) as database, consuming(database, settings):
        recording = Recording(database, settings)
        yield Composition(
            services=[
                Registration(
                    add_ReputationServiceServicer_to_server,
                    ReputationService(database, recording),
                    reputation_service_pb2.DESCRIPTOR.services_by_name["ReputationService"],
                ),
            ],
            drain=[recording.drain, database.drain],
            ready=database.ping,
        )


def main() -> None:
    run("reputation", ReputationSettings(), compose)


if __name__ == "__main__":
    main()
