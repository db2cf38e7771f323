"""Switching how a user shares: recorded, once a request, and only if it is a change (R5)."""

from tests.servers import refused
from tests.services.petition.people import new_uuid
from tests.services.reputation.groups.circle import Groups, a_switch
from tests.stored import Connection, event_kinds, everything


async def test_a_switch_is_recorded_with_both_modes_and_the_reason(groups: Groups, db: Connection) -> None:
    user = await groups.user()
    answer = await groups.stub.SetSharingMode(a_switch(user, "community", "More to share."))
    assert (answer.user.user_id, answer.user.sharing_mode) == (user, "community")
    assert answer.commit_token and not answer.replayed
    back = await groups.stub.SetSharingMode(a_switch(user, "neighborhood", ""))
    rows = await db.fetch("SELECT * FROM reputation.mode_transition_events ORDER BY id")
    assert [(str(row["id"]), row["from_mode"], row["to_mode"], row["reason"]) for row in rows] == [
        (answer.transition.transition_id, "neighborhood", "community", "More to share."),
        (back.transition.transition_id, "community", "neighborhood", ""),
    ]
    assert [row["created_at"] for row in rows] == [each.transition.created_time.ToDatetime() for each in (answer, back)]
    assert await event_kinds(db, user) == ["user.sharing_mode_changed"] * 2


async def test_a_repeated_switch_is_answered_as_the_first(groups: Groups, db: Connection) -> None:
    """G5."""
    user = await groups.user()
    request = a_switch(user)
    first = await groups.stub.SetSharingMode(request)
    await groups.stub.SetSharingMode(a_switch(user, "citywide"))
    before = await everything(db)
    again = await groups.stub.SetSharingMode(request)
    first.replayed = True
    assert again == first
    request.reason = "Another."
    assert (await refused(groups.stub.SetSharingMode(request))).said == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
    assert await everything(db) == before


async def test_the_mode_that_is_is_no_switch_and_nobody_unknown_has_one(groups: Groups, db: Connection) -> None:
    user = await groups.user()
    before = await everything(db)
    answer = await refused(groups.stub.SetSharingMode(a_switch(user, "neighborhood")))
    assert answer.said == ("FAILED_PRECONDITION", "SHARING_MODE_UNCHANGED")
    answer = await refused(groups.stub.SetSharingMode(a_switch(new_uuid())))
    assert answer.said == ("NOT_FOUND", "USER_NOT_FOUND")
    assert await everything(db) == before
