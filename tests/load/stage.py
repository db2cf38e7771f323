"""The database of a benchmark: made for it, filled, checked for exactness, and removed."""

import contextlib
import os
import shutil
import tempfile
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from libs.data.migrate import upgrade
from libs.devstack.postgres import Cluster, free_port, remove_home
from tests.load.clubs import Clubs
from tests.load.coupons import TEXTBOOK_COUPONS, Coupons
from tests.load.food import discovery_groups
from tests.load.ledgers import TEXTBOOK_LEDGERS, Ledgers
from tests.load.textbook import TEXTBOOK_SCHEMA
from tests.load.votes import TEXTBOOK_VOTES, Votes

NEW_PETITIONS = """
INSERT INTO petition.petition_submissions (petition_id, title, body, petition_type, submitter_id, escalation_thresholds)
SELECT uuidv7(), 'A bench in the park', 'For those who wait.', 'default', gen_random_uuid(), '{100,1000,10000,100000}'
FROM generate_series(1, %s) RETURNING petition_id::text
"""
# What signing one by one would have left behind, written in a tenth of the time.
SIGN = """
INSERT INTO petition.co_signs (petition_id, user_id, ordinal, co_signer_count, request_id, signed_time)
SELECT %(petition)s, gen_random_uuid(), n, n, gen_random_uuid(), clock_timestamp()
FROM generate_series(%(first)s::integer, %(last)s::integer) n
"""
COUNT = """
UPDATE petition.petition_submissions
SET last_ordinal = %(last)s, co_signer_count = %(last)s, signature_rank = operations.rank_of(%(last)s), version = version + 1
WHERE petition_id = %(petition)s
"""
EXACT = """
SELECT coalesce(sum(p.co_signer_count), 0)::bigint AS counter,
       coalesce(sum((SELECT count(*) FROM petition.co_signs c WHERE c.petition_id = p.petition_id)), 0)::bigint AS counted
FROM petition.petition_submissions p WHERE p.petition_id = ANY(%s::uuid[])
"""
EMPTY = """
TRUNCATE petition.co_signs, petition.removed_co_signs, petition.escalations, petition.region_counts, operations.events,
         petition.petition_submissions, textbook.co_signs, textbook.petitions
"""
_PRELOAD_AT_ONCE = 500_000


class Stage:
    """The database by its URL."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self._connection = psycopg.connect(url, autocommit=True)
        self.coupons = Coupons(self._connection)
        self.votes = Votes(self._connection)
        self.ledgers = Ledgers(self._connection)
        self._clubs = Clubs(self._connection)

    def close(self) -> None:
        self._connection.close()

    def empty(self) -> None:
        """Every table as after the migration, so that no round pays for the ones before it."""
        self._connection.execute(EMPTY)
        self.coupons.empty()

    def petitions(self, count: int) -> list[str]:
        return [row[0] for row in self._connection.execute(NEW_PETITIONS, [count])]

    def textbook_petitions(self, count: int) -> list[str]:
        rows = self._connection.execute(
            "INSERT INTO textbook.petitions SELECT uuidv7() FROM generate_series(1, %s) RETURNING petition_id::text",
            [count],
        )
        return [row[0] for row in rows]

    def signed_petition(self, signers: int) -> str:
        """A petition with this many signatures, vacuumed and analysed as autovacuum would have done by then."""
        (petition,) = self.petitions(1)
        for first in range(1, signers + 1, _PRELOAD_AT_ONCE):
            last = min(signers, first + _PRELOAD_AT_ONCE - 1)
            self._connection.execute(SIGN, {"petition": petition, "first": first, "last": last})
        self._connection.execute(COUNT, {"petition": petition, "last": signers})
        self._connection.execute("VACUUM (ANALYZE) petition.co_signs")
        self._connection.execute("CHECKPOINT")
        return petition

    def discovery_groups(self) -> list[str]:
        return discovery_groups(self._connection)

    def clubs(self) -> Clubs:
        """On top of the food posts."""
        discovery_groups(self._connection)
        return self._clubs

    def counter_and_rows(self, petitions: Sequence[str]) -> tuple[int, int]:
        row: Any = self._connection.execute(EXACT, [list(petitions)]).fetchone()
        return row[0], row[1]

    def textbook_counter(self, petitions: Sequence[str]) -> int:
        row: Any = self._connection.execute(
            "SELECT sum(co_signer_count) FROM textbook.petitions WHERE petition_id = ANY(%s::uuid[])", [list(petitions)]
        ).fetchone()
        return int(row[0])


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """A database of its own, on the server of TALLY_DATABASE_URL or on an embedded one that is as durable as the stack's."""
    folder = Path(tempfile.mkdtemp(prefix="tally-bench-"))
    folder.chmod(0o711)
    name = f"tally_bench_{os.getpid()}"
    try:
        with _server(folder) as server_url, psycopg.connect(server_url, autocommit=True) as server:
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            try:
                url = urllib.parse.urlsplit(server_url)._replace(path=f"/{name}").geturl()
                upgrade(url)
                with psycopg.connect(url, autocommit=True) as connection:
                    connection.execute(
                        "".join((TEXTBOOK_SCHEMA, TEXTBOOK_COUPONS, TEXTBOOK_VOTES, TEXTBOOK_LEDGERS)).encode()
                    )
                with contextlib.closing(Stage(url, folder)) as made:
                    yield made
            finally:
                server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[str]:
    if url := os.environ.get("TALLY_DATABASE_URL"):
        yield url
        return
    cluster = Cluster.in_state_folder(folder / "state", port=free_port())
    try:
        cluster.start()
        yield cluster.url("postgres")
    finally:
        cluster.destroy()
        remove_home(folder / "state")
