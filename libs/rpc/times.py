"""Moments between Postgres and messages, without passing through a float."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def split_time(time: datetime) -> tuple[int, int]:
    """Whole seconds since 1970 and microseconds."""
    since = time - EPOCH
    return since.days * 86_400 + since.seconds, since.microseconds


def time_fields(time: datetime) -> dict[str, int]:
    """A Timestamp's fields, for a message that is made of dictionaries."""
    seconds, microseconds = split_time(time)
    return {"seconds": seconds, "nanos": microseconds * 1000}


def to_timestamp(time: datetime) -> Timestamp:
    seconds, microseconds = split_time(time)
    return Timestamp(seconds=seconds, nanos=microseconds * 1000)


def to_datetime(timestamp: Timestamp) -> datetime | None:
    """To the microsecond; None if it is not a time between the years 1 and 9999."""
    try:
        return timestamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
