"""Messages to commands, and what came of them back to messages."""

from collections.abc import Iterable
from typing import Any

from tally.voting.v1 import voting_pb2 as resources
from tally.voting.v1 import voting_service_pb2 as messages

from libs.data.database import Committed
from libs.data.errors import FieldViolation, InvalidInput, TallyError
from libs.data.ids import new_id, parse_id
from libs.data.requests import Replay, first_answer
from libs.rpc.status import to_proto
from libs.rpc.times import time_fields, to_timestamp
from services.voting import model
from services.voting.store_listings import Order

CHOICES = {
    resources.VOTE_AGREE: model.Choice.AGREE,
    resources.VOTE_DISAGREE: model.Choice.DISAGREE,
    resources.VOTE_PASS: model.Choice.PASS,
}
VOTES = {choice: vote for vote, choice in CHOICES.items()}
_CONVERSATION_STATES = {
    model.ConversationState.OPEN: resources.CONVERSATION_STATE_OPEN,
    model.ConversationState.LOCKED: resources.CONVERSATION_STATE_LOCKED,
}
_OPINION_STATES = {
    model.OpinionState.UNMODERATED: resources.OPINION_STATE_UNMODERATED,
    model.OpinionState.ACCEPTED: resources.OPINION_STATE_ACCEPTED,
    model.OpinionState.MOVED: resources.OPINION_STATE_MOVED,
    model.OpinionState.HIDDEN: resources.OPINION_STATE_HIDDEN,
    model.OpinionState.DELETED: resources.OPINION_STATE_DELETED,
}
_ACTIONS = {
    messages.MODERATION_ACTION_ACCEPT: model.ModerationAction.ACCEPT,
    messages.MODERATION_ACTION_MOVE: model.ModerationAction.MOVE,
    messages.MODERATION_ACTION_HIDE: model.ModerationAction.HIDE,
    messages.MODERATION_ACTION_RESTORE: model.ModerationAction.RESTORE,
    messages.MODERATION_ACTION_MARK_META: model.ModerationAction.MARK_META,
    messages.MODERATION_ACTION_UNMARK_META: model.ModerationAction.UNMARK_META,
}
_ORDERS = {
    messages.OPINION_ORDER_UNSPECIFIED: Order.NEWEST,
    messages.OPINION_ORDER_NEWEST: Order.NEWEST,
    messages.OPINION_ORDER_TOP: Order.TOP,
    messages.OPINION_ORDER_CONTROVERSIAL: Order.CONTROVERSIAL,
    messages.OPINION_ORDER_GROUP: Order.GROUP,
}


def to_cast(request: messages.CastVoteRequest) -> model.CastVote:
    return model.CastVote(
        parse_id(request.conversation_id),
        parse_id(request.opinion_id),
        parse_id(request.user_id),
        CHOICES[request.vote],
        parse_id(request.request_id),
    )


def to_cancel(request: messages.CancelVoteRequest) -> model.CancelVote:
    return model.CancelVote(
        parse_id(request.conversation_id),
        parse_id(request.opinion_id),
        parse_id(request.user_id),
        parse_id(request.request_id),
    )


def to_create_opinion(request: messages.CreateOpinionRequest) -> model.CreateOpinion:
    return model.CreateOpinion(
        parse_id(request.conversation_id),
        new_id(),
        parse_id(request.author_id),
        request.body,
        parse_id(request.request_id),
    )


def to_new_conversation(message: resources.Conversation) -> model.NewConversation:
    return model.NewConversation(message.title, message.description, parse_id(message.creator_id))


def to_moderation(request: messages.ModerateOpinionRequest) -> model.Moderation:
    return model.Moderation(
        parse_id(request.conversation_id),
        parse_id(request.opinion_id),
        _ACTIONS[request.action],
        parse_id(request.moderator_id),
        request.reason,
    )


def to_deletion(request: messages.DeleteOpinionRequest) -> model.Moderation:
    return model.Moderation(
        parse_id(request.conversation_id),
        parse_id(request.opinion_id),
        model.ModerationAction.DELETE,
        parse_id(request.actor_id),
        request.reason,
    )


def to_locking(
    request: messages.LockConversationRequest | messages.UnlockConversationRequest, action: model.ModerationAction
) -> model.Moderation:
    return model.Moderation(
        parse_id(request.conversation_id), None, action, parse_id(request.moderator_id), request.reason
    )


def to_order(request: messages.ListOpinionsRequest) -> Order:
    """In which order opinions are asked for.

    Raises:
        InvalidInput: moderated ones in an order there is none of, or a group where none is meant.
    """
    order = _ORDERS[request.order]
    bad = []
    if request.moderated and order is not Order.NEWEST:
        bad.append(FieldViolation("order", "of moderated opinions must be OPINION_ORDER_NEWEST"))
    if request.group_id and order is not Order.GROUP:
        bad.append(FieldViolation("group_id", "goes with OPINION_ORDER_GROUP only"))
    if bad:
        raise InvalidInput(bad)
    return order


