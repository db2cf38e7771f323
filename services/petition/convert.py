"""Messages to commands, and what came of them back to messages."""

from typing import Any

from tally.common.v1 import count_pb2
from tally.petition.v1 import petition_pb2 as resources
from tally.petition.v1 import petition_service_pb2 as messages

from libs.data.database import Committed
from libs.data.errors import FieldViolation, InvalidInput, TallyError
from libs.data.ids import parse_id
from libs.data.requests import Replay, first_answer
from libs.rpc.counts import to_count
from libs.rpc.status import to_proto
from libs.rpc.times import time_fields, to_datetime, to_timestamp
from services.petition import model
from services.petition.store_reads import CountRead

_STATES = {
    model.State.OPEN: resources.PETITION_STATE_OPEN,
    model.State.CLOSED: resources.PETITION_STATE_CLOSED,
    model.State.WITHDRAWN: resources.PETITION_STATE_WITHDRAWN,
}
_ESCALATION_KINDS = {
    model.EscalationKind.CROSSED: resources.ESCALATION_KIND_CROSSED,
    model.EscalationKind.REVERSED: resources.ESCALATION_KIND_REVERSED,
}


def to_sign(request: messages.CoSignRequest) -> model.Sign:
    return model.Sign(
        parse_id(request.petition_id),
        parse_id(request.user_id),
        request.region_code or None,
        parse_id(request.request_id),
    )


def to_withdraw(request: messages.WithdrawCoSignRequest) -> model.Withdraw:
    return model.Withdraw(parse_id(request.petition_id), parse_id(request.user_id), parse_id(request.request_id))


def to_new_petition(message: resources.Petition) -> model.NewPetition:
    return model.NewPetition(
        message.title,
        message.body,
        message.petition_type,
        parse_id(message.submitter_id),
        tuple(sorted(message.escalation_thresholds)),
    )


def to_selection(request: messages.InvalidateCoSignsRequest) -> model.UserSelection | model.TimeWindow:
    if request.WhichOneof("selection") == "users":
        return model.UserSelection(tuple(sorted(parse_id(user_id) for user_id in request.users.user_ids)))
    return _to_window(request.signed_window)


def to_co_sign_response(committed: Committed[model.Signed]) -> messages.CoSignResponse:
    return messages.CoSignResponse(**_co_sign_response(committed))


def to_co_sign_result(outcome: Committed[model.Signed] | TallyError) -> messages.CoSignResult:
    if isinstance(outcome, TallyError):
        return messages.CoSignResult(error=to_proto(outcome))
    result: dict[str, Any] = {"co_sign": _co_sign_response(outcome)}
    return messages.CoSignResult(**result)


# Fields of nested messages, given as dictionaries, are set inside the protobuf runtime: a quarter of the time that making each
# message and copying it into the next one takes. On the path of every signature.
def _co_sign_response(committed: Committed[model.Signed]) -> dict[str, Any]:
    signed = committed.value
    signature = signed.signature
    return {
        "co_sign": _co_sign(signature),
        "co_signer_count": signature.co_signer_count,
        "crossed_thresholds": signed.crossed_thresholds,
        "replayed": signed.replayed,
        "commit_token": signature.token or committed.token or "",
    }


def _co_sign(signature: model.Signature) -> dict[str, Any]:
    return {
        "petition_id": str(signature.petition_id),
        "user_id": str(signature.user_id),
        "ordinal": signature.ordinal,
        "signed_time": time_fields(signature.signed_time),
        "region_code": signature.region_code or "",
    }


def to_withdraw_co_sign_response(committed: Committed[model.Withdrawn]) -> messages.WithdrawCoSignResponse:
    withdrawn = committed.value
    return messages.WithdrawCoSignResponse(
        co_sign=to_co_sign(withdrawn.removed.signature),
        co_signer_count=withdrawn.removed.removal_count,
        reversed_thresholds=withdrawn.reversed_thresholds,
        replayed=withdrawn.replayed,
        commit_token=withdrawn.removed.token or committed.token or "",
    )


def to_invalidate_response(
    committed: Committed[model.Invalidated | Replay[model.Invalidated]],
) -> messages.InvalidateCoSignsResponse:
    answer, token, replayed = first_answer(committed)
    return messages.InvalidateCoSignsResponse(
        invalidated_count=answer.invalidated_count,
        co_signer_count=answer.co_signer_count,
        reversed_thresholds=answer.reversed_thresholds,
        more=answer.more,
        replayed=replayed,
        commit_token=token,
    )


def to_petition(petition: model.Petition) -> resources.Petition:
    return resources.Petition(
        petition_id=str(petition.petition_id),
        title=petition.title,
        body=petition.body,
        petition_type=petition.petition_type,
        submitter_id=str(petition.submitter_id),
        state=_STATES[petition.state],
        escalation_thresholds=petition.escalation_thresholds,
        co_signer_count=petition.co_signer_count,
        created_time=to_timestamp(petition.created_time),
        closed_time=to_timestamp(petition.closed_time) if petition.closed_time else None,
    )


def to_co_sign(signature: model.Signature) -> resources.CoSign:
    return resources.CoSign(**_co_sign(signature))


def to_escalation(escalation: model.Escalation) -> resources.Escalation:
    return resources.Escalation(
        petition_id=str(escalation.petition_id),
        threshold=escalation.threshold,
        kind=_ESCALATION_KINDS[escalation.kind],
        co_signer_count=escalation.co_signer_count,
        ordinal=escalation.ordinal,
        recorded_time=to_timestamp(escalation.recorded_time),
    )


def to_read_count(read: CountRead) -> count_pb2.Count:
    source = count_pb2.SOURCE_REPLICA if read.from_replica else count_pb2.SOURCE_PRIMARY
    return to_count(read.value, read.as_of_time, source, read.token, read.age_seconds)


def to_region_counts(regions: list[tuple[str, int]]) -> list[resources.RegionCount]:
    return [resources.RegionCount(region_code=code, co_signer_count=n) for code, n in regions]


def _to_window(window: messages.TimeWindow) -> model.TimeWindow:
    start, end = to_datetime(window.start_time), to_datetime(window.end_time)
    if start is None or end is None:
        times = {"start_time": start, "end_time": end}
        text = "must be a time between the years 1 and 9999"
        raise InvalidInput([FieldViolation(f"signed_window.{name}", text) for name, time in times.items() if not time])
    return model.TimeWindow(start, end)
