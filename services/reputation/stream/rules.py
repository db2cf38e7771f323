"""What of the event stream goes into whose ledger: events to commands, without any input or output."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from libs.data.events import StoredEvent
from libs.data.ids import UUID, parse_id
from services.reputation.ledger.effects import impact_of
from services.reputation.ledger.model import RecordEvent

Payload = Mapping[str, Any]

# Opinions that everybody sees, in the words of their events.
VISIBLE = frozenset({"unmoderated", "accepted"})
# What takes back what an earlier state was.
TAKEN_BACK_BY = {"opinion_accepted": "opinion_acceptance_withdrawn", "opinion_hidden": "opinion_restored"}
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


def _made_of(state: str) -> str | None:
    """What an opinion's state is in its author's ledger for as long as it lasts."""
    if state not in VISIBLE:
        return "opinion_hidden"
    return "opinion_accepted" if state == "accepted" else None


def _moderated(told: Payload) -> Deeds:
    """However often moderators change their minds, an opinion is worth what its state is: what the state before was is taken
    back first, unless the opinion was imported with it and it never counted."""
    imported = told.get("previous_state_imported", False)
    before, after = None if imported else _made_of(told["previous_state"]), _made_of(told["state"])
    if before == after:  # such as marked as meta, or not any more
        return []
    deeds = (TAKEN_BACK_BY[before] if before else None, after)
    return [("author_id", deed) for deed in deeds if deed]


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
    """What the event is in the ledgers of those it concerns: nothing, or some commands.

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
                stream_id=_stream_id(event, nth),
                stream_partition=partition,
                stars=stars,
            )
            for (user, event_type), nth in _numbered(_DEEDS[event.kind](told))
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise NotUnderstood(f"{type(error).__name__}: {error}") from error


def _numbered(deeds: Deeds) -> Iterator[tuple[tuple[str, str], int]]:
    """Each deed, and its ordinal among those of its user."""
    seen: Counter[str] = Counter()
    for deed in deeds:
        seen[deed[0]] += 1
        yield deed, seen[deed[0]]


def _stream_id(event: StoredEvent, nth: int) -> str:
    """One has one effect on a user, so a second effect of an event has an id of its own."""
    told = f"{event.cursor.xid}-{event.cursor.position}"
    return told if nth == 1 else f"{told}/{nth}"


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
