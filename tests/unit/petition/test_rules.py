"""What happens to each command: decided without a database, so any order and any split into batches can be tried."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.petition import rules
from services.petition.errors import AlreadySigned, CoSignNotFound, PetitionClosed, PetitionNotFound, PetitionWithdrawn
from services.petition.model import (
    Command,
    EscalationKind,
    Removal,
    RemovedSignature,
    Sign,
    Signature,
    Signed,
    State,
    Withdraw,
    Withdrawn,
)

PETITION, OTHER, MISSING = UUID(int=1), UUID(int=2), UUID(int=3)
THRESHOLDS = [1, 2, 4]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass
class Shelf:
    """What is stored, as far as rules see it: a decision is applied to it as the store would."""

    rows: dict[UUID, dict[str, Any]] = field(default_factory=lambda: {key: a_row() for key in (PETITION, OTHER)})
    standing: dict[rules.Signer, Signature] = field(default_factory=dict)
    removed: dict[rules.Signer, list[RemovedSignature]] = field(default_factory=dict)
    passings: list[tuple[UUID, int, str, int]] = field(default_factory=list)
    by_region: dict[tuple[UUID, str], int] = field(default_factory=dict)
    commits: int = 0

    def run(self, commands: Sequence[Command]) -> list[rules.Outcome]:
        self.commits += 1
        for row in self.rows.values():
            row["locked_time"] = NOON + timedelta(seconds=self.commits)
        wanted = {(command.petition_id, command.user_id) for command in commands}
        seen = rules.Seen(
            {signer: replace(self.standing[signer]) for signer in wanted if signer in self.standing},
            {signer: list(self.removed[signer]) for signer in wanted if signer in self.removed},
        )
        decision = rules.decide(self.rows, seen, commands)
        token = f"{self.commits:x}"
        for signer in decision.deleted:
            del self.standing[signer]
        for added in decision.added:
            self.standing[added.petition_id, added.user_id] = replace(added, token=token)
        for gone in decision.removed:
            kept = replace(gone, token=token, signature=replace(gone.signature, token=gone.signature.token or token))
            self.removed.setdefault((gone.signature.petition_id, gone.signature.user_id), []).append(kept)
        for (petition_id,), n in decision.co_signers.items():
            self.rows[petition_id]["co_signer_count"] += n
        for (petition_id,), n in decision.ordinals.items():
            self.rows[petition_id]["last_ordinal"] += n
        for part, n in decision.by_region.items():
            self.by_region[part] = self.by_region.get(part, 0) + n
        self.passings += [(e.petition_id, e.threshold, e.kind.value, e.co_signer_count) for e in decision.escalations]
        return decision.outcomes

    def check(self) -> None:
        """Counters equal rows, ordinals are gapless over standing and removed, thresholds pass in turn."""
        for petition_id, row in self.rows.items():
            standing = [s for (petition, _), s in self.standing.items() if petition == petition_id]
            removed = [r.signature for (petition, _), rs in self.removed.items() if petition == petition_id for r in rs]
            assert row["co_signer_count"] == len(standing)
            ordinals = sorted(s.ordinal for s in (*standing, *removed))
            assert ordinals == list(range(1, row["last_ordinal"] + 1))
            regions = {s.region_code for s in standing if s.region_code}
            for code in regions | {code for petition, code in self.by_region if petition == petition_id}:
                stored = sum(s.region_code == code for s in standing)
                assert self.by_region.get((petition_id, code), 0) == stored
            for threshold in THRESHOLDS:
                kinds = [kind for petition, t, kind, _ in self.passings if (petition, t) == (petition_id, threshold)]
                assert kinds == ["crossed", "reversed"] * (len(kinds) // 2) + ["crossed"] * (len(kinds) % 2)
                assert (len(kinds) % 2 == 1) == (row["co_signer_count"] >= threshold)


def a_row(state: State = State.OPEN, count: int = 0, last_ordinal: int = 0) -> dict[str, Any]:
    return {
        "state": state.value,
        "co_signer_count": count,
        "last_ordinal": last_ordinal,
        "escalation_thresholds": THRESHOLDS,
        "locked_time": NOON,
    }


def sign(user: int, request: int, region: str | None = None, petition: UUID = PETITION) -> Sign:
    return Sign(petition, UUID(int=user), region, UUID(int=request))


def withdraw(user: int, request: int, petition: UUID = PETITION) -> Withdraw:
    return Withdraw(petition, UUID(int=user), UUID(int=request))


def test_signatures_get_ordinals_and_counts_in_the_order_they_came() -> None:
    outcomes = Shelf().run([sign(user, user) for user in (7, 3, 5)])
    assert [(o.signature.ordinal, o.signature.co_signer_count) for o in outcomes if isinstance(o, Signed)] == [
        (1, 1),
        (2, 2),
        (3, 3),
    ]


def test_the_second_signature_of_a_user_is_refused_with_when_and_as_which_number_the_first_was() -> None:
    shelf = Shelf()
    _, refused_in_batch = shelf.run([sign(1, 10), sign(1, 11)])
    (refused_later,) = shelf.run([sign(1, 12)])
    for refused in (refused_in_batch, refused_later):
        assert isinstance(refused, AlreadySigned)
        assert refused.metadata["ordinal"] == "1"
        assert refused.metadata["signed_time"] == "2026-01-01T12:00:01Z"


def test_an_unknown_petition_refuses_its_own_commands_only() -> None:
    outcomes = Shelf().run([sign(1, 10, petition=MISSING), sign(1, 11), withdraw(1, 12, petition=MISSING)])
    assert [type(outcome) for outcome in outcomes] == [PetitionNotFound, Signed, PetitionNotFound]


@pytest.mark.parametrize(("state", "refusal"), [(State.CLOSED, PetitionClosed), (State.WITHDRAWN, PetitionWithdrawn)])
def test_a_petition_that_is_not_open_takes_nothing_but_repeats(state: State, refusal: type[Exception]) -> None:
    shelf = Shelf()
    shelf.run([sign(1, 10), sign(2, 20), withdraw(2, 21)])
    shelf.rows[PETITION]["state"] = state.value
    outcomes = shelf.run([sign(1, 10), sign(2, 20), withdraw(2, 21), sign(1, 11), sign(3, 30), withdraw(1, 12)])
    assert [type(o) for o in outcomes] == [Signed, Signed, Withdrawn, refusal, refusal, refusal]
    assert all(outcome.replayed for outcome in outcomes if isinstance(outcome, Signed | Withdrawn))
    shelf.check()


def test_only_who_signed_can_withdraw_and_only_once() -> None:
    outcomes = Shelf().run([withdraw(1, 10), sign(1, 11), withdraw(1, 12), withdraw(1, 13)])
    assert [type(o) for o in outcomes] == [CoSignNotFound, Signed, Withdrawn, CoSignNotFound]


def test_each_passing_of_a_threshold_inside_a_batch_is_noted() -> None:
    """G3."""
    shelf = Shelf()
    outcomes = shelf.run([sign(1, 10), sign(2, 20), withdraw(1, 11), sign(3, 30), withdraw(3, 31), withdraw(2, 21)])
    assert [(threshold, kind, count) for _, threshold, kind, count in shelf.passings] == [
        (1, "crossed", 1),
        (2, "crossed", 2),
        (2, "reversed", 1),
        (2, "crossed", 2),
        (2, "reversed", 1),
        (1, "reversed", 0),
    ]
    told = [tuple(o.crossed_thresholds if isinstance(o, Signed) else o.reversed_thresholds) for o in outcomes]  # type: ignore[union-attr]
    assert told == [(1,), (2,), (2,), (2,), (2,), (1,)]


def test_a_fall_of_many_passes_every_threshold_between() -> None:
    assert rules.reversed_between([9, 2, 4, 5], before=5, after=2) == (4, 5)
    assert rules.reversed_between([9, 2, 4, 5], before=5, after=5) == ()
    assert rules.reversed_between([9, 2, 4, 5], before=100, after=0) == (2, 4, 5, 9)


def test_an_invalidated_signature_is_not_a_withdrawal_to_repeat() -> None:
    """The id of an invalidation may be anything, also one that a withdrawal uses."""
    signature = Signature(PETITION, UUID(int=1), 1, None, UUID(int=10), 1, NOON, "1")
    gone = RemovedSignature(signature, Removal.INVALIDATED, UUID(int=99), 0, NOON, "bought", "2")
    shelf = Shelf(removed={(PETITION, UUID(int=1)): [gone]})
    shelf.rows[PETITION]["last_ordinal"] = 1
    (outcome,) = shelf.run([withdraw(1, 99)])
    assert isinstance(outcome, CoSignNotFound)


# Few users and request ids, so that they meet: duplicates, repeats, withdrawals, signing again.
COMMANDS = st.lists(
    st.one_of(
        st.builds(
            sign,
            st.integers(1, 4),
            st.integers(100, 106),
            st.sampled_from([None, "DE", "FR"]),
            st.sampled_from([PETITION, OTHER]),
        ),
        st.builds(withdraw, st.integers(1, 4), st.integers(100, 106), st.sampled_from([PETITION, OTHER])),
        st.builds(sign, st.just(1), st.just(100), st.none(), st.just(MISSING)),
    ),
    max_size=30,
)


def told(outcome: rules.Outcome) -> tuple[object, ...]:
    """What a caller is told, times and tokens apart: those tell which commands shared a transaction."""
    if isinstance(outcome, Signed):
        s = outcome.signature
        return "signed", s.ordinal, s.co_signer_count, tuple(outcome.crossed_thresholds), outcome.replayed
    if isinstance(outcome, Withdrawn):
        count = outcome.removed.removal_count
        return "withdrawn", count, tuple(outcome.reversed_thresholds), outcome.replayed
    return type(outcome), {name: text for name, text in outcome.metadata.items() if name != "signed_time"}.items()


@settings(deadline=None)
@given(COMMANDS)
def test_counters_equal_rows_after_any_commands(commands: list[Command]) -> None:
    """G2, G3."""
    shelf = Shelf()
    outcomes = shelf.run(commands)
    assert len(outcomes) == len(commands)
    shelf.check()


@settings(deadline=None)
@given(COMMANDS, st.lists(st.integers(0, 30), max_size=5))
def test_how_commands_share_transactions_changes_nothing_for_anybody(commands: list[Command], cuts: list[int]) -> None:
    """G2, G3, G5: one by one, all at once, or cut anywhere, everybody is told the same."""
    together, apart, one_by_one = Shelf(), Shelf(), Shelf()
    expected = [told(outcome) for outcome in together.run(commands)]
    bounds = [0, *sorted(min(cut, len(commands)) for cut in cuts), len(commands)]
    parts = [commands[start:end] for start, end in pairwise(bounds)]
    assert [told(outcome) for part in parts for outcome in apart.run(part)] == expected
    assert [told(outcome) for command in commands for outcome in one_by_one.run([command])] == expected
    for shelf in (apart, one_by_one):
        shelf.check()
        assert by_petition(shelf.passings) == by_petition(together.passings)


def by_petition(passings: list[tuple[UUID, int, str, int]]) -> list[tuple[UUID, int, str, int]]:
    """In the order they happened, petition by petition."""
    return sorted(passings, key=lambda passing: passing[0])


@settings(deadline=None)
@given(COMMANDS)
def test_repeating_everything_that_succeeded_changes_nothing(commands: list[Command]) -> None:
    """G5."""
    shelf = Shelf()
    first = shelf.run(commands)
    before = (dict(shelf.standing), {k: list(v) for k, v in shelf.removed.items()}, list(shelf.passings))
    succeeded = [
        (command, outcome)
        for command, outcome in zip(commands, first, strict=True)
        if isinstance(outcome, Signed | Withdrawn)
    ]
    again = shelf.run([command for command, _ in succeeded])
    for (_, outcome), repeated in zip(succeeded, again, strict=True):
        assert told(repeated)[:-1] == told(outcome)[:-1]
        assert isinstance(repeated, Signed | Withdrawn) and repeated.replayed
    assert (shelf.standing, shelf.removed, shelf.passings) == before


def test_a_decision_names_only_what_changed() -> None:
    rows = {PETITION: a_row(count=3, last_ordinal=5), OTHER: a_row()}
    decision = rules.decide(rows, rules.Seen(), [withdraw(9, 90)])
    assert not (decision.added or decision.removed or decision.deleted or decision.escalations)
    assert not (decision.ordinals or decision.co_signers or decision.by_region)


def test_kinds_of_escalation_are_the_words_in_the_database() -> None:
    assert {kind.value for kind in EscalationKind} == {"crossed", "reversed"}
