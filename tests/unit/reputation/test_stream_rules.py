"""What each event of the stream is in whose ledger."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from libs.data.events import Cursor, StoredEvent
from services.reputation.ledger.model import RecordEvent
from services.reputation.stream.rules import KINDS, NotUnderstood, to_commands

THEN = datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC)
AGGREGATE, GIVER, RECEIVER, AUTHOR, SUBMITTER, GROUP = (uuid.uuid4() for _ in range(6))

EXCHANGE = {"giver_id": str(GIVER), "receiver_id": str(RECEIVER), "group_id": str(GROUP), "portions": 2}
RATING = {"rater_id": str(GIVER), "rated_id": str(RECEIVER), "rated_side": "receiver", "stars": 4, "group_id": None}
MODERATION = {
    "author_id": str(AUTHOR),
    "conversation_id": str(GROUP),
    "previous_state": "unmoderated",
    "state": "accepted",
}
PASSING = {"submitter_id": str(SUBMITTER), "threshold": 10_000}


def event(kind: str, payload: dict[str, Any]) -> StoredEvent:
    return StoredEvent(Cursor(77, 3), kind, str(AGGREGATE), 5, payload, THEN)


def in_ledgers(kind: str, payload: dict[str, Any]) -> list[tuple[uuid.UUID, str, int]]:
    return [(c.user_id, c.event_type, c.impact) for c in to_commands(event(kind, payload), 6)]


@pytest.mark.parametrize(
    ("kind", "payload", "expected"),
    [
        ("exchange.completed", EXCHANGE, [(GIVER, "food_shared", 100), (RECEIVER, "food_claimed", 50)]),
        ("exchange.expired", EXCHANGE, [(RECEIVER, "claim_expired", -200)]),
        ("petition.escalated", PASSING, [(SUBMITTER, "petition_escalated", 200)]),
        ("petition.escalation_reversed", PASSING, [(SUBMITTER, "petition_escalation_reversed", -200)]),
    ],
)
def test_a_deed_is_an_event_in_the_ledger_of_each_it_concerns(
    kind: str, payload: dict[str, Any], expected: list[tuple[uuid.UUID, str, int]]
) -> None:
    assert in_ledgers(kind, payload) == expected


@pytest.mark.parametrize(("stars", "impact"), [(5, 100), (4, 50), (3, 0), (2, -100), (1, -200)])
@pytest.mark.parametrize(("side", "event_type"), [("giver", "food_rated"), ("receiver", "recipient_rated")])
def test_a_rating_goes_by_its_stars_to_the_side_that_was_rated(
    side: str, event_type: str, stars: int, impact: int
) -> None:
    (command,) = to_commands(event("exchange.rated", RATING | {"rated_side": side, "stars": stars}), 0)
    assert (command.user_id, command.event_type, command.impact) == (RECEIVER, event_type, impact)
    assert command.stars == stars


WORTH = {"unmoderated": 0, "accepted": 50, "moved": -100, "hidden": -100, "deleted": -100}


@pytest.mark.parametrize(
    ("before", "after", "deeds"),
    [
        ("unmoderated", "accepted", ["opinion_accepted"]),
        ("unmoderated", "hidden", ["opinion_hidden"]),
        ("accepted", "unmoderated", ["opinion_acceptance_withdrawn"]),
        ("accepted", "moved", ["opinion_acceptance_withdrawn", "opinion_hidden"]),
        ("hidden", "unmoderated", ["opinion_restored"]),
        ("hidden", "accepted", ["opinion_restored", "opinion_accepted"]),
        ("moved", "hidden", []),
        ("accepted", "accepted", []),
        ("hidden", "hidden", []),
    ],
)
def test_moderation_takes_back_what_an_opinion_was_and_counts_what_it_is(
    before: str, after: str, deeds: list[str]
) -> None:
    found = in_ledgers("opinion.moderated", MODERATION | {"previous_state": before, "state": after})
    assert [(user, event_type) for user, event_type, _ in found] == [(AUTHOR, deed) for deed in deeds]


@pytest.mark.parametrize("before", WORTH)
@pytest.mark.parametrize("after", WORTH)
def test_however_it_came_to_its_state_an_opinion_is_worth_the_same(before: str, after: str) -> None:
    found = in_ledgers("opinion.moderated", MODERATION | {"previous_state": before, "state": after})
    assert sum(impact for _, _, impact in found) == WORTH[after] - WORTH[before]


@pytest.mark.parametrize(
    ("before", "after", "deeds"),
    [
        ("hidden", "unmoderated", []),
        ("hidden", "accepted", ["opinion_accepted"]),
        ("accepted", "hidden", ["opinion_hidden"]),
    ],
)
def test_a_state_that_an_opinion_was_imported_with_is_not_taken_back(before: str, after: str, deeds: list[str]) -> None:
    payload = MODERATION | {"previous_state": before, "state": after, "previous_state_imported": True}
    assert [event_type for _, event_type, _ in in_ledgers("opinion.moderated", payload)] == deeds


def test_two_effects_of_one_event_on_one_user_have_ids_of_their_own() -> None:
    commands = to_commands(event("opinion.moderated", MODERATION | {"previous_state": "hidden"}), 0)
    assert [command.stream_id for command in commands] == ["77-3", "77-3/2"]


def test_a_command_says_what_it_comes_from() -> None:
    for command in to_commands(event("exchange.completed", EXCHANGE), 6):
        assert (command.stream_id, command.stream_partition, command.request_id) == ("77-3", 6, None)
        assert (command.occurred, command.group_id, command.related_exchange_id) == (THEN, GROUP, AGGREGATE)
    (escalated,) = to_commands(event("petition.escalated", PASSING), 6)
    assert (escalated.group_id, escalated.related_exchange_id, escalated.stars) == (None, None, None)
    assert escalated.description == f"petition {AGGREGATE} came to 10,000 co-signers"


def without(payload: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name != field}


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("exchange.completed", without(EXCHANGE, "giver_id")),
        ("exchange.completed", EXCHANGE | {"receiver_id": "somebody"}),
        ("exchange.expired", EXCHANGE | {"receiver_id": None}),
        ("exchange.expired", EXCHANGE | {"group_id": "somewhere"}),
        ("exchange.rated", without(RATING, "rated_side")),
        ("exchange.rated", RATING | {"rated_side": "neither"}),
        ("exchange.rated", RATING | {"stars": 6}),
        ("exchange.rated", RATING | {"stars": None}),
        ("exchange.rated", without(RATING, "stars")),
        ("opinion.moderated", without(MODERATION, "author_id")),
        ("opinion.moderated", without(MODERATION, "state")),
        ("opinion.moderated", without(MODERATION, "previous_state")),
        ("petition.escalated", without(PASSING, "submitter_id")),
        ("petition.escalation_reversed", without(PASSING, "threshold")),
    ],
)
def test_an_event_that_does_not_say_enough_is_not_understood(kind: str, payload: dict[str, Any]) -> None:
    with pytest.raises(NotUnderstood):
        to_commands(event(kind, payload), 0)


def test_an_exchange_of_an_earlier_release_names_no_group_and_counts() -> None:
    commands: list[RecordEvent] = to_commands(event("exchange.completed", without(EXCHANGE, "group_id")), 0)
    assert [command.group_id for command in commands] == [None, None]


def test_every_kind_that_is_read_is_in_the_index_it_is_read_by() -> None:
    from libs.data.migrations.versions.v0012_reputation_indexes import STREAM

    assert sorted(STREAM.split("'")[1::2]) == sorted(KINDS)
