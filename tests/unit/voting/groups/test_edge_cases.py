"""Conversations in which there is little or nothing to find have a defined analysis, too."""

import numpy as np
import pytest

from services.voting.groups.analysis import analyse
from services.voting.groups.model import Analysis
from services.voting.groups.state import State
from services.voting.groups.votes import Votes
from tests.unit.voting.groups.conversations import NUMBERS, everybody

CAMPS = [[1 if person % 2 else -1] * 9 for person in range(20)]
FEW_DIRECTIONS = 300

CASES: dict[str, tuple[Votes, list[int]]] = {
    "no votes and no opinions": (everybody([]), []),
    "one person": (everybody([[1, -1, 0]]), [1]),
    "one vote": (everybody([[None, 1, None]]), [1]),
    "one opinion": (everybody([[1 if person % 3 else -1] for person in range(9)]), [6, 3]),
    "everybody agrees": (everybody([[1] * 9] * 20), [20]),
    "everybody passes": (everybody([[0] * 9] * 20), [20]),
    "two people who think the same": (everybody([[1, -1, 1, -1]] * 2), [2]),
    "two people who think the opposite": (everybody([[1, -1, 1], [-1, 1, -1]]), [1, 1]),
    "rank 1": (everybody(CAMPS), [10, 10]),
    "every opinion moderated": (everybody(CAMPS, tuple(range(9))), [20]),
    "rank 1, and large": (
        everybody([[1 if p % 2 else -1] * FEW_DIRECTIONS for p in range(FEW_DIRECTIONS)]),
        [150, 150],
    ),
}


def every_number(analysis: Analysis) -> list[float]:
    said = [value for group in analysis.groups for value in (*group.center, *map(_test, group.representative))]
    return [*said, *(value for name in NUMBERS for value in getattr(analysis, name).ravel().tolist())]


def _test(said: object) -> float:
    return sum(float(getattr(said, name)) for name in ("probability", "probability_test", "repness", "repness_test"))


@pytest.mark.parametrize(("votes", "sizes"), CASES.values(), ids=CASES.keys())
def test_an_answer_is_defined_and_finite_the_first_time_and_the_second(votes: Votes, sizes: list[int]) -> None:
    first = analyse(votes)
    for analysis in (first, analyse(votes, State.from_bytes(first.state.to_bytes()))):
        assert np.isfinite(every_number(analysis)).all()
        assert sorted((group.size for group in analysis.groups), reverse=True) == sizes
        assert analysis.participant_positions.shape == (len(votes.participant_ids), 2)
        assert analysis.group_votes.shape == (len(sizes), len(votes.opinion_ids), 3)
        assert (analysis.priority > 0).all()


def test_opinions_without_a_vote_have_nothing_but_the_priority_of_what_is_new() -> None:
    analysis = analyse(everybody([[None, None]]))
    assert analysis.groups == ()
    assert analysis.consensus.agree == analysis.consensus.disagree == ()
    assert analysis.group_aware_agree.tolist() == analysis.group_aware_disagree.tolist() == [0, 0]
    assert analysis.priority.tolist() == [2.25**2] * 2


def test_opinions_nobody_voted_on_change_nothing_for_the_others() -> None:
    alone, beside = analyse(everybody(CAMPS)), analyse(everybody([[*row, None] for row in CAMPS]))
    assert np.allclose(alone.participant_positions, beside.participant_positions)
    assert np.array_equal(alone.participant_groups, beside.participant_groups)
    assert [group.representative for group in alone.groups] == [group.representative for group in beside.groups]
    assert np.allclose(alone.priority, beside.priority[:-1])


def test_a_run_in_which_everybody_left_and_others_came_starts_afresh() -> None:
    before = analyse(everybody(CAMPS)).state
    votes = everybody([*[[None] * 9] * 30, *CAMPS])
    assert sorted(group.size for group in analyse(votes, before).groups) == [10, 10]
    assert analyse(everybody([]), before).groups == ()


def test_two_votes_of_a_person_on_an_opinion_are_refused() -> None:
    votes = everybody([[1, 1]])
    votes.opinions[1] = 0
    with pytest.raises(ValueError):
        analyse(votes)
