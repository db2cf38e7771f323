"""G11: groups keep their ids."""

import numpy as np

from services.voting.groups.identity import identified


def ids(groups: list[int], before: list[int]) -> list[int]:
    return [int(group_id) for group_id in identified(np.array(groups, np.int32), np.array(before, np.int32))]


def test_without_a_run_before_the_largest_group_is_0() -> None:
    assert ids([0, 1, 1, 1, 2, 2], [-1] * 6) == [2, 0, 1]


def test_a_group_keeps_its_id_whatever_it_is_called_now() -> None:
    assert ids([2, 2, 0, 0, 1, 1], [0, 0, 1, 1, 4, 4]) == [1, 4, 0]


def test_as_many_people_as_possible_keep_their_id() -> None:
    """The larger part of group 0 went to a group that more of group 1 went to."""
    groups = [0] * 4 + [1] * 5 + [1] * 9 + [0] * 1
    before = [0] * 9 + [1] * 10
    assert ids(groups, before) == [0, 1]


def test_a_group_of_newcomers_takes_the_smallest_id_that_nobody_has_or_had() -> None:
    assert ids([0, 0, 1, 1, 2, 2], [0, 0, 2, 2, -1, -1]) == [0, 2, 1]
    assert ids([0, 0, 1, 1], [0, 1, -1, -1]) == [0, 2]


def test_when_a_group_divides_its_larger_part_keeps_the_id() -> None:
    assert ids([0, 1, 1, 2, 2], [0, 0, 0, 1, 1]) == [2, 0, 1]


def test_when_groups_become_one_it_has_the_id_of_the_larger() -> None:
    assert ids([0, 0, 0, 0, 0], [1, 1, 0, 0, 0]) == [0]
    assert ids([0, 0, 0, 0, 0], [1, 1, 1, 0, 0]) == [1]


def test_with_nobody_there_are_no_ids() -> None:
    assert ids([], []) == []
