"""What is decided about members, without a database: any commands, in whatever batches they come."""

from dataclasses import replace
from itertools import count
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.data.errors import TallyError
from services.reputation.groups import rules
from services.reputation.groups.errors import AlreadyAMember, LastAdmin, NotAMember, NotAnAdmin, VerificationRequired
from services.reputation.groups.model import Changed, Command, Join, Kind, Leave, Role, SetRole
from services.reputation.ledger.errors import GroupNotFound, RequestIdReused, UserNotFound
from tests.unit.reputation.club import ANNA, BEN, FOUNDER, GROUP, MISSING, STRICT, UNKNOWN, UNVERIFIED, Club

_requests = count(1000)


def request() -> UUID:
    return UUID(int=next(_requests))


def kinds(outcomes: list[rules.Outcome]) -> list[type[object]]:
    return [type(outcome) for outcome in outcomes]


def test_later_commands_of_a_batch_see_what_earlier_ones_did() -> None:
    club = Club()
    outcomes = club.run(
        Join(GROUP, ANNA, request()),
        Join(GROUP, ANNA, request()),
        SetRole(GROUP, ANNA, request(), Role.ADMIN, FOUNDER),
        Leave(GROUP, FOUNDER, request()),
        SetRole(GROUP, ANNA, request(), Role.MEMBER, ANNA),
        Leave(GROUP, FOUNDER, request()),
        Leave(GROUP, ANNA, request()),
        Join(GROUP, FOUNDER, request()),
    )
    assert kinds(outcomes) == [
        Changed,
        AlreadyAMember,
        Changed,
        Changed,
        LastAdmin,
        NotAMember,
        LastAdmin,
        Changed,
    ]
    assert [o.change.member_count for o in outcomes if isinstance(o, Changed)] == [2, 2, 1, 2]


def test_a_request_that_comes_twice_in_a_batch_changes_something_once() -> None:
    """G5."""
    join = Join(GROUP, ANNA, request())
    first, second, other = Club().run(join, replace(join), Leave(GROUP, ANNA, join.request_id))
    assert isinstance(first, Changed) and isinstance(second, Changed) and isinstance(other, RequestIdReused)
    assert (first.replayed, second.replayed, first.change) == (False, True, second.change)


def test_the_founders_own_request_is_not_taken_for_a_join() -> None:
    """G5: a group's creation is recorded with its request as a change of its first member."""
    club = Club()
    (changed,) = club.run(SetRole(GROUP, FOUNDER, request(), Role.ADMIN, FOUNDER))
    assert isinstance(changed, Changed)
    founding = replace(changed.change, kind=Kind.JOINED)
    club.changes[GROUP, FOUNDER, founding.request_id] = founding
    assert kinds(club.run(Join(GROUP, FOUNDER, founding.request_id))) == [RequestIdReused]


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (Join(MISSING, ANNA, request()), GroupNotFound),
        (Join(GROUP, UNKNOWN, request()), UserNotFound),
        (Join(STRICT, UNVERIFIED, request()), VerificationRequired),
        (Leave(GROUP, ANNA, request()), NotAMember),
        (SetRole(GROUP, FOUNDER, request(), Role.MEMBER, ANNA), NotAnAdmin),
        (SetRole(GROUP, ANNA, request(), Role.MEMBER, FOUNDER), NotAMember),
    ],
)
def test_what_is_refused_changes_nothing(command: Command, error: type[TallyError]) -> None:
    club, untouched = Club(), Club()
    assert kinds(club.run(command)) == [error]
    assert (club.memberships, club.changes) == (untouched.memberships, untouched.changes)


groups = st.sampled_from([GROUP, STRICT, MISSING])
users = st.sampled_from([FOUNDER, ANNA, BEN, UNVERIFIED, UNKNOWN])
requests = st.integers(1, 12).map(lambda n: UUID(int=n))
commands = st.one_of(
    st.builds(Join, groups, users, requests),
    st.builds(Leave, groups, users, requests),
    st.builds(SetRole, groups, users, requests, st.sampled_from(Role), users),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(commands, max_size=40), st.lists(st.integers(1, 8), min_size=40, max_size=40))
def test_any_commands_come_to_the_same_one_by_one_and_in_batches(asked: list[Command], sizes: list[int]) -> None:
    """G5, R5: and at every commit counters are what they count, and every group has an admin."""
    alone, together = Club(), Club()
    one_by_one = [outcome for command in asked for outcome in alone.run(replace(command))]
    in_batches: list[rules.Outcome] = []
    rest = list(asked)
    for size in sizes:
        batch, rest = rest[:size], rest[size:]
        if batch:
            in_batches += together.run(*map(replace, batch))
    in_batches += together.run(*rest) if rest else []
    assert list(map(_said, one_by_one)) == list(map(_said, in_batches))
    assert _standing(alone) == _standing(together)


def _said(outcome: rules.Outcome) -> tuple[object, ...]:
    """Of an outcome, what does not depend on when it was committed."""
    if isinstance(outcome, Changed):
        membership = outcome.change.membership
        return outcome.change.kind, membership.role, membership.left_time is None, outcome.change.member_count
    return (type(outcome),)


def _standing(club: Club) -> tuple[object, ...]:
    members = {key: (m.role, m.left_time is None) for key, m in club.memberships.items()}
    return members, club.participated
