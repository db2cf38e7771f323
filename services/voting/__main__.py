"""Composition root of the voting service: `python -m services.voting`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tally.voting.v1 import analysis_service_pb2, voting_service_pb2
from tally.voting.v1.analysis_service_pb2_grpc import add_AnalysisServiceServicer_to_server
from tally.voting.v1.voting_service_pb2_grpc import add_VotingServiceServicer_to_server

from libs.data.database import Database
from libs.rpc.server import Composition, Registration, run
from services.voting.analysis_service import AnalysisService
from services.voting.author_votes import AuthorVotes
from services.voting.casting import Casting
from services.voting.service import VotingService
from services.voting.settings import VotingSettings


@asynccontextmanager
async def compose(settings: VotingSettings) -> AsyncIterator[Composition]:
    async with Database.open(settings.database) as database:
        casting = Casting(database, settings)
        background = [
            asyncio.create_task(AuthorVotes(database, casting, settings.voting_author_votes_seconds).run()),
        ]
        try:
            yield Composition(
                services=[
                    Registration(
                        add_VotingServiceServicer_to_server,
                        VotingService(database, casting),
                        voting_service_pb2.DESCRIPTOR.services_by_name["VotingService"],
                    ),
                    Registration(
                        add_AnalysisServiceServicer_to_server,
                        AnalysisService(database),
                        analysis_service_pb2.DESCRIPTOR.services_by_name["AnalysisService"],
                    ),
                ],
                drain=[casting.drain, database.drain],
                ready=database.ping,
            )
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)


def main() -> None:
    run("voting", VotingSettings(), compose)


if __name__ == "__main__":
    main()
