"""Composition root of the petition service: `python -m services.petition`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tally.petition.v1 import petition_service_pb2
from tally.petition.v1.petition_service_pb2_grpc import add_PetitionServiceServicer_to_server

from libs.data.database import Database
from libs.rpc.server import Composition, Registration, run
from services.petition.service import PetitionService
from services.petition.settings import PetitionSettings
from services.petition.signing import Signing


@asynccontextmanager
async def compose(settings: PetitionSettings) -> AsyncIterator[Composition]:
    async with Database.open(settings.database) as database:
        signing = Signing(database, settings)
        yield Composition(
            services=[
                Registration(
                    add_PetitionServiceServicer_to_server,
                    PetitionService(database, signing, settings),
                    petition_service_pb2.DESCRIPTOR.services_by_name["PetitionService"],
                )
            ],
            drain=[signing.drain, database.drain],
            ready=database.ping,
        )


def main() -> None:
    run("petition", PetitionSettings(), compose)


if __name__ == "__main__":
    main()
