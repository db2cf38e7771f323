"""Answers from memory say byte for byte what messages put together field by field would."""

import time
from datetime import UTC, datetime

import pytest
from tally.aggregator.v1 import aggregator_pb2 as resources
from tally.aggregator.v1 import aggregator_service_pb2 as messages
from tally.common.v1 import count_pb2

from libs.data.follower import Watermark
from services.aggregator.answers import Answers
from services.aggregator.memory import Entry
from tests.services.aggregator.counting import CO_SIGNERS, seconds

VALUES = [0, 1, 127, 128, 16_383, 16_384, 2**31 - 1, 2**63 - 1, -1]
MOMENT = datetime(2031, 2, 3, 4, 5, 6, 789_012, tzinfo=UTC)


def entry(value: int) -> Entry:
    made = Entry((CO_SIGNERS, f"id of {value}"))
    made.offer(value, 1)
    return made


def check(count: count_pb2.Count, value: int, watermark: Watermark, age: float) -> None:
    assert (count.value, count.source, count.commit_token) == (value, count_pb2.SOURCE_CACHE, watermark.token)
    assert count.as_of_time.ToDatetime(UTC) == watermark.as_of_time
    assert age <= seconds(count.age) < age + 5


@pytest.mark.parametrize("age", [0.0, 0.25, 3.5, 4000.0])
@pytest.mark.parametrize("horizon", [2, 2**63])
def test_an_answer_from_memory_says_what_the_entry_and_the_watermark_say(age: float, horizon: int) -> None:
    answers = Answers()
    watermark = Watermark.at(horizon, MOMENT, time.monotonic() - age)
    for value in VALUES:
        for _ in range(2):
            answer = answers.of_held(entry(value), watermark)
            assert answer.key == resources.CounterKey(counter=CO_SIGNERS, resource_id=f"id of {value}")
            check(answer.count, value, watermark, age)
            assert messages.GetCounterResponse.FromString(answer.SerializeToString()) == answer


@pytest.mark.parametrize("age", [0.0, 0.25, 3.5, 4000.0])
def test_a_batch_from_memory_says_what_each_entry_and_its_watermark_say(age: float) -> None:
    answers = Answers()
    old = Watermark.at(7, MOMENT, time.monotonic() - age)
    new = Watermark.at(2**63, MOMENT, time.monotonic() - age)
    entries = [entry(value) for value in VALUES * 50]
    marks = {id(held): new if number % 3 else old for number, held in enumerate(entries)}
    for _ in range(2):
        answer = answers.of_all_held(entries, lambda held: marks[id(held)])
        assert len(answer.results) == len(entries)
        for result, held in zip(answer.results, entries, strict=True):
            check(result.count, held.value, marks[id(held)], age)
        assert messages.BatchGetCountersResponse.FromString(answer.SerializeToString()) == answer


def test_an_answer_follows_the_entry() -> None:
    answers, held = Answers(), entry(5)
    watermark = Watermark.at(9, MOMENT, time.monotonic())
    assert answers.of_held(held, watermark).count.value == 5
    held.offer(6, 2)
    assert answers.of_held(held, watermark).count.value == 6
    assert answers.of_all_held([held], lambda _: watermark).results[0].count.value == 6
