"""What is said of opinions: what is representative of a group, what unites, and what is worth asking about."""

import numpy as np
import pytest

from services.voting.groups.arrays import Ints
from services.voting.groups.consensus import group_aware, majority
from services.voting.groups.counts import AGREE, DISAGREE, counted
from services.voting.groups.priority import priorities
from services.voting.groups.representative import representatives
from services.voting.groups.statistics import probability, proportion_test, two_proportion_test
from tests.unit.voting.groups.conversations import everybody

# Agrees, disagrees and passes of two groups on five opinions.
TOLD = np.array(
    [
        [[9, 1, 0], [1, 9, 0], [9, 1, 0], [0, 0, 0], [5, 5, 0]],
        [[1, 9, 0], [9, 1, 0], [9, 0, 1], [0, 0, 0], [5, 5, 0]],
    ]
)
ALL = np.ones(5, np.bool_)


def test_a_group_is_represented_by_what_it_thinks_and_others_do_not_agreed_first() -> None:
    first, second = representatives(TOLD, ALL)
    assert [(said.opinion, said.vote) for said in first] == [(0, 1), (1, -1)]
    assert [(said.opinion, said.vote) for said in second] == [(1, 1), (0, -1)]
    said = first[0]
    assert said.probability == pytest.approx(10 / 12)
    assert said.probability_test == pytest.approx(2 * np.sqrt(11) * (10 / 11 - 0.5))
    assert said.repness == pytest.approx((10 / 12) / (2 / 12))
    pooled = 12 / 22
    assert said.repness_test == pytest.approx((10 / 11 - 2 / 11) / np.sqrt(pooled * (1 - pooled) * 2 / 11))


def test_a_moderated_opinion_represents_nobody() -> None:
    first, _ = representatives(TOLD, np.array([False, True, True, True, True]))
    assert [said.opinion for said in first] == [2, 1]
    assert representatives(TOLD, ~ALL) == [(), ()]


def test_a_group_that_nothing_tells_from_others_is_represented_by_what_comes_closest() -> None:
    nothing = np.array([[[0, 3, 3], [0, 2, 4]], [[0, 3, 3], [0, 1, 5]]])
    first, _ = representatives(nothing, np.ones(2, np.bool_))
    assert [(said.opinion, said.vote) for said in first] == [(1, -1)]


def test_at_most_five_represent_a_group() -> None:
    many = np.stack([np.tile([9, 1, 0], (8, 1)), np.tile([1, 9, 0], (8, 1))])
    assert [len(said) for said in representatives(many, np.ones(8, np.bool_))] == [5, 5]


def best_agreed_one_after_the_other(own: Ints, others: Ints) -> int | None:
    """The rule as a walk over opinions."""
    best: tuple[int, float, float, float] | None = None
    for opinion, (mine, theirs) in enumerate(zip(own, others, strict=True)):
        agrees, seen = mine[:1], mine.sum(keepdims=True)
        p, z = probability(agrees, seen)[0], proportion_test(agrees, seen)[0]
        r = p / probability(theirs[:1], theirs.sum(keepdims=True))[0]
        distinct = r * two_proportion_test(agrees, seen, theirs[:1], theirs.sum(keepdims=True))[0] * p * z
        if mine[0] == mine[1] == 0:
            continue
        good = z > 1.2816 or (r > 1 and p > 0.5)
        if (distinct > best[2] if best[1] > 1 else p * z > best[3]) if best else good:
            best = (opinion, r, distinct, p * z)
    return best and best[0]


def test_the_opinion_agreed_with_most_clearly_is_always_there() -> None:
    random, found = np.random.default_rng(5), 0
    for _ in range(200):
        table = random.integers(0, 12, (2, 30, 3)) * random.integers(0, 2, (2, 30, 1))
        expected = best_agreed_one_after_the_other(table[0], table[1])
        said = representatives(table, np.ones(30, np.bool_))[0]
        if expected is not None:
            found += 1
            vote = next(each.vote for each in said if each.opinion == expected)
            assert next(each.opinion for each in said if each.vote == vote) == expected
    assert found > 100


def test_consensus_is_what_more_than_half_surely_think_the_clearest_first() -> None:
    counts = np.array([[20, 0, 0], [19, 1, 0], [1, 19, 0], [11, 9, 0], [20, 0, 0], [10, 0, 10]])
    consensus = majority(counts, np.array([True, True, True, True, False, True]))
    assert [said.opinion for said in consensus.agree] == [0, 1]
    assert [said.opinion for said in consensus.disagree] == [2]
    assert consensus.agree[0].probability == pytest.approx(21 / 22)
    assert consensus.agree[0].probability_test == pytest.approx(2 * np.sqrt(21) * 0.5)


def test_group_aware_consensus_is_the_product_over_the_groups() -> None:
    assert group_aware(TOLD, AGREE)[:2].tolist() == pytest.approx([10 / 12 * 2 / 12] * 2)
    assert group_aware(TOLD, DISAGREE)[2:4].tolist() == pytest.approx([2 / 12 * 1 / 12, 1 / 4])


def test_priority_is_high_for_what_few_have_seen_what_divides_and_what_is_not_passed_on() -> None:
    counts = np.array([[[0, 0, 0], [5, 5, 0], [5, 5, 0], [2, 2, 6], [5, 5, 0]]])
    extremity = np.array([0, 0, 2, 0, 0.0])
    meta = np.array([False, False, False, False, True])
    found = priorities(counts, extremity, meta)
    assert found[0] == pytest.approx((0.5 * 1 * 0.5 * 9) ** 2)
    assert found[1] == pytest.approx(((1 - 1 / 12) * 1 * (6 / 12) * (1 + 8 * 2**-2)) ** 2)
    assert found[2] == pytest.approx(9 * found[1])
    assert found[3] < found[1]
    assert found[4] == 49


def test_votes_are_counted_by_group_with_those_on_moderated_opinions() -> None:
    votes = everybody([[1, -1, 0], [1, None, -1], [None, 1, 1], [-1, 0, None]], moderated=(1,))
    counts = counted(votes, np.array([0, 0, 1, -1]), 2)
    assert counts.tolist() == [
        [[2, 0, 0], [0, 1, 0], [0, 1, 1]],
        [[0, 0, 0], [1, 0, 0], [1, 0, 0]],
    ]


def test_the_test_of_two_proportions_is_zero_where_everybody_votes_so() -> None:
    assert two_proportion_test(np.array([3]), np.array([3]), np.array([5]), np.array([5])).tolist() == [0]
