"""Consumers of the event stream are killed in the middle of their work, over and over: each event has its effects once (G7)."""

import time
import urllib.request
from pathlib import Path

import psycopg
import pytest

from libs.devstack.postgres import free_port
from tests.chaos.streaming import consumers, stream_of
from tests.concurrency.service_process import ServiceProcess
from tests.unit.devstack.waiting import wait_until

# Seconds in which what is told must have its effects once nobody dies any more.
AT_REST = 2.0
# The same where other tests run beside it: how quick it is, is measured when it is alone.
AT_LEISURE = 30.0
# Seconds from one kill to the next.
EVERY = 1.0
LOOK_EVERY = 0.2
BATCH = 10_000


def kill_one_at_work(processes: list[ServiceProcess]) -> int:
    """The one that has served longest, and starts it again; how many that were."""
    for process in processes:
        if process.serving:
            process.kill()
            process.start(wait=False)
            processes.append(processes.pop(processes.index(process)))
            return 1
    return 0


@pytest.mark.parametrize(
    ("events", "users", "count", "at_least", "at_most"),
    [
        pytest.param(4_000, 500, 2, 1, 2, id="small"),
        pytest.param(200_000, 10_000, 4, 10, 1_000, id="large", marks=pytest.mark.heavy),
    ],
)
def test_every_effect_is_there_once_while_a_consumer_dies_each_second(
    database_url: str, tmp_path: Path, events: int, users: int, count: int, at_least: int, at_most: int
) -> None:
    with stream_of(database_url, users) as stream:
        for _ in range(0, events, BATCH):
            stream.tell(min(events, BATCH))
        with consumers(database_url, tmp_path, count) as processes:
            began = next_kill = time.monotonic()
            kills = 0
            while (recorded := stream.recorded) < stream.due:
                assert time.monotonic() - began < 110.0, f"{recorded:,} of {stream.due:,} recorded"
                if recorded and kills < at_most and time.monotonic() >= next_kill:
                    kills += kill_one_at_work(processes)
                    next_kill = time.monotonic() + EVERY
                time.sleep(LOOK_EVERY)
            took = time.monotonic() - began
            print(
                f"{events:,} events, {stream.due:,} effects, {kills} kills: {took:.1f} s, {events / took:,.0f} events/s"
            )
            assert kills >= at_least
            stream.assert_exact()

            for process in processes:
                process.wait_until_serving()
            stream.tell(100)
            within = AT_REST if events >= 200_000 else AT_LEISURE
            wait_until(lambda: stream.recorded == stream.due, seconds=within)
            assert stream.lag_seconds < within
            stream.assert_exact()


# No statement that moves a checkpoint ends while somebody has the lock: its effects are written by then, and not committed.
HOLD_BACK = """
CREATE FUNCTION public.hold_back() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock_shared(6); RETURN NULL; END';
CREATE TRIGGER hold_back AFTER UPDATE ON reputation.event_stream_checkpoints
    FOR EACH ROW EXECUTE FUNCTION public.hold_back();
"""


def test_a_consumer_that_dies_between_an_effect_and_its_commit_has_done_nothing(
    database_url: str, tmp_path: Path
) -> None:
    with (
        psycopg.connect(database_url, autocommit=True) as db,
        stream_of(database_url, 10) as stream,
        consumers(database_url, tmp_path, 1) as (process,),
    ):
        db.execute(HOLD_BACK)
        db.execute("SELECT pg_advisory_lock(6)")
        stream.tell(20)
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        wait_until(lambda: db.execute(waiting).fetchone() == (1,))
        process.kill()
        assert stream.recorded == 0
        db.execute("SELECT pg_advisory_unlock(6)")
        wait_until(lambda: db.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,))
        assert stream.recorded == 0, "what was not committed is not there"
        process.start()
        wait_until(lambda: stream.recorded == stream.due)
        stream.assert_exact()


def test_the_lag_of_every_partition_is_measured(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    with (
        stream_of(database_url, 10) as stream,
        consumers(database_url, tmp_path, 1, metrics_listen=f"127.0.0.1:{port}"),
    ):
        stream.tell(100)
        wait_until(lambda: stream.recorded == stream.due)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            metrics: dict[str, float] = {}
            for line in answer.read().decode().splitlines():
                if line.startswith("tally_reputation_stream"):
                    name, _, value = line.rpartition(" ")
                    metrics[name] = float(value)
    lags = {name: lag for name, lag in metrics.items() if name.startswith("tally_reputation_stream_lag_seconds")}
    assert len(lags) == 8
    assert max(lags.values()) < 30
    (recorded,) = [n for name, n in metrics.items() if 'outcome="recorded"' in name]
    assert recorded == stream.due
