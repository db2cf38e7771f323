"""A worker in a process of its own, to be killed: `python -m tests.jobs.worker_process <url> <settings as JSON>`.

Its job notes that it began; the first run then goes on for ever, and later ones leave an effect.
"""

import asyncio
import sys

from libs.data.database import Database
from libs.data.settings import DatabaseSettings
from libs.data.transaction import Transaction
from libs.jobs.job import Job, JobContext
from libs.jobs.settings import JobSettings
from libs.jobs.worker import Worker

SUPERUSER = ""
TABLES = "CREATE TABLE public.begun (key text); CREATE TABLE public.effects (key text);"


async def note(tx: Transaction, key: str) -> int:
    """How many runs began before."""
    before: int = await tx.fetchval("SELECT count(*) FROM public.begun")
    await tx.execute("INSERT INTO public.begun VALUES ($1)", key)
    return before


async def leave(tx: Transaction, key: str) -> None:
    await tx.execute("INSERT INTO public.effects VALUES ($1)", key)


async def work(context: JobContext, key: str) -> None:
    database = context.database(SUPERUSER)
    if not (await database.write(lambda tx: note(tx, key))).value:
        await asyncio.Event().wait()
    await database.write(lambda tx: leave(tx, key))


DEADLY = Job("deadly", work, timeout=300.0)


async def main(url: str, settings: JobSettings) -> None:
    queue = DatabaseSettings(database_url=url, database_role="tally_operations")
    async with Database.open(DatabaseSettings(database_url=url)) as database:
        await Worker([DEADLY], JobContext({SUPERUSER: database}, asyncio.to_thread), queue, settings).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], JobSettings.model_validate_json(sys.argv[2])))
