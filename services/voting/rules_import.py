"""What becomes of each piece of an import, decided without any input or output: under the lock, in the order of the stream."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from libs.data.errors import NotFound, TallyError
from services.voting.errors import OpinionNotFound
from services.voting.model import Choice, ConversationCounts, OpinionState
from services.voting.model_transfer import Item, OpinionItem, VoteItem
from services.voting.rules import COUNTS, Decision, Participant, Poll


class ImportedPoll(Poll):
    """The votes on an opinion that an import names."""

    __slots__ = ("opinion_id", "visible")

    def __init__(
        self, opinion_id: UUID, state: OpinionState, author_id: UUID, counts: tuple[int, int, int] = (0, 0, 0)
    ) -> None:
        super().__init__(state, author_id, counts, due=False)
        self.opinion_id = opinion_id
        self.visible = state.visible


class Person(Participant):
    """Somebody whom an import names."""

    __slots__ = ("external_id", "user_id")

    def __init__(
        self, user_id: UUID, external_id: str, vote_count: int = 0, visible: int = 0, *, stored: bool = False
    ) -> None:
        super().__init__(vote_count, visible, stored=stored)
        self.user_id = user_id
        self.external_id = external_id


@dataclass(slots=True, eq=False)
class Standing:
    """A person's vote on an opinion.

    Args:
        stored: choice and time of the row; None where there is none yet.
        live: it was cast here, so whoever repeats that request is answered from it.
    """

    choice: Choice
    vote_time: datetime
    stored: tuple[Choice, datetime] | None = None
    live: bool = False


Ballot = tuple[Person, ImportedPoll]


@dataclass(slots=True)
class Known:
    """What is stored of what a batch names, read under the lock.

    Args:
        polls: the opinions there are, by external id.
        people: everybody the batch names, by external id, whether there is a row or not.
        cancelled: when people took back votes that they cast here, the latest of each.
    """

    polls: dict[str, ImportedPoll] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    votes: dict[Ballot, Standing] = field(default_factory=dict)
    cancelled: dict[Ballot, datetime] = field(default_factory=dict)


@dataclass(slots=True)
class NewOpinion:
    """An opinion to be stored."""

    opinion_id: UUID
    author_id: UUID
    item: OpinionItem
    created_time: datetime


@dataclass(slots=True)
class ImportDecision:
    """What to write, and what to tell.

    Args:
        people: to be stored before they are counted for.
        moved: what the counters follow.
        counts: of the conversation, afterwards.
        unchanged: items that changed nothing.
        rejected: items that were left out, by number.
    """

    counts: ConversationCounts
    opinions: list[NewOpinion] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    inserted: list[tuple[Ballot, Standing]] = field(default_factory=list)
    replaced: list[tuple[Ballot, Standing]] = field(default_factory=list)
    moved: Decision = field(default_factory=Decision)
    unchanged: int = 0
    rejected: list[tuple[int, TallyError]] = field(default_factory=list)


def decide(
    conversation: Mapping[str, object], known: Known, items: Sequence[Item], opinion_id: Callable[[str], UUID]
) -> ImportDecision:
    """Decides each item as if it came alone, in order: what is there stays, and of a person's votes the latest counts.

    Args:
        conversation: its locked row.
        known: consumed; it is brought forward as items are decided.
        opinion_id: the id of a new opinion, by its external id.
    """
    return _Decider(conversation, known, opinion_id).decide(items)


class _Decider:
    def __init__(self, conversation: Mapping[str, object], known: Known, opinion_id: Callable[[str], UUID]) -> None:
        self._id: UUID = conversation["conversation_id"]  # type: ignore[assignment]  # a driver's record knows no types
        self._now: datetime = conversation["locked_time"]  # type: ignore[assignment]
        self._before: dict[str, int] = {name: conversation[name] for name in COUNTS}  # type: ignore[misc]
        self._counts = dict(self._before)
        self._known = known
        self._opinion_id = opinion_id
        self._voted: dict[Ballot, Standing] = {}
        self._authors: dict[Person, None] = {}
        self._opinions: list[NewOpinion] = []
        self._rejected: list[tuple[int, TallyError]] = []
        self._unchanged = 0

    def decide(self, items: Sequence[Item]) -> ImportDecision:
        for item in items:
            changed = self._vote(item) if isinstance(item, VoteItem) else self._add(item)
            self._unchanged += not changed
        return self._concluded()

    def _add(self, item: OpinionItem) -> bool:
        """An opinion; False if it is there."""
        if item.opinion in self._known.polls:
            return False
        author = self._known.people[item.author]
        poll = ImportedPoll(self._opinion_id(item.opinion), item.state, author.user_id)
        self._known.polls[item.opinion] = poll
        self._authors[author] = None
        self._opinions.append(NewOpinion(poll.opinion_id, author.user_id, item, item.created_time or self._now))
        self._counts["opinion_count"] += 1
        self._counts["visible_opinion_count"] += item.state.visible
        return True

    def _vote(self, item: VoteItem) -> bool:
        """A vote; False if it, or something newer, is there. A rejected one is none that changed nothing."""
        poll = self._known.polls.get(item.opinion)
        if poll is None or poll.state is OpinionState.DELETED:
            self._rejected.append((item.number, _no_such_opinion(item.opinion)))
            return True
        ballot = (self._known.people[item.participant], poll)
        standing = self._known.votes.get(ballot)
        if standing is None:
            cancelled = self._known.cancelled.get(ballot)
            if cancelled is not None and cancelled >= item.vote_time:
                return False
            self._known.votes[ballot] = self._voted[ballot] = Standing(item.choice, item.vote_time)
            self._count(*ballot)
        elif standing.vote_time > item.vote_time or (
            standing.vote_time == item.vote_time and standing.choice == item.choice
        ):
            return False
        else:
            poll.counts[standing.choice] -= 1
            standing.choice, standing.vote_time = item.choice, item.vote_time
            self._voted[ballot] = standing
        poll.counts[item.choice] += 1
        return True

    def _count(self, person: Person, poll: ImportedPoll) -> None:
        """One vote more."""
        counts = self._counts
        counts["vote_count"] += 1
        person.vote_count += 1
        counts["participant_count"] += person.vote_count == 1
        if poll.visible:
            counts["visible_vote_count"] += 1
            person.visible_vote_count += 1
            counts["visible_participant_count"] += person.visible_vote_count == 1

    def _concluded(self) -> ImportDecision:
        counts = self._counts
        decision = ImportDecision(
            ConversationCounts(counts["opinion_count"], counts["vote_count"], counts["participant_count"]),
            self._opinions,
            unchanged=self._unchanged,
            rejected=self._rejected,
        )
        for ballot, standing in self._voted.items():
            if standing.stored is None:
                decision.inserted.append((ballot, standing))
            elif standing.stored != (standing.choice, standing.vote_time):
                decision.replaced.append((ballot, standing))
        people = {person: None for person, _ in self._voted} | self._authors
        decision.people = [person for person in people if not person.stored]
        if decision.opinions or decision.inserted or decision.replaced:
            decision.moved = self._moved(people)
        return decision

    def _moved(self, people: Mapping[Person, None]) -> Decision:
        polls = {poll: None for _, poll in self._voted}
        return Decision(
            polls={(self._id, poll.opinion_id): poll for poll in polls if poll.counts != poll.before},
            participants={
                (self._id, person.user_id): person
                for person in people
                if (person.vote_count, person.visible_vote_count) != person.before
            },
            counts={self._id: {name: self._counts[name] - self._before[name] for name in COUNTS}},
            changed={self._id},
        )


def _no_such_opinion(external_id: str) -> NotFound:
    return NotFound(f"there is no opinion of the external id {external_id!r}", reason=OpinionNotFound.reason)
