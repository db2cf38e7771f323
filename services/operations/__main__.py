"""Composition root of the operations service: `python -m services.operations`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tally.operations.v1 import operations_service_pb2
from tally.operations.v1.operations_service_pb2_grpc import add_OperationsServiceServicer_to_server

from libs.data.database import Database
from libs.rpc.server import Composition, Registration, run
from services.operations.databases import service_databases
from services.operations.service import OperationsService
from services.operations.settings import OperationsSettings
from services.operations.worker import background


@asynccontextmanager
async def compose(settings: OperationsSettings) -> AsyncIterator[Composition]:
    async with (
        Database.open(settings.database) as database,
        service_databases(
            settings.database, settings.operations_service_pool_max, settings.jobs.statement_seconds
        ) as services,
        background(settings, database, services) as drain_jobs,
    ):
        yield Composition(
            services=[
                Registration(
                    add_OperationsServiceServicer_to_server,
                    OperationsService(database, services, settings.operations_status_seconds),
                    operations_service_pb2.DESCRIPTOR.services_by_name["OperationsService"],
                )
            ],
            drain=[*drain_jobs, database.drain, *(each.drain for each in services.values())],
            ready=database.ping,
        )


def main() -> None:
    run("operations", OperationsSettings(), compose)


if __name__ == "__main__":
    main()
