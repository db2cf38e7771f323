"""Makes answers of what was read. What the answers of one moment share is made once."""

import time
from collections.abc import Callable, Iterable, Sequence

from google.protobuf.message import Message
from tally.aggregator.v1 import aggregator_pb2 as resources
from tally.aggregator.v1 import aggregator_service_pb2 as messages
from tally.common.v1 import count_pb2

from libs.data.counters import Counter
from libs.data.errors import TallyError
from libs.data.follower import Watermark
from libs.rpc.counts import to_count
from libs.rpc.status import to_proto
from services.aggregator.memory import Entry
from services.aggregator.reader import Reading

_NANOS = 1_000_000_000


def _tag(message: type[Message], field: str) -> int:
    """The byte before a submessage: its field's number, and that a length follows."""
    return message.DESCRIPTOR.fields_by_name[field].number << 3 | 2


# Tags of BatchGetCountersResponse.results and CounterResult.count, and the most bytes a Count takes with a value alone.
_RESULTS = _tag(messages.BatchGetCountersResponse, "results")
_COUNT = _tag(messages.CounterResult, "count")
_LONGEST_VALUE = 11


class Answers:
    """Answers from memory, made from what a counter's answers share and what a moment's share.

    The path that thousands of calls a second take: reading bytes costs half of putting messages together.
    """

    def __init__(self) -> None:
        self._watermark: Watermark | None = None
        self._template = count_pb2.Count()
        self._tail = b""

    def of_held(self, entry: Entry, watermark: Watermark) -> messages.GetCounterResponse:
        """The answer for an entry in memory."""
        if watermark is not self._watermark:
            self._turn_to(watermark)
        head = entry.head
        if head is None:
            value = messages.GetCounterResponse(key=to_key(entry), count=count_pb2.Count(value=entry.value))
            entry.head = head = value.SerializeToString()
        # Both have a part of `count`: read one after the other, parts of a message are merged (protobuf, "last one wins").
        response = messages.GetCounterResponse.FromString(head + self._tail)
        _set_age(response.count, watermark)
        return response

    def of_all_held(
        self, entries: Iterable[Entry], watermark_of: Callable[[Entry], Watermark]
    ) -> messages.BatchGetCountersResponse:
        """The answer for entries in memory, in order. Its frames are written here: making 500 messages takes twice as long."""
        parts: list[bytes] = []
        add = parts.append
        watermark, heads, tail = None, [b""], b""
        for entry in entries:
            of_entry = watermark_of(entry)
            if of_entry is not watermark:
                watermark = of_entry
                heads, tail = self._frame(watermark)
            value = entry.part
            if value is None:
                entry.part = value = count_pb2.Count(value=entry.value).SerializeToString()
            add(heads[len(value)])
            add(value)
            add(tail)
        return messages.BatchGetCountersResponse.FromString(b"".join(parts))

    def _frame(self, watermark: Watermark) -> tuple[list[bytes], bytes]:
        """What stands before a count's value, by the length of the value's bytes, and after it."""
        if watermark is not self._watermark:
            self._turn_to(watermark)
        _set_age(self._template, watermark)
        tail = self._template.SerializeToString()
        lengths = range(len(tail), len(tail) + _LONGEST_VALUE + 1)
        assert lengths[-1] + 2 < 128, "a length of more than one byte"
        return [bytes((_RESULTS, length + 2, _COUNT, length)) for length in lengths], tail

    def _turn_to(self, watermark: Watermark) -> None:
        self._template = to_count(0, watermark.as_of_time, count_pb2.SOURCE_CACHE, watermark.token, 0.0)
        self._tail = messages.GetCounterResponse(count=self._template).SerializeToString()
        self._watermark = watermark


def _set_age(count: count_pb2.Count, watermark: Watermark) -> None:
    age = int((time.monotonic() - watermark.begun) * _NANOS)
    if age < _NANOS:
        count.age.nanos = age
    else:
        count.age.seconds, count.age.nanos = divmod(age, _NANOS)


def to_key(entry: Entry) -> resources.CounterKey:
    return resources.CounterKey(counter=entry.key[0], resource_id=entry.key[1])


def count_of(reading: Reading) -> count_pb2.Count:
    source = count_pb2.SOURCE_PRIMARY if reading.from_primary else count_pb2.SOURCE_CACHE
    return to_count(reading.value, reading.watermark.as_of_time, source, reading.watermark.token, reading.age)


def to_get_response(reading: Reading) -> messages.GetCounterResponse:
    return messages.GetCounterResponse(key=to_key(reading.entry), count=count_of(reading))


def to_watch_response(readings: Iterable[Reading]) -> messages.WatchCountersResponse:
    values = [resources.CounterValue(key=to_key(reading.entry), count=count_of(reading)) for reading in readings]
    return messages.WatchCountersResponse(values=values)


def to_top_response(
    counter: Counter, ranked: Sequence[tuple[str, int]], watermark: Watermark, *, from_primary: bool
) -> messages.ListTopResponse:
    source = count_pb2.SOURCE_PRIMARY if from_primary else count_pb2.SOURCE_CACHE
    age = time.monotonic() - watermark.begun
    count = to_count(0, watermark.as_of_time, source, watermark.token, age)
    response = messages.ListTopResponse()
    for resource_id, value in ranked:
        item = response.values.add(key=resources.CounterKey(counter=counter.name, resource_id=resource_id), count=count)
        item.count.value = value
    return response


def to_error_result(error: TallyError) -> messages.CounterResult:
    return messages.CounterResult(error=to_proto(error))


def to_counter(counter: Counter) -> resources.Counter:
    return resources.Counter(
        name=counter.name,
        description=counter.description,
        counter_class=resources.COUNTER_CLASS_EXACT,
        resource=counter.resource,
    )
