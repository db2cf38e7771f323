"""A service's memory after many calls."""

import os
from pathlib import Path

import psycopg
import pytest

from tests.concurrency.callers import calling
from tests.concurrency.mix import UNARY
from tests.concurrency.petitions import create_petitions
from tests.concurrency.plan import Plan
from tests.concurrency.service_process import petition_service

# TALLY_MEMORY_CALLS=1000000 for the full form, which takes some ten minutes.
MANY = int(os.environ.get("TALLY_MEMORY_CALLS", "200000"))
# What a call may leave behind while allocators and caches still fill, against what a leak would.
ALLOWED = 1.10


@pytest.mark.parametrize(
    ("first", "calls"),
    [
        pytest.param(2_000, 6_000, marks=pytest.mark.heavy),
        pytest.param(100_000, MANY, marks=[pytest.mark.heavy, pytest.mark.timeout(3_600)]),
    ],
)
def test_a_service_has_no_more_memory_after_many_calls_than_after_few(
    database_url: str, seed: str, tmp_path: Path, first: int, calls: int
) -> None:
    """Resident memory grows by less than a tenth from the first calls to the last, errors and repeats among them."""
    with petition_service(database_url, tmp_path / "petition.log") as service:
        petitions = create_petitions(service.address, 20)
        plan = Plan([service.address], petitions, seed, callers=64, weights=UNARY, keep_history=False)
        with calling(plan, tmp_path) as callers:
            callers.wait_for(first, seconds=first / 100)
            before = service.rss
            callers.wait_for(calls - first, seconds=calls / 100)
            after = service.rss
            callers.stop()
            callers.history()
        print(f"resident memory: {before >> 20} MB after {first:,} calls, {after >> 20} MB after {calls:,}")
        assert after < before * ALLOWED, f"{before:,} bytes after {first:,} calls, {after:,} after {calls:,}"
    with psycopg.connect(database_url) as connection:
        wrong = connection.execute(
            "SELECT count(*) FROM petition.petition_submissions p WHERE co_signer_count <> "
            "(SELECT count(*) FROM petition.co_signs c WHERE c.petition_id = p.petition_id)"
        ).fetchone()
    assert wrong == (0,)
