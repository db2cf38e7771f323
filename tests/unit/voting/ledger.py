"""Conversations without a database, for what rules decide about votes and opinions."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.voting import rules
from services.voting.model import (
    Answer,
    AuthorVote,
    CancelVote,
    CastVote,
    Choice,
    Command,
    Created,
    CreateOpinion,
    Opinion,
    OpinionCounts,
    OpinionState,
    PastVote,
    Vote,
)

CONVERSATION, OTHER, MISSING = UUID(int=1), UUID(int=2), UUID(int=3)
FIRST, SECOND, ELSEWHERE, NOWHERE = UUID(int=11), UUID(int=12), UUID(int=13), UUID(int=14)
CONVERSATION_OF = {FIRST: CONVERSATION, SECOND: CONVERSATION, ELSEWHERE: OTHER, NOWHERE: CONVERSATION}
AUTHORS = {FIRST: UUID(int=101), SECOND: UUID(int=102), ELSEWHERE: UUID(int=101)}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass
class Ledger:
    """What is stored, as far as rules see it: a decision is applied to it as the store would, and everything recounted.

    It begins with two opinions in one conversation and one in another, the authors' votes on them still due.
    """

    rows: dict[UUID, dict[str, Any]] = field(default_factory=lambda: {CONVERSATION: a_row(2), OTHER: a_row(1)})
    states: dict[UUID, OpinionState] = field(default_factory=lambda: dict.fromkeys(AUTHORS, OpinionState.UNMODERATED))
    due: set[UUID] = field(default_factory=lambda: set(AUTHORS))
    votes: dict[rules.VoteKey, Vote] = field(default_factory=dict)
    past: dict[rules.RequestKey, PastVote] = field(default_factory=dict)
    created: dict[tuple[UUID, UUID], Created] = field(default_factory=dict)
    polls: dict[rules.OpinionKey, tuple[int, int, int]] = field(default_factory=dict)
    people: dict[rules.ParticipantKey, tuple[int, int]] = field(default_factory=dict)
    commits: int = 0

    def set_state(self, opinion: UUID, state: OpinionState) -> None:
        """Moderates the opinion, or deletes it before anybody has voted on it."""
        row = self.rows[CONVERSATION_OF[opinion]]
        row["visible_opinion_count"] += state.visible - self.states[opinion].visible
        row["opinion_count"] -= state is OpinionState.DELETED
        self.states[opinion] = state
        of_it = [key for key in self.votes if key[0] == CONVERSATION_OF[opinion] and self.states[key[2]].visible]
        row["visible_vote_count"], row["visible_participant_count"] = len(of_it), len({user for _, user, _ in of_it})
        for who, (votes, _) in self.people.items():
            self.people[who] = (votes, sum(key[:2] == who for key in of_it))

    def lock(self) -> None:
        self.rows[CONVERSATION]["state"] = "locked"

    def run(self, *commands: Command) -> list[rules.Outcome]:
        """The outcomes of the commands, which share one transaction."""
        self.commits += 1
        for row in self.rows.values():
            row["locked_time"] = NOON + timedelta(seconds=self.commits)
        decision = rules.decide(self.rows, self.seen(commands), commands)
        self.apply(decision)
        self.check()
        assert len(decision.outcomes) == len(commands)
        return decision.outcomes

    def seen(self, commands: Sequence[Command]) -> rules.Seen:
        """What the store would look up for these commands."""
        seen = rules.Seen()
        for command in commands:
            if isinstance(command, CreateOpinion):
                request = (command.conversation_id, command.request_id)
                if request in self.created:
                    seen.created[request] = replace(self.created[request])
                continue
            conversation, user, opinion = command.conversation_id, command.user_id, command.opinion_id
            if opinion not in self.states or CONVERSATION_OF[opinion] != conversation:
                continue
            due = opinion in self.due and AUTHORS[opinion] == user
            counts = self.polls.get((conversation, opinion), (0, 0, 0))
            poll = seen.polls.setdefault(
                (conversation, opinion), rules.Poll(self.states[opinion], AUTHORS[opinion], counts, due=due)
            )
            poll.due = poll.due or due
            if (conversation, user) in self.people:
                counters = self.people[conversation, user]
                seen.participants.setdefault((conversation, user), rules.Participant(*counters, stored=True))
            key = (conversation, user, opinion)
            if key in self.votes:
                seen.votes.setdefault(key, self.votes[key])
            request_id = None if isinstance(command, AuthorVote) else command.request_id
            if request_id is not None and (*key, request_id) in self.past:
                seen.past[*key, request_id] = self.past[*key, request_id]
        return seen

    def apply(self, decision: rules.Decision) -> None:
        token = f"{self.commits:x}"
        assert len(set(decision.deleted)) == len(decision.deleted)
        for key in decision.deleted:
            del self.votes[key]
        for vote in decision.inserted:
            assert (vote.conversation_id, vote.user_id, vote.opinion_id) not in self.votes
        for vote in decision.updated:
            assert (vote.conversation_id, vote.user_id, vote.opinion_id) in self.votes
        for vote in (*decision.inserted, *decision.updated):
            key = (vote.conversation_id, vote.user_id, vote.opinion_id)
            self.votes[key] = replace(vote, answer=with_token(vote.answer, token))
        for gone in decision.past:
            request = (gone.conversation_id, gone.user_id, gone.opinion_id, gone.request_id)
            assert request not in self.past, "a request is answered from one place"
            answer = with_token(gone.answer, gone.answer.token or token)
            assert answer is not None
            self.past[request] = replace(gone, answer=answer)
        for _, opinion in decision.no_longer_due:
            self.due.remove(opinion)
        for new in decision.opinions:
            opinion_ = Opinion(
                *(new.conversation_id, new.opinion_id, new.author_id, new.body, OpinionState.UNMODERATED),
                *(OpinionCounts(0, 0, 0), None, self.rows[new.conversation_id]["locked_time"]),
            )
            self.created[new.conversation_id, new.request_id] = Created(opinion_, replayed=True, token=token)
        for opinion_key, counted in decision.polls.items():
            agrees, disagrees, passes = (counted.counts[c] for c in (Choice.AGREE, Choice.DISAGREE, Choice.PASS))
            self.polls[opinion_key] = (agrees, disagrees, passes)
        for who, person in decision.participants.items():
            assert person.stored == (who in self.people)
            self.people[who] = (person.vote_count, person.visible_vote_count)
        assert set(decision.counts) == decision.changed
        for conversation, changes in decision.counts.items():
            for name, n in changes.items():
                self.rows[conversation][name] += n

    def check(self) -> None:
        """Every counter equals its rows."""
        for conversation, row in self.rows.items():
            of_it = [vote for vote in self.votes.values() if vote.conversation_id == conversation]
            visible = [vote for vote in of_it if self.states[vote.opinion_id].visible]
            assert (row["vote_count"], row["participant_count"]) == (len(of_it), len({v.user_id for v in of_it}))
            assert (row["visible_vote_count"], row["visible_participant_count"]) == (
                *(len(visible), len({v.user_id for v in visible})),
            )
            added = sum(key[0] == conversation for key in self.created)
            there = [self.states[o] for o in AUTHORS if CONVERSATION_OF[o] == conversation]
            assert row["opinion_count"] == added + sum(state is not OpinionState.DELETED for state in there)
            assert row["visible_opinion_count"] == added + sum(state.visible for state in there)
        for (_, opinion), counts in self.polls.items():
            choices = [vote.choice for vote in self.votes.values() if vote.opinion_id == opinion]
            assert counts == tuple(choices.count(choice) for choice in (Choice.AGREE, Choice.DISAGREE, Choice.PASS))
        for (conversation, user), counters in self.people.items():
            own = [
                self.states[v.opinion_id]
                for v in self.votes.values()
                if (v.conversation_id, v.user_id) == (conversation, user)
            ]
            assert counters == (len(own), sum(state.visible for state in own))
        assert {(v.conversation_id, v.user_id) for v in self.votes.values()} <= set(self.people)
        assert not {v.opinion_id for v in self.votes.values() if v.user_id == AUTHORS[v.opinion_id]} & self.due


def a_row(opinions: int) -> dict[str, Any]:
    counts = {name: opinions if name.endswith("opinion_count") else 0 for name in rules.COUNTS}
    return {"state": "open", "locked_time": NOON, **counts}


def with_token(answer: Answer | None, token: str) -> Answer | None:
    return None if answer is None else replace(answer, token=token)


def cast(
    user: int, request: int, choice: Choice = Choice.AGREE, opinion: UUID = FIRST, conversation: UUID | None = None
) -> CastVote:
    return CastVote(conversation or CONVERSATION_OF[opinion], opinion, UUID(int=user), choice, UUID(int=request))


def cancel(user: int, request: int, opinion: UUID = FIRST, conversation: UUID | None = None) -> CancelVote:
    return CancelVote(conversation or CONVERSATION_OF[opinion], opinion, UUID(int=user), UUID(int=request))


def author_vote(opinion: UUID = FIRST) -> AuthorVote:
    return AuthorVote(CONVERSATION_OF[opinion], opinion, AUTHORS[opinion])


def create(
    number: int, author: int, request: int, body: str = "Yes.", conversation: UUID = CONVERSATION
) -> CreateOpinion:
    """Adds the opinion of this number."""
    return CreateOpinion(conversation, UUID(int=1000 + number), UUID(int=author), body, UUID(int=request))
