"""One of two services stands still in the middle of a transaction, holding the locks of the petitions."""

import time
from pathlib import Path

import psycopg
import pytest

from tests.concurrency.callers import calling
from tests.concurrency.checker import assert_exact
from tests.concurrency.mix import LIVELY
from tests.concurrency.petitions import create_petitions
from tests.concurrency.plan import Plan
from tests.concurrency.service_process import ServiceProcess, petition_service

IDLE_IN_TRANSACTION = (
    "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()"
)


@pytest.mark.heavy
def test_a_frozen_service_loses_its_locks_to_the_other_and_answers_nothing_wrong_when_it_wakes(
    database_url: str, seed: str, tmp_path: Path
) -> None:
    """G1, G2, G5: Postgres ends its transaction; the other service signs on; callers of the frozen one learn the truth."""
    limits = {"lock_timeout": "0.5", "idle_in_transaction_timeout": "1"}
    with (
        petition_service(database_url, tmp_path / "frozen.log", **limits) as frozen,
        petition_service(database_url, tmp_path / "other.log", **limits) as other,
    ):
        petitions = create_petitions(other.address, thresholds=[1, *(50 * 2**n for n in range(12))])
        plan = Plan([], petitions, seed, callers=32, users=100_000, items=10, weights=LIVELY, deadline=5.0)
        with (
            calling(plan.of("frozen", frozen.address), tmp_path / "callers-of-frozen") as those_of_frozen,
            calling(plan.of("other", other.address), tmp_path / "callers-of-other") as those_of_other,
        ):
            those_of_frozen.wait_for(100)
            freeze_within_a_transaction(frozen, database_url)
            those_of_other.wait_for(200)
            frozen.resume()
            those_of_frozen.wait_for(100)
            for callers in (those_of_frozen, those_of_other):
                callers.stop()
            history = those_of_frozen.history() + those_of_other.history()
        assert_exact(database_url, petitions, history)


def freeze_within_a_transaction(service: ServiceProcess, database_url: str) -> None:
    """Between two of its statements, as far as Postgres can see."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        give_up = time.monotonic() + 30.0
        while True:
            service.freeze()
            time.sleep(0.05)  # what Postgres was still working at is done by then
            row = connection.execute(f"{IDLE_IN_TRANSACTION} AND client_port = ANY(%s)", [service.ports()]).fetchone()
            if row is not None and row[0]:
                return
            service.resume()
            assert time.monotonic() < give_up, "never frozen within a transaction"
            time.sleep(0.01)
