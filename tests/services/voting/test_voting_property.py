"""Any sequence of commands, alone or sharing transactions, leaves exactly what a simple model of it says (G2, G5)."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from libs.data.database import Committed, Database
from libs.data.errors import TallyError
from libs.data.group_commit import GroupCommit
from libs.data.settings import DatabaseSettings
from services.voting import store, store_conversations, store_moderation
from services.voting.model import (
    AuthorVote,
    CancelVote,
    CastVote,
    Choice,
    Command,
    Created,
    CreateOpinion,
    Moderation,
    ModerationAction,
    NewConversation,
    Voted,
)
from tests.seeds import chosen_seed
from tests.services.voting.recount import assert_counts_hold
from tests.services.voting.voting_model import VotingModel
from tests.stored import Connection

T = TypeVar("T")

# Few, so that they meet.
USERS = st.integers(1, 4)
NUMBERS = st.integers(0, 9)
WORDS = st.one_of(
    st.tuples(st.just("vote"), NUMBERS, USERS, st.sampled_from(list(Choice))),
    st.tuples(st.just("cancel"), NUMBERS, USERS),
    st.tuples(st.just("author_vote"), NUMBERS),
    st.tuples(st.just("create"), USERS),
)
STATES = {
    ModerationAction.ACCEPT: "accepted",
    ModerationAction.MOVE: "moved",
    ModerationAction.HIDE: "hidden",
    ModerationAction.RESTORE: "unmoderated",
}
MODERATOR = UUID(int=99)


@dataclass
class Scene:
    """The lane in which commands meet, on a real database."""

    runner: asyncio.Runner
    database: Database
    db: Connection
    lane: GroupCommit[Command, Voted | Created]

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)


@asynccontextmanager
async def a_scene(runner: asyncio.Runner, database_url: str) -> AsyncIterator[Scene]:
    db = await asyncpg.connect(database_url)
    async with Database.open(DatabaseSettings(database_url=database_url, database_role="tally_voting")) as database:
        yield Scene(runner, database, db, GroupCommit(database, store.vote_and_create, name="voting.votes"))
    await db.close()


def told(outcome: object) -> str:
    if isinstance(outcome, TallyError):
        return outcome.reason
    assert isinstance(outcome, Committed)
    return "created" if isinstance(outcome.value, Created) else "voted"


class VotingMachine(RuleBasedStateMachine):
    """One conversation; commands go to the lane, a transaction a rule."""

    scene: ClassVar[Scene]

    @initialize()
    def open(self) -> None:
        self.model = VotingModel()
        self.opinion_ids: list[UUID] = []
        self.sent: list[tuple[CastVote | CancelVote, Any]] = []
        new = NewConversation("Cars on Main Street?", "", MODERATOR)
        self.conversation_id = self.write(lambda tx: store_conversations.create(tx, new, uuid4())).conversation_id

    def write(self, work: Any) -> Any:
        return self.scene.do(self.scene.database.write(work)).value

    def moderation(self, action: ModerationAction, opinion_id: UUID | None = None) -> Moderation:
        return Moderation(self.conversation_id, opinion_id, action, MODERATOR, "because")

    def attempt(self, work: Any) -> str:
        """The reason it was refused for, or nothing."""
        try:
            self.write(work)
        except TallyError as error:
            return error.reason
        return ""

    @rule(words=st.lists(WORDS, min_size=1, max_size=6))
    def vote_and_create(self, words: Sequence[tuple[Any, ...]]) -> None:
        known = len(self.opinion_ids)
        commands: list[Command] = []
        expected = []
        for kind, number, *more in words:
            if kind == "create":
                commands.append(CreateOpinion(self.conversation_id, uuid4(), UUID(int=number), "Yes", uuid4()))
                expected.append(self.model.create(number))
            elif known:
                # Only what was there before: nobody knows an opinion whose creation was not answered.
                chosen = number % known
                of = (self.conversation_id, self.opinion_ids[chosen])
                if kind == "vote":
                    commands.append(CastVote(*of, UUID(int=more[0]), more[1], uuid4()))
                elif kind == "cancel":
                    commands.append(CancelVote(*of, UUID(int=more[0]), uuid4()))
                else:
                    commands.append(AuthorVote(*of, UUID(int=self.model.opinions[chosen].author)))
                expected.append(getattr(self.model, kind)(chosen, *more))
        outcomes = self.scene.do(self.scene.lane.submit_many(commands))
        assert [told(outcome) for outcome in outcomes] == expected
        for command, outcome in zip(commands, outcomes, strict=True):
            if isinstance(outcome, Committed) and isinstance(command, CreateOpinion):
                self.opinion_ids.append(command.opinion_id)
            elif isinstance(outcome, Committed) and isinstance(command, CastVote | CancelVote):
                assert isinstance(outcome.value, Voted) and not outcome.value.replayed
                answer = outcome.value.answer
                self.sent.append((command, (answer.opinion, answer.conversation)))

    @rule(numbers=st.lists(st.integers(0, 99), min_size=1, max_size=4))
    def repeat(self, numbers: list[int]) -> None:
        """G5: whatever happened since, other than that the opinion was deleted with all that was known of it."""
        for number in numbers:
            if not self.sent:
                return
            command, answer = self.sent[number % len(self.sent)]
            if self.model.opinions[self.opinion_ids.index(command.opinion_id)].state == "deleted":
                continue
            (again,) = self.scene.do(self.scene.lane.submit_many([command]))
            assert isinstance(again, Committed) and isinstance(again.value, Voted) and again.value.replayed
            assert (again.value.answer.opinion, again.value.answer.conversation) == answer

    @rule(number=NUMBERS, action=st.sampled_from(list(STATES)))
    def moderate(self, number: int, action: ModerationAction) -> None:
        if self.opinion_ids:
            chosen = number % len(self.opinion_ids)
            expected = self.model.moderate(chosen, STATES[action])
            moderation = self.moderation(action, self.opinion_ids[chosen])
            refused = self.attempt(lambda tx: store_moderation.moderate(tx, moderation, uuid4()))
            assert refused == ("OPINION_NOT_FOUND" if expected == "OPINION_NOT_FOUND" else "")

    @rule(number=NUMBERS)
    def delete(self, number: int) -> None:
        if self.opinion_ids:
            chosen = number % len(self.opinion_ids)
            expected = self.model.delete(chosen)
            deletion = self.moderation(ModerationAction.DELETE, self.opinion_ids[chosen])
            refused = self.attempt(lambda tx: store_moderation.delete(tx, deletion, uuid4()))
            assert refused == ("OPINION_NOT_FOUND" if expected == "OPINION_NOT_FOUND" else "")

    @rule(locked=st.booleans())
    def lock(self, locked: bool) -> None:
        expected = self.model.lock(locked)
        work = store_conversations.lock if locked else store_conversations.unlock
        moderation = self.moderation(ModerationAction.LOCK if locked else ModerationAction.UNLOCK)
        refused = self.attempt(lambda tx: work(tx, moderation, uuid4()))
        assert refused == (expected if expected.isupper() else "")

    @invariant()
    def everything_stored_is_as_the_model_says(self) -> None:
        if hasattr(self, "model"):
            self.scene.do(self.check())

    async def check(self) -> None:
        db, model = self.scene.db, self.model
        row = await db.fetchrow("SELECT * FROM voting.conversations WHERE conversation_id = $1", self.conversation_id)
        assert row is not None and (row["state"] == "locked") == model.locked
        names = ("opinion_count", "vote_count", "participant_count")
        assert tuple(row[name] for name in names) == model.totals(visible_only=False)
        assert tuple(row[f"visible_{name}"] for name in names) == model.totals(visible_only=True)
        stored = await db.fetch(
            "SELECT opinion_id, user_id, vote FROM voting.votes WHERE conversation_id = $1", self.conversation_id
        )
        assert {(r["opinion_id"], r["user_id"].int): r["vote"] for r in stored} == {
            (self.opinion_ids[n], user): choice
            for n, opinion in enumerate(model.opinions)
            for user, choice in opinion.votes.items()
        }
        states = await db.fetch(
            "SELECT o.opinion_id, o.state, d.opinion_id IS NOT NULL AS due FROM voting.opinions o "
            "LEFT JOIN voting.author_votes_due d USING (conversation_id, opinion_id) WHERE conversation_id = $1",
            self.conversation_id,
        )
        assert {r["opinion_id"]: (r["state"], r["due"]) for r in states} == {
            self.opinion_ids[n]: (opinion.state, opinion.due) for n, opinion in enumerate(model.opinions)
        }
        await assert_counts_hold(self.scene.database, self.conversation_id)


@pytest.mark.parametrize(
    ("examples", "steps"), [(15, 25), pytest.param(150, 50, marks=[pytest.mark.heavy, pytest.mark.timeout(900)])]
)
def test_any_sequence_of_commands_leaves_what_a_simple_model_says(database_url: str, examples: int, steps: int) -> None:
    """G2, G5: opinion, vote, change, cancel, moderate, restore, delete, lock: every count equals a plain recount."""

    async def enter() -> Scene:
        return await scene.__aenter__()

    with asyncio.Runner() as runner:
        scene = a_scene(runner, database_url)
        machine = type("BoundVotingMachine", (VotingMachine,), {"scene": runner.run(enter())})
        try:
            run_state_machine_as_test(
                seeded(int(chosen_seed()))(machine),
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=steps,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(scene.__aexit__(None, None, None))
