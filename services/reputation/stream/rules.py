"""What of the event stream goes into whose ledger: events to commands, without any input or output."""

from collections.abc import Callable, Mapping
from typing import Any

from libs.data.events import StoredEvent
from libs.data.ids import UUID, parse_id
from services.reputation.ledger.effects import impact_of
from services.reputation.ledger.model import RecordEvent

Payload = Mapping[str, Any]

# Opinions that everybody sees, in the words of their events.
VISIBLE = frozenset({"unmoderated", "accepted"})
RATED_AS = {"giver": "food_rated", "receiver": "recipient_rated"}

# What an event is told to be about: the field that names the user, and the type of event in that user's ledger.
Deeds = list[tuple[str, str]]


class NotUnderstood(Exception):
    """An event does not say what has to be known of it. Those of earlier releases may not."""


def _completed(told: Payload) -> Deeds:
    return [("giver_id", "food_shared"), ("receiver_id", "food_claimed")]


def _expired(told: Payload) -> Deeds:
    return [("receiver_id", "claim_expired")]


def _rated(told: Payload) -> Deeds:
    return [("rated_id", RATED_AS[told["rated_side"]])]


def _moderated(told: Payload) -> Deeds:
    before, after = told["previous_state"], told["state"]
    if before == after:  # marked as meta, or not any more
        return []
    if after == "accepted":
        return [("author_id", "opinion_accepted")]
    if before in VISIBLE and after not in VISIBLE:
        return [("author_id", "opinion_hidden")]
    return []


def _escalated(told: Payload) -> Deeds:
    return [("submitter_id", "petition_escalated")]


def _escalation_reversed(told: Payload) -> Deeds:
    return [("submitter_id", "petition_escalation_reversed")]


_DEEDS: Mapping[str, Callable[[Payload], Deeds]] = {
    "exchange.completed": _completed,
    "exchange.expired": _expired,
    "exchange.rated": _rated,
    "opinion.moderated": _moderated,
    "petition.escalated": _escalated,
    "petition.escalation_reversed": _escalation_reversed,
}

# Kinds of events that go into ledgers.
KINDS = tuple(_DEEDS)


def to_commands(event: StoredEvent, partition: int) -> list[RecordEvent]:
    """What the event is in the ledgers of those it concerns: nothing, or one command each.

    Raises:
        NotUnderstood: it does not say whom it concerns, or how.
    """
    told = event.payload
    try:
        stars: int | None = int(told["stars"]) if event.kind == "exchange.rated" else None
        return [
            RecordEvent(
                user_id=parse_id(told[user]),
                event_type=event_type,
                impact=impact_of(event_type, stars),
                occurred=event.created_time,
                group_id=_group(told),
                related_exchange_id=parse_id(event.aggregate_id) if event.kind.startswith("exchange.") else None,
                description=_description(event),
                stream_id=f"{event.cursor.xid}-{event.cursor.position}",
                stream_partition=partition,
                stars=stars,
            )
            for user, event_type in _DEEDS[event.kind](told)
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise NotUnderstood(f"{type(error).__name__}: {error}") from error


def _group(told: Payload) -> UUID | None:
    return parse_id(told["group_id"]) if told.get("group_id") else None


def _description(event: StoredEvent) -> str:
    """What no field of the ledger says."""
    told = event.payload
    match event.kind:
        case "petition.escalated":
            return f"petition {event.aggregate_id} came to {told['threshold']:,} co-signers"
        case "petition.escalation_reversed":
            return f"petition {event.aggregate_id} fell below {told['threshold']:,} co-signers"
        case "opinion.moderated":
            return f"opinion {event.aggregate_id} of conversation {told['conversation_id']}"
    return ""
