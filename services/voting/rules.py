"""What happens to each command, decided without any input or output: under the locks, in order of arrival."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from libs.data.errors import TallyError
from services.voting.errors import (
    ConversationLocked,
    ConversationNotFound,
    OpinionModerated,
    OpinionNotFound,
    RequestIdReused,
    VoteNotFound,
)
from services.voting.model import (
    Answer,
    AuthorVote,
    CancelVote,
    CastVote,
    Choice,
    Command,
    ConversationCounts,
    ConversationState,
    Created,
    CreateOpinion,
    Opinion,
    OpinionCounts,
    OpinionState,
    PastVote,
    Vote,
    VoteCommand,
    Voted,
)

Outcome = Voted | Created | TallyError
OpinionKey = tuple[UUID, UUID]  # conversation, opinion
ParticipantKey = tuple[UUID, UUID]  # conversation, user
VoteKey = tuple[UUID, UUID, UUID]  # conversation, user, opinion
RequestKey = tuple[UUID, UUID, UUID, UUID]  # conversation, user, opinion, request

COUNTS = (
    "opinion_count",
    "vote_count",
    "participant_count",
    "visible_opinion_count",
    "visible_vote_count",
    "visible_participant_count",
)


class Poll:
    """The votes on an opinion while a batch is being decided.

    Args:
        due: its author's vote is still to be cast.
    """

    __slots__ = ("author_id", "before", "counts", "due", "state")

    def __init__(self, state: OpinionState, author_id: UUID, counts: tuple[int, int, int], *, due: bool) -> None:
        self.state = state
        self.author_id = author_id
        self.due = due
        self.before = dict(zip(Choice, counts, strict=True))
        self.counts = dict(self.before)

    def answer(self) -> OpinionCounts:
        counts = self.counts
        return OpinionCounts(counts[Choice.AGREE], counts[Choice.DISAGREE], counts[Choice.PASS])


class Participant:
    """A person's votes in a conversation while a batch is being decided: all, and those on visible opinions.

    Args:
        stored: there is a row of this person.
    """

    __slots__ = ("before", "stored", "visible_vote_count", "vote_count")

    def __init__(self, vote_count: int = 0, visible_vote_count: int = 0, *, stored: bool = False) -> None:
        self.stored = stored
        self.before = (vote_count, visible_vote_count)
        self.vote_count, self.visible_vote_count = self.before


@dataclass(slots=True)
class Seen:
    """What is stored about the opinions and users of a batch, read under the locks.

    Args:
        past: votes replaced or taken back by a request that is in the batch again.
        created: opinions made by a request that is in the batch again, by conversation and request.
    """

    polls: dict[OpinionKey, Poll] = field(default_factory=dict)
    participants: dict[ParticipantKey, Participant] = field(default_factory=dict)
    votes: dict[VoteKey, Vote] = field(default_factory=dict)
    past: dict[RequestKey, PastVote] = field(default_factory=dict)
    created: dict[tuple[UUID, UUID], Created] = field(default_factory=dict)


@dataclass(slots=True)
class Decision:
    """What to answer, and what to write so that the answers are true."""

    outcomes: list[Outcome] = field(default_factory=list)
    inserted: list[Vote] = field(default_factory=list)
    updated: list[Vote] = field(default_factory=list)
    deleted: list[VoteKey] = field(default_factory=list)
    past: list[PastVote] = field(default_factory=list)
    no_longer_due: list[OpinionKey] = field(default_factory=list)
    opinions: list[CreateOpinion] = field(default_factory=list)
    polls: dict[OpinionKey, Poll] = field(default_factory=dict)
    participants: dict[ParticipantKey, Participant] = field(default_factory=dict)
    counts: dict[UUID, dict[str, int]] = field(default_factory=dict)
    changed: set[UUID] = field(default_factory=set)


class _Book:
    """A conversation while a batch is being decided."""

    __slots__ = ("conversation_id", "locked", "now", *COUNTS)
    opinion_count: int
    vote_count: int
    participant_count: int
    visible_opinion_count: int
    visible_vote_count: int
    visible_participant_count: int

    def __init__(self, conversation_id: UUID, row: Mapping[str, object]) -> None:
        self.conversation_id = conversation_id
        self.locked = row["state"] == ConversationState.LOCKED
        self.now: datetime = row["locked_time"]  # type: ignore[assignment]  # a driver's record knows no types
        for name in COUNTS:
            setattr(self, name, row[name])

    def answer(self) -> ConversationCounts:
        return ConversationCounts(self.opinion_count, self.vote_count, self.participant_count)


def decide(conversations: Mapping[UUID, Mapping[str, object]], seen: Seen, commands: Sequence[Command]) -> Decision:
    """Decides each command as if it came alone, in order; later ones see what earlier ones did.

    Args:
        conversations: the locked rows of the conversations that exist.
        seen: consumed; it is brought forward as commands are decided.
    """
    return _Decider(conversations, seen).decide(commands)


class _Decider:
    def __init__(self, conversations: Mapping[UUID, Mapping[str, object]], seen: Seen) -> None:
        self._rows = conversations
        self._books = {conversation_id: _Book(conversation_id, row) for conversation_id, row in conversations.items()}
        self._seen = seen
        self._stored = dict(seen.votes)
        self._decision = Decision()

    def decide(self, commands: Sequence[Command]) -> Decision:
        decision = self._decision
        for command in commands:
            book = self._books.get(command.conversation_id)
            if book is None:
                decision.outcomes.append(ConversationNotFound(command.conversation_id))
            elif isinstance(command, CreateOpinion):
                decision.outcomes.append(self._create(book, command))
            else:
                decision.outcomes.append(self._vote(book, command))
        self._conclude()
        return decision

    def _create(self, book: _Book, command: CreateOpinion) -> Created | TallyError:
        request = (command.conversation_id, command.request_id)
        first = self._seen.created.get(request)
        if first is not None:
            same = (first.opinion.author_id, first.opinion.body or command.body) == (command.author_id, command.body)
            return first if same else RequestIdReused()
        if book.locked:
            return ConversationLocked(command.conversation_id)
        book.opinion_count += 1
        book.visible_opinion_count += 1
        opinion = Opinion(
            command.conversation_id,
            command.opinion_id,
            command.author_id,
            command.body,
            OpinionState.UNMODERATED,
            OpinionCounts(0, 0, 0),
            None,
            book.now,
        )
        self._decision.opinions.append(command)
        self._decision.changed.add(command.conversation_id)
        self._seen.created[request] = Created(opinion, replayed=True)
        return Created(opinion)

    def _vote(self, book: _Book, command: VoteCommand) -> Voted | TallyError:
        key = (command.conversation_id, command.user_id, command.opinion_id)
        if not isinstance(command, AuthorVote):
            again = self._replay(key, command)
            if again is not None:
                return again
        if book.locked:
            return ConversationLocked(command.conversation_id)
        poll = self._seen.polls.get((command.conversation_id, command.opinion_id))
        if poll is None or poll.state is OpinionState.DELETED:
            return OpinionNotFound(command.conversation_id, command.opinion_id)
        if not poll.state.visible and not isinstance(command, CancelVote):
            return OpinionModerated(command.opinion_id)
        if poll.due and command.user_id == poll.author_id:
            poll.due = False
            self._decision.no_longer_due.append((command.conversation_id, command.opinion_id))
            if key not in self._seen.votes:  # an import can have brought one
                self._set(book, poll, key, Choice.AGREE, None)
        if isinstance(command, AuthorVote):
            return Voted(Answer(poll.answer(), book.answer()))
        if isinstance(command, CastVote):
            answer = self._set(book, poll, key, command.choice, command.request_id)
            assert answer is not None
            return Voted(answer)
        if key not in self._seen.votes:
            return VoteNotFound(command.opinion_id, command.user_id)
        return Voted(self._cancel(book, poll, key, command.request_id))

    def _replay(self, key: VoteKey, command: CastVote | CancelVote) -> Voted | TallyError | None:
        """What the same request was answered before, if it was."""
        choice = command.choice if isinstance(command, CastVote) else None
        standing = self._seen.votes.get(key)
        if standing is not None and standing.request_id == command.request_id:
            assert standing.answer is not None
            return Voted(standing.answer, replayed=True) if standing.choice == choice else RequestIdReused()
        past = self._seen.past.get((*key, command.request_id))
        if past is not None:
            return Voted(past.answer, replayed=True) if past.choice == choice else RequestIdReused()
        return None

    def _set(self, book: _Book, poll: Poll, key: VoteKey, choice: Choice, request_id: UUID | None) -> Answer | None:
        """Makes this the user's vote. Without a request there is nobody to answer."""
        before = self._seen.votes.get(key)
        if before is None:
            self._count(book, poll, key, +1)
        else:
            poll.counts[before.choice] -= 1
            self._put_by(before)
        poll.counts[choice] += 1
        answer = Answer(poll.answer(), book.answer()) if request_id is not None else None
        self._seen.votes[key] = Vote(key[0], key[2], key[1], choice, book.now, request_id, answer)
        self._decision.changed.add(book.conversation_id)
        return answer

    def _cancel(self, book: _Book, poll: Poll, key: VoteKey, request_id: UUID) -> Answer:
        before = self._seen.votes.pop(key)
        self._count(book, poll, key, -1)
        poll.counts[before.choice] -= 1
        self._put_by(before)
        answer = Answer(poll.answer(), book.answer())
        cancellation = PastVote(key[0], key[2], key[1], None, book.now, request_id, answer)
        self._decision.past.append(cancellation)
        self._seen.past[*key, request_id] = cancellation
        self._decision.changed.add(book.conversation_id)
        return answer

    def _put_by(self, vote: Vote) -> None:
        """Keeps a vote that no longer stands for whoever repeats its request."""
        if vote.request_id is None or vote.answer is None:
            return
        past = PastVote(
            vote.conversation_id,
            vote.opinion_id,
            vote.user_id,
            vote.choice,
            vote.vote_time,
            vote.request_id,
            vote.answer,
        )
        self._decision.past.append(past)
        self._seen.past[vote.conversation_id, vote.user_id, vote.opinion_id, vote.request_id] = past

    def _count(self, book: _Book, poll: Poll, key: VoteKey, n: int) -> None:
        """One vote more, or one less, on this opinion by this user."""
        person = self._seen.participants.get(key[:2])
        if person is None:
            person = self._seen.participants[key[:2]] = Participant()
        book.vote_count += n
        person.vote_count += n
        if person.vote_count == (n > 0):
            book.participant_count += n
        if poll.state.visible:
            book.visible_vote_count += n
            person.visible_vote_count += n
            if person.visible_vote_count == (n > 0):
                book.visible_participant_count += n

    def _conclude(self) -> None:
        decision, stored, standing = self._decision, self._stored, self._seen.votes
        for key, vote in standing.items():
            before = stored.get(key)
            if before is None:
                decision.inserted.append(vote)
            elif before is not vote:
                decision.updated.append(vote)
        decision.deleted = [key for key in stored if key not in standing]
        decision.polls = {key: poll for key, poll in self._seen.polls.items() if poll.counts != poll.before}
        decision.participants = {
            key: person
            for key, person in self._seen.participants.items()
            if (person.vote_count, person.visible_vote_count) != person.before
        }
        for conversation_id in decision.changed:
            book, row = self._books[conversation_id], self._rows[conversation_id]
            decision.counts[conversation_id] = {name: getattr(book, name) - row[name] for name in COUNTS}
