"""Consistency and Count between messages and what `libs.data` knows, for every service that answers counts."""

from datetime import datetime

from tally.common.v1 import count_pb2

from libs.data.commit_tokens import CommitToken
from libs.data.consistency import ANY, Consistency
from libs.rpc.times import split_time


def to_consistency(message: count_pb2.Consistency) -> Consistency:
    requirement = message.WhichOneof("requirement")
    if requirement is None:
        return ANY
    if requirement == "at_least":
        return Consistency(at_least=message.at_least)
    if requirement == "primary":
        return Consistency(primary=message.primary)
    return Consistency(max_staleness=message.max_staleness.seconds + message.max_staleness.nanos / 1e9)


def to_count(
    value: int, as_of_time: datetime, source: "count_pb2.Source.ValueType", token: CommitToken, age_seconds: float
) -> count_pb2.Count:
    """A count and what it is worth; a negative age, from clocks that differ, is none."""
    count = count_pb2.Count(value=value, source=source, commit_token=token)
    seconds, microseconds = split_time(as_of_time)
    count.as_of_time.seconds, count.as_of_time.nanos = seconds, microseconds * 1000
    age = max(0, int(age_seconds * 1e9))
    count.age.seconds, count.age.nanos = divmod(age, 1_000_000_000)
    return count
