"""How the benchmark judges: medians of the rounds' own ratios, and what is not exact is a failure."""

from pathlib import Path

import orjson
import pytest

from libs.cli.callers.orders import Measurement, Outcome, encode_latencies
from tests.load.results import Memory, Results
from tests.load.rows import BARS, ROWS


def outcome(calls: int, latency: float, *, items: int = 0, seconds: float = 1.0) -> Outcome:
    latencies = encode_latencies([latency] * calls)
    return Outcome([Measurement(seconds=seconds, calls=calls, items=items or calls, failures={}, latencies=latencies)])


def results(**rates: list[int]) -> Results:
    made = Results({"callers": 64})
    for row, calls in rates.items():
        for n in calls:
            made.add(ROWS[row], outcome(n, 0.01))
    return made


def test_a_ratio_is_taken_within_each_round_so_that_a_slow_round_slows_both() -> None:
    judged = results(bare=[1_000, 200, 1_000], hot=[600, 150, 700]).judged()
    (hot,) = [bar for bar in judged if bar.row == "hot"]
    assert (hot.lowest, hot.value, hot.highest) == (0.6, 0.7, 0.75)
    assert hot.met


def test_a_missed_bar_counts_unless_it_is_only_an_aim() -> None:
    assert not results(bare=[1_000], hot=[500]).bars_met
    slow_batches = Results({"callers": 64})
    slow_batches.add(ROWS["hot"], outcome(1_000, 0.01))
    slow_batches.add(ROWS["batch"], outcome(40, 0.1, items=20_000))
    assert slow_batches.bars_met
    assert [bar.met for bar in slow_batches.judged() if bar.row == "batch"] == [True, False]


def test_memory_that_grew_by_a_tenth_misses_its_bar() -> None:
    made = results(bare=[1_000])
    made.memory = Memory(first_calls=10, first_bytes=100, last_calls=100, last_bytes=110)
    assert made.bars_met
    made.memory = Memory(first_calls=10, first_bytes=100, last_calls=100, last_bytes=111)
    assert not made.bars_met


def test_every_bar_is_about_rows_that_are_measured() -> None:
    assert {name for bar in BARS for name in (bar.row, bar.against) if name} <= ROWS.keys()


def test_percentiles_and_rates_are_of_all_processes_together() -> None:
    parts = [
        Measurement(seconds=2.0, calls=99, items=99, failures={}, latencies=encode_latencies([0.01] * 99)),
        Measurement(seconds=1.0, calls=1, items=1, failures={"UNAVAILABLE": 1}, latencies=encode_latencies([0.5])),
    ]
    both = Outcome(parts)
    assert both.call_rate == 50
    assert both.percentile(0.5) == pytest.approx(0.01)
    assert both.percentile(0.999) == pytest.approx(0.5)
    assert both.failures == {"UNAVAILABLE": 1}


def test_the_document_holds_every_round(tmp_path: Path) -> None:
    made = results(bare=[1_000, 2_000], chain=[900, 1_800])
    made.finish(1.0)
    made.write(tmp_path / "deep" / "bench.json")
    document = orjson.loads((tmp_path / "deep" / "bench.json").read_bytes())
    assert [taken["calls"] for taken in document["rows"]["bare"]["rounds"]] == [1_000, 2_000]
    assert document["bars"][0]["value"] == pytest.approx(0.9)
