"""Bad selections of signatures to invalidate are named, and nothing is stored (G9)."""

from collections.abc import Callable
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from tally.petition.v1 import petition_service_pb2 as messages

from tests.bad_fields import is_refused_naming
from tests.services.petition.calls import WRITES, World, a_world, an_invalidation_by_time
from tests.services.petition.people import Petitions, new_uuid
from tests.stored import Connection


def selected(*users: str) -> Callable[[World], messages.InvalidateCoSignsRequest]:
    def request(world: World) -> messages.InvalidateCoSignsRequest:
        return messages.InvalidateCoSignsRequest(
            petition_id=world.petition_id,
            users=messages.UserSelection(user_ids=users),
            reason="bought",
            request_id=new_uuid(),
        )

    return request


USER = "11111111-1111-4111-8111-111111111111"


async def test_a_selection_of_users_holds_1_to_10000_different_ones(petitions: Petitions, db: Connection) -> None:
    """G9."""
    world = await a_world(petitions)
    many = [new_uuid() for _ in range(10_001)]
    for request, field in [
        (selected()(world), "users.user_ids"),
        (selected(*many)(world), "users.user_ids"),
        (selected(USER, USER)(world), "users.user_ids"),
        (selected(USER, "x")(world), "users.user_ids[1]"),
    ]:
        await is_refused_naming(petitions, db, "InvalidateCoSigns", request, field)
    await petitions.stub.InvalidateCoSigns(selected(*many[:10_000])(world))


async def test_a_user_selected_twice_in_different_case_counts_once(petitions: Petitions) -> None:
    world = await a_world(petitions)
    answer = await petitions.stub.InvalidateCoSigns(selected(world.signer, world.signer.upper())(world))
    assert (answer.invalidated_count, answer.co_signer_count) == (1, 0)


async def test_an_invalidation_must_select_something(petitions: Petitions, db: Connection) -> None:
    """G9."""
    request: Any = WRITES["InvalidateCoSigns"](await a_world(petitions))
    request.ClearField("users")
    await is_refused_naming(petitions, db, "InvalidateCoSigns", request, "selection")


WINDOWS: dict[str, tuple[messages.TimeWindow, list[str]]] = {
    "empty": (messages.TimeWindow(), ["signed_window.start_time", "signed_window.end_time"]),
    "without a start": (messages.TimeWindow(end_time=Timestamp(seconds=1)), ["signed_window.start_time"]),
    "without an end": (messages.TimeWindow(start_time=Timestamp(seconds=1)), ["signed_window.end_time"]),
    "backwards": (
        messages.TimeWindow(start_time=Timestamp(seconds=2), end_time=Timestamp(seconds=1)),
        ["signed_window"],
    ),
    "of no length": (
        messages.TimeWindow(start_time=Timestamp(seconds=1), end_time=Timestamp(seconds=1)),
        ["signed_window"],
    ),
    "before the year 1": (
        messages.TimeWindow(start_time=Timestamp(seconds=-(10**12)), end_time=Timestamp(seconds=1)),
        ["signed_window.start_time"],
    ),
    "after the year 9999": (
        messages.TimeWindow(start_time=Timestamp(seconds=1), end_time=Timestamp(seconds=10**12)),
        ["signed_window.end_time"],
    ),
    "with nanoseconds that are none": (
        messages.TimeWindow(start_time=Timestamp(seconds=1, nanos=-1), end_time=Timestamp(seconds=2, nanos=2 * 10**9)),
        ["signed_window.start_time", "signed_window.end_time"],
    ),
}


async def test_a_bad_stretch_of_time_is_named(petitions: Petitions, db: Connection) -> None:
    """G9."""
    request = an_invalidation_by_time(await a_world(petitions))
    for window, fields in WINDOWS.values():
        request.signed_window.CopyFrom(window)
        await is_refused_naming(petitions, db, "InvalidateCoSigns", request, *fields)


async def test_a_stretch_from_the_year_1_to_9999_is_taken(petitions: Petitions) -> None:
    world = await a_world(petitions)
    request = an_invalidation_by_time(world)
    request.signed_window.start_time.FromJsonString("0001-01-01T00:00:00Z")
    request.signed_window.end_time.FromJsonString("9999-12-31T23:59:59.999999999Z")
    assert (await petitions.stub.InvalidateCoSigns(request)).invalidated_count == 1
