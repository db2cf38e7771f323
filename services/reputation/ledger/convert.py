"""Messages to commands, and what came of them back to messages. Scores travel as decimal strings with two places."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from tally.reputation.v1 import reputation_pb2 as resources
from tally.reputation.v1 import reputation_service_pb2 as messages

from libs.data.database import Committed
from libs.data.ids import new_id, parse_id
from libs.data.transaction import Record
from libs.rpc.status import to_proto
from libs.rpc.times import time_fields, to_timestamp
from services.reputation.ledger import model
from services.reputation.ledger.errors import UserNotFound
from services.reputation.ledger.levels import ALLOWANCES, TrustLevel, level_of
from services.reputation.ledger.store_reads import Leader

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # as columns without a zone have it
DEFAULT_SHARING_MODE = "neighborhood"
DEFAULT_VERIFICATION_LEVEL = "full"

_TRENDS = {
    "falling": resources.REPUTATION_TREND_FALLING,
    "stable": resources.REPUTATION_TREND_STABLE,
    "rising": resources.REPUTATION_TREND_RISING,
}
# Nested dictionaries are set inside the protobuf runtime: for less than copying a message that was made before.
_ALLOWANCES = {level: asdict(allowed) for level, allowed in ALLOWANCES.items()}
_LEVELS = {level.word: level for level in TrustLevel}


def to_hundredths(text: str) -> int:
    """From a decimal string with at most two places."""
    whole, _, places = text.lstrip("+-").partition(".")
    hundredths = int(whole) * 100 + int(places.ljust(2, "0"))
    return -hundredths if text.startswith("-") else hundredths


def shown(hundredths: int) -> str:
    """As a decimal string with two places."""
    whole, places = divmod(abs(hundredths), 100)
    return f"{'-' if hundredths < 0 else ''}{whole}.{places:02}"


def to_new_user(request: messages.RegisterUserRequest) -> model.NewUser:
    return model.NewUser(
        parse_id(request.user_id),
        request.sharing_mode or DEFAULT_SHARING_MODE,
        request.verification_level or DEFAULT_VERIFICATION_LEVEL,
    )


def to_record(request: messages.RecordReputationEventRequest) -> model.RecordEvent:
    return model.RecordEvent(
        parse_id(request.user_id),
        request.event_type,
        to_hundredths(request.impact_score),
        datetime.now(UTC),
        parse_id(request.request_id),
        parse_id(request.group_id) if request.group_id else None,
        parse_id(request.related_exchange_id) if request.related_exchange_id else None,
        request.description,
        request.stream_id or None,
    )


def to_reverse(request: messages.ReverseReputationEventRequest) -> model.ReverseEvent:
    return model.ReverseEvent(parse_id(request.event_id), request.description, parse_id(request.request_id), new_id())


def to_level(message: "resources.TrustLevel.ValueType") -> TrustLevel | None:
    return TrustLevel(message) if message else None


def to_user(user: model.User) -> resources.User:
    message = resources.User(
        user_id=str(user.user_id),
        sharing_mode=user.sharing_mode,
        verification_level=user.verification_level,
        created_time=to_timestamp(user.created_time),
    )
    if user.registered_time is not None:
        message.registered_time.CopyFrom(to_timestamp(user.registered_time))
    return message


def to_recorded(committed: Committed[model.Recorded]) -> dict[str, Any]:
    """The fields that answers about an event have."""
    recorded = committed.value
    return {
        "event": to_event(recorded.event),
        "replayed": recorded.replayed,
        "commit_token": recorded.event.token or committed.token or "",
    }


def to_event(event: model.LedgerEvent) -> resources.ReputationEvent:
    return resources.ReputationEvent(**_event(event))


def _event(event: model.LedgerEvent) -> dict[str, Any]:
    return {
        "event_id": str(event.event_id),
        "user_id": str(event.user_id),
        "sequence": event.sequence,
        "event_type": event.event_type,
        "impact_score": shown(event.impact),
        "counted_impact": shown(event.counted_impact),
        "previous_score": shown(event.previous_score),
        "new_score": shown(event.new_score),
        "group_id": _text(event.group_id),
        "related_exchange_id": _text(event.related_exchange_id),
        "description": event.description,
        "stream_id": event.stream_id or "",
        "reverses_event_id": _text(event.reverses_event_id),
        "reversed_by_event_id": _text(event.reversed_by_event_id),
        "created_time": time_fields(event.created_time),
    }


def to_reputation(row: Record) -> dict[str, Any]:
    """The fields of a Reputation, from a row of `store_reads.reputations`."""
    fields = dict(row)
    level = _LEVELS[fields["trust_level"]]
    demotion_time = fields.pop("demotion_time")
    if fields.pop("demoted"):
        level = level_of(to_hundredths(fields["overall_score"]))
    elif demotion_time is not None:
        fields["demotion_time"] = _stored_time(demotion_time)
    fields["trust_level"] = int(level)
    fields["allowances"] = _ALLOWANCES[level]
    fields["reputation_trend"] = _TRENDS[fields["reputation_trend"]]
    fields["last_activity_time"] = _stored_time(fields.pop("last_activity"))
    fields["updated_time"] = _stored_time(fields.pop("reputation_updated_at"))
    fields["stream_lag"] = {"seconds": fields.pop("stream_lag_seconds")}
    return fields


def to_results(user_ids: Sequence[str], found: Mapping[str, Record]) -> messages.BatchGetReputationsResponse:
    """One result an id, in order."""
    fields: dict[str, Any] = {"results": [_result(user_id, found.get(user_id)) for user_id in user_ids]}
    return messages.BatchGetReputationsResponse(**fields)


def _result(user_id: str, row: Record | None) -> dict[str, Any]:
    if row is None:
        return {"error": to_proto(UserNotFound(parse_id(user_id)))}
    return {"reputation": to_reputation(row)}


def to_leader(leader: Leader) -> resources.Leader:
    return resources.Leader(
        user_id=str(leader.user_id),
        overall_score=shown(leader.score),
        trust_level=resources.TrustLevel.ValueType(leader.level),
    )


def to_verification(verification: model.Verification) -> messages.VerifyReputationResponse:
    return messages.VerifyReputationResponse(
        stored_score=shown(verification.stored_score),
        replayed_score=shown(verification.replayed_score),
        consistent=verification.consistent,
        event_count=verification.event_count,
    )


def _text(id_: UUID | None) -> str:
    return "" if id_ is None else str(id_)


def _stored_time(time: datetime) -> dict[str, int]:
    """Of a column without a zone. On the path of every reputation read."""
    since = time - EPOCH
    return {"seconds": since.days * 86_400 + since.seconds, "nanos": since.microseconds * 1000}
