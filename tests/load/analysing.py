"""Analyses of one conversation, without a pause, as a worker makes them: `python -m tests.load.analysing URL CONVERSATION`.

Writes the seconds of each, reading and storing included, a line each, and ends with its standard input.
"""

import asyncio
import base64
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO
from uuid import UUID, uuid4

from libs.cli.callers.orders import Measurement, Outcome
from libs.data.database import Database
from libs.data.settings import DatabaseSettings
from libs.jobs.job import JobContext
from libs.jobs.processes import Processes
from services.voting import store_analysis
from services.voting.jobs import ROLE, analyse


class Analyser:
    """This program, at work."""

    def __init__(self, output: IO[str]) -> None:
        self._output = output

    def next(self) -> float:
        """Waits for the next analysis; the seconds it took."""
        return float(self._output.readline())


@contextmanager
def analyser(url: str, conversation_id: str) -> Iterator[Analyser]:
    """Analyses the conversation for as long as this is open. The first analysis, which finds everything cold, is over."""
    command = [sys.executable, "-m", "tests.load.analysing", url, conversation_id]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        analyses = Analyser(process.stdout)
        try:
            analyses.next()
            yield analyses
        finally:
            process.stdin.close()
            process.stdout.read()


def to_outcome(seconds: Sequence[float]) -> Outcome:
    latencies = base64.b64encode(array("f", seconds).tobytes()).decode()
    return Outcome(
        [Measurement(seconds=sum(seconds), calls=len(seconds), items=len(seconds), failures={}, latencies=latencies)]
    )


async def main(url: str, conversation_id: UUID) -> None:
    settings = DatabaseSettings(database_url=url, database_role=ROLE)
    over = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    async with (
        Database.open(settings) as database,
        Processes.open(1, ["services.voting.analysing_numbers"]) as processes,
    ):
        await processes.ready()
        context = JobContext({ROLE: database}, processes.call)
        while not over.done():
            # Else there would be nothing to do where nobody votes.
            await database.write(lambda tx: store_analysis.request(tx, conversation_id, uuid4()))
            started = time.perf_counter()
            await analyse(context, str(conversation_id))
            print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], UUID(sys.argv[2])))