# Fields of nested messages, given as dictionaries, are set inside the protobuf runtime, which takes a quarter of the time of
# making each message and copying it into the next one. On the path of every vote, and fifty times on that of a listing.
def _answer(committed: Committed[model.Voted]) -> dict[str, Any]:
    voted = committed.value
    answer = voted.answer
    opinion, conversation = answer.opinion, answer.conversation
    return {
        "opinion_counts": {
            "agrees": opinion.agrees,
            "disagrees": opinion.disagrees,
            "passes": opinion.passes,
        },
        "conversation_counts": {
            "opinion_count": conversation.opinion_count,
            "vote_count": conversation.vote_count,
            "participant_count": conversation.participant_count,
        },
        "replayed": voted.replayed,
        "commit_token": answer.token or committed.token or "",
    }


def to_cast_response(committed: Committed[model.Voted]) -> messages.CastVoteResponse:
    return messages.CastVoteResponse(**_answer(committed))


def to_cancel_response(committed: Committed[model.Voted]) -> messages.CancelVoteResponse:
    return messages.CancelVoteResponse(**_answer(committed))


def to_cast_result(outcome: Committed[model.Voted] | TallyError) -> messages.CastVoteResult:
    if isinstance(outcome, TallyError):
        return messages.CastVoteResult(error=to_proto(outcome))
    result: dict[str, Any] = {"vote": _answer(outcome)}
    return messages.CastVoteResult(**result)


def to_create_opinion_response(committed: Committed[model.Created]) -> messages.CreateOpinionResponse:
    created = committed.value
    opinion = to_opinion(created.opinion)
    opinion.counts.agrees = 0 if created.author_vote_due else 1
    return messages.CreateOpinionResponse(
        opinion=opinion,
        author_vote_pending=created.author_vote_due,
        replayed=created.replayed,
        commit_token=created.token or committed.token or "",
    )


def to_moderate_response(
    committed: Committed[model.Moderated | Replay[model.Moderated]],
) -> messages.ModerateOpinionResponse:
    moderated, token, replayed = first_answer(committed)
    return messages.ModerateOpinionResponse(
        opinion=to_opinion(moderated.opinion),
        visible_counts=to_conversation_counts(moderated.visible_counts),
        replayed=replayed,
        commit_token=token,
    )


def to_delete_response(committed: Committed[model.Deleted | Replay[model.Deleted]]) -> messages.DeleteOpinionResponse:
    deleted, token, replayed = first_answer(committed)
    return messages.DeleteOpinionResponse(
        deleted_vote_count=deleted.deleted_vote_count,
        counts=to_conversation_counts(deleted.counts),
        replayed=replayed,
        commit_token=token,
    )


def to_conversation(conversation: model.Conversation) -> resources.Conversation:
    return resources.Conversation(
        conversation_id=str(conversation.conversation_id),
        title=conversation.title,
        description=conversation.description,
        creator_id=str(conversation.creator_id) if conversation.creator_id else "",
        state=_CONVERSATION_STATES[conversation.state],
        counts=to_conversation_counts(conversation.counts),
        visible_counts=to_conversation_counts(conversation.visible_counts),
        created_time=to_timestamp(conversation.created_time),
        locked_time=to_timestamp(conversation.locked_time) if conversation.locked_time else None,
        external_id=conversation.external_id or "",
    )


def to_conversation_counts(counts: model.ConversationCounts) -> resources.ConversationCounts:
    return resources.ConversationCounts(
        opinion_count=counts.opinion_count,
        vote_count=counts.vote_count,
        participant_count=counts.participant_count,
    )


def to_opinion(opinion: model.Opinion) -> resources.Opinion:
    return resources.Opinion(**_opinion(opinion))


def to_opinions(opinions: Iterable[model.Opinion]) -> list[Any]:
    """For a field of a response."""
    return [_opinion(opinion) for opinion in opinions]


def _opinion(opinion: model.Opinion) -> dict[str, Any]:
    counts = opinion.counts
    return {
        "opinion_id": str(opinion.opinion_id),
        "conversation_id": str(opinion.conversation_id),
        "author_id": str(opinion.author_id),
        "body": opinion.body,
        "state": _OPINION_STATES[opinion.state],
        "counts": {"agrees": counts.agrees, "disagrees": counts.disagrees, "passes": counts.passes},
        "created_time": time_fields(opinion.created_time),
        "group_votes": [
            {"group_id": group, "agrees": agrees, "disagrees": disagrees, "passes": passes}
            for group, agrees, disagrees, passes in opinion.group_votes
        ],
        "external_id": opinion.external_id or "",
        "meta": opinion.meta,
    }


def to_vote(vote: model.Vote) -> resources.CastVote:
    return resources.CastVote(
        opinion_id=str(vote.opinion_id),
        user_id=str(vote.user_id),
        vote=VOTES[vote.choice],
        vote_time=to_timestamp(vote.vote_time),
    )
