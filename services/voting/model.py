"""What the voting service talks about inside: commands, what is stored, and outcomes."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import NamedTuple
from uuid import UUID


class ConversationState(StrEnum):
    """Whether a conversation takes opinions and votes; the same words as in the database."""

    OPEN = "open"
    LOCKED = "locked"


class OpinionState(StrEnum):
    """What moderation made of an opinion; the same words as in the database."""

    UNMODERATED = "unmoderated"
    ACCEPTED = "accepted"
    MOVED = "moved"
    HIDDEN = "hidden"
    DELETED = "deleted"

    @property
    def visible(self) -> bool:
        return self in (OpinionState.UNMODERATED, OpinionState.ACCEPTED)


class Choice(IntEnum):
    """What a person thinks of an opinion; the same numbers as in the database."""

    AGREE = 1
    DISAGREE = -1
    PASS = 0


@dataclass(slots=True)
class CastVote:
    """Set this user's vote on this opinion."""

    conversation_id: UUID
    opinion_id: UUID
    user_id: UUID
    choice: Choice
    request_id: UUID


@dataclass(slots=True)
class CancelVote:
    """Take this user's vote on this opinion back."""

    conversation_id: UUID
    opinion_id: UUID
    user_id: UUID
    request_id: UUID


@dataclass(slots=True)
class AuthorVote:
    """Cast the vote that is due to a new opinion's author, unless that has happened."""

    conversation_id: UUID
    opinion_id: UUID
    user_id: UUID


@dataclass(slots=True)
class CreateOpinion:
    """Add an opinion. The id is given on arrival, so that doing it again makes the same one."""

    conversation_id: UUID
    opinion_id: UUID
    author_id: UUID
    body: str
    request_id: UUID


VoteCommand = CastVote | CancelVote | AuthorVote
Command = VoteCommand | CreateOpinion


@dataclass(frozen=True, slots=True)
class OpinionCounts:
    """How the votes on an opinion stand."""

    agrees: int
    disagrees: int
    passes: int


@dataclass(frozen=True, slots=True)
class ConversationCounts:
    """What is in a conversation."""

    opinion_count: int
    vote_count: int
    participant_count: int


@dataclass(slots=True)
class Answer:
    """The counts just after a vote was cast or taken back: what the caller is answered, and answered again.

    Args:
        token: of the commit that stored it; None while that is the transaction at work.
    """

    opinion: OpinionCounts
    conversation: ConversationCounts
    token: str | None = None


@dataclass(slots=True)
class Vote:
    """A vote that stands.

    Args:
        request_id: None where it was imported; so is the answer.
    """

    conversation_id: UUID
    opinion_id: UUID
    user_id: UUID
    choice: Choice
    vote_time: datetime
    request_id: UUID | None
    answer: Answer | None


@dataclass(slots=True)
class PastVote:
    """A vote that was replaced or taken back, or, without a choice, the taking back."""

    conversation_id: UUID
    opinion_id: UUID
    user_id: UUID
    choice: Choice | None
    vote_time: datetime
    request_id: UUID
    answer: Answer


@dataclass(slots=True)
class Voted:
    """A vote was cast or taken back, or had been by the same request."""

    answer: Answer
    replayed: bool = False


class GroupVotes(NamedTuple):
    """How the people of one opinion group voted on an opinion, by the last analysis."""

    group_id: int
    agrees: int
    disagrees: int
    passes: int


@dataclass(slots=True)  # frozen, each takes 2 µs longer to make
class Opinion:
    """An opinion as stored."""

    conversation_id: UUID
    opinion_id: UUID
    author_id: UUID
    body: str
    state: OpinionState
    counts: OpinionCounts
    external_id: str | None
    created_time: datetime
    group_votes: tuple[GroupVotes, ...] = ()
    meta: bool = False


@dataclass(slots=True)
class Created:
    """An opinion was created, or had been by the same request.

    Args:
        author_vote_due: its author's vote is still to be cast.
        token: of the commit that stored it, or its author's vote, if that was an earlier one than the transaction at work.
    """

    opinion: Opinion
    author_vote_due: bool = True
    replayed: bool = False
    token: str | None = None


@dataclass(frozen=True, slots=True)
class NewConversation:
    """A conversation to be created."""

    title: str
    description: str
    creator_id: UUID


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as stored."""

    conversation_id: UUID
    title: str
    description: str
    creator_id: UUID | None
    external_id: str | None
    state: ConversationState
    counts: ConversationCounts
    visible_counts: ConversationCounts
    created_time: datetime
    locked_time: datetime | None


class ModerationAction(StrEnum):
    """What a moderator does; the same words as in the database."""

    LOCK = "lock"
    UNLOCK = "unlock"
    ACCEPT = "accept"
    MOVE = "move"
    HIDE = "hide"
    RESTORE = "restore"
    MARK_META = "mark_meta"
    UNMARK_META = "unmark_meta"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Moderation:
    """What a moderator did to a conversation or to an opinion in it, and why."""

    conversation_id: UUID
    opinion_id: UUID | None
    action: ModerationAction
    moderator_id: UUID
    reason: str


@dataclass(frozen=True, slots=True)
class Moderated:
    """An opinion after it was moderated, and its conversation's counts without moderated opinions."""

    opinion: Opinion
    visible_counts: ConversationCounts


@dataclass(frozen=True, slots=True)
class Deleted:
    """What went with an opinion, and its conversation's counts without it."""

    deleted_vote_count: int
    counts: ConversationCounts
