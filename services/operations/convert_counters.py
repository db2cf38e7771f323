"""Counters and resources as operators name them, and what was found of them."""

import re
from collections.abc import Sequence

from tally.operations.v1 import operations_pb2 as resources
from tally.operations.v1 import operations_service_pb2 as messages

from libs.data.catalog import COUNTERS
from libs.data.counters import Counter
from libs.data.database import Committed
from libs.data.errors import FieldViolation, InvalidInput
from libs.data.ids import parse_id
from libs.data.requests import Replay, first_answer
from libs.data.tables import AggregateId
from services.operations.errors import CounterNotFound
from services.operations.store_counters import Comparison, Discrepancy, Repair

DEFAULT_PAGE_SIZE = 100
MOST_TOLD = 10_000

_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,255}")


def to_counter(name: str) -> Counter:
    """The counter of this name.

    Raises:
        CounterNotFound: there is none.
        InvalidInput: it counts no rows.
    """
    counter = COUNTERS.get(name)
    if counter is None:
        raise CounterNotFound(name)
    if counter.counts is None:
        raise InvalidInput([FieldViolation("counter", "counts no rows: there is nothing to compare it with")])
    return counter


def to_keys(counter: Counter, request: messages.VerifyCountersRequest) -> list[AggregateId]:
    """Of the resources named, each once; empty where all are asked for.

    Raises:
        InvalidInput: some cannot be keys of such a resource, or a page was asked for too.
    """
    violations: list[FieldViolation] = []
    keys: dict[AggregateId, None] = {}
    for place, resource_id in enumerate(request.resource_ids):
        try:
            keys[to_key(counter, resource_id, f"resource_ids[{place}]")] = None
        except InvalidInput as error:
            violations += error.violations
    if request.resource_ids:
        together = "must be left out where resources are named"
        violations += [FieldViolation(each, together) for each in ("page_size", "page_token") if getattr(request, each)]
    if violations:
        raise InvalidInput(violations)
    return list(keys)


def to_key(counter: Counter, resource_id: str, field: str = "resource_id") -> AggregateId:
    """Raises:
    InvalidInput: it cannot be the key of such a resource.
    """
    if counter.aggregate.key_type == "text":
        if _NAME.fullmatch(resource_id):
            return resource_id
        raise InvalidInput([FieldViolation(field, "must be a name of 1 to 255 characters without control characters")])
    try:
        return parse_id(resource_id)
    except ValueError:
        raise InvalidInput([FieldViolation(field, "must be a UUID")]) from None


def to_verify_response(comparison: Comparison) -> messages.VerifyCountersResponse:
    return messages.VerifyCountersResponse(
        checked_count=comparison.checked,
        discrepancies=_to_discrepancies(comparison.discrepancies),
        next_page_token=comparison.next_page_token,
    )


def to_repair_response(committed: Committed[Repair | Replay[Repair]]) -> messages.RepairCounterResponse:
    done, token, replayed = first_answer(committed)
    return messages.RepairCounterResponse(
        repaired=_to_discrepancies(done.repaired), replayed=replayed, commit_token=token
    )


def _to_discrepancies(found: Sequence[Discrepancy]) -> list[resources.CounterDiscrepancy]:
    return [
        resources.CounterDiscrepancy(
            counter=each.counter,
            resource_id=each.resource_id,
            breakdown=each.breakdown,
            counter_value=each.counter_value,
            counted_value=each.counted_value,
        )
        for each in found[:MOST_TOLD]
    ]
