"""Who ends up in which group, and how many groups there are, and that both stay as long as the votes do (G11)."""

from itertools import pairwise

import numpy as np
import pytest

from services.voting.groups.analysis import analyse
from services.voting.groups.arrays import Floats
from services.voting.groups.clusters import Choice, base_clusters, choose, group, numbers, settled, tightest
from services.voting.groups.kmeans import filled, kmeans, silhouette, spread
from services.voting.groups.membership import who_is_in
from tests.unit.voting.groups.conversations import chance


def blobs(*centers: tuple[float, float], each: int = 30, seed: int = 1) -> Floats:
    noise = np.random.default_rng(seed).normal(scale=0.1, size=(len(centers), each, 2))
    return (np.array(centers)[:, None] + noise).reshape(-1, 2)


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_as_many_groups_are_found_as_there_are(k: int) -> None:
    points = blobs(*[(np.cos(angle), np.sin(angle)) for angle in np.arange(k) * 2 * np.pi / k])
    groups, choice = group(points, np.full(len(points), -1), None)
    assert choice == Choice(k, k, 1)
    assert [len(set(of_blob)) for of_blob in groups.reshape(k, -1)] == [1] * k
    assert len(set(groups)) == k


def test_another_number_of_groups_takes_over_when_it_has_been_the_best_four_times_in_a_row() -> None:
    two, three = {2: 0.9, 3: 0.1}, {2: 0.1, 3: 0.9}
    choice, used = choose(two, None), []
    for scores in (three, three, three, two, three, three, three, three, two):
        choice = choose(scores, choice)
        used.append(choice.k)
    assert used == [2, 2, 2, 2, 2, 2, 2, 3, 3]


def test_a_number_of_groups_that_is_no_longer_possible_is_given_up_at_once() -> None:
    assert choose({2: 0.5}, Choice(3, 3, 9)).k == 2


def test_of_two_numbers_as_good_the_smaller_is_taken() -> None:
    assert choose({2: 0.5, 3: 0.5, 4: 0.1}, None).k == 2


def test_more_groups_are_looked_for_with_every_twelve_base_clusters_up_to_five() -> None:
    most = {count: numbers(count)[-1] for count in (1, 11, 12, 23, 24, 35, 36, 100)}
    assert most == {1: 2, 11: 2, 12: 3, 23: 3, 24: 4, 35: 4, 36: 5, 100: 5}


def test_whoever_has_seven_votes_or_voted_on_everything_is_in() -> None:
    counts = np.array([7] * 20 + [6, 12, 0])
    assert who_is_in(counts, 12, counts < 0).tolist() == [True] * 20 + [False, True, False]
    assert who_is_in(counts, 6, counts < 0).tolist() == [True] * 22 + [False]


def test_below_fifteen_the_most_active_are_in_and_whoever_was_in_stays() -> None:
    counts = np.arange(20) % 7
    first = who_is_in(counts, 50, counts < 0)
    assert first.sum() == 15
    assert counts[first].min() >= counts[~first].max()
    later = who_is_in(np.where(counts == 0, 9, counts), 50, first)
    assert (later >= first).all()
    assert later.sum() > 15


def test_people_at_no_more_than_a_hundred_places_have_a_base_cluster_each() -> None:
    points = np.repeat(blobs((0, 0), each=60), 3, axis=0)
    assert len(base_clusters(points).centers) == 60
    assert len(base_clusters(blobs((0, 0), each=400)).centers) == 100


def test_people_stay_in_their_groups_unless_others_are_clearly_tighter() -> None:
    square = blobs((0, 0), (0, 1), (1.002, 0), (1.002, 1), each=25)
    top = (np.arange(100) // 25 % 2).astype(np.int32)
    tall = blobs((0, 0), (0, 1), (2, 0), (2, 1), each=25)
    for points, stay in ((square, True), (tall, False)):
        base = base_clusters(points)
        found = settled(points, 2, tightest(base.centers, np.ones(len(base.centers)), 2), top)
        assert (len({*zip(found.labels.tolist(), top.tolist(), strict=True)}) == 2) == stay


def test_silhouette_is_the_mean_over_points_of_what_its_definition_says() -> None:
    points = np.random.default_rng(7).normal(size=(12, 2))
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3])
    distances = np.hypot(*(points[:, None] - points[None]).T)
    scores = []
    for i, label in enumerate(labels):
        mean = {m: distances[i, (labels == m) & (np.arange(12) != i)] for m in range(4)}
        if mean[label].size == 0:
            scores.append(0.0)
            continue
        a, b = mean[label].mean(), min(mean[m].mean() for m in range(4) if m != label)
        scores.append((b - a) / max(a, b))
    assert silhouette(distances, labels) == pytest.approx(np.mean(scores))
    assert silhouette(distances, np.zeros(12, np.int32)) == -1


def test_kmeans_ends_where_everybody_is_nearest_to_the_weighted_mean_of_their_cluster() -> None:
    random = np.random.default_rng(8)
    points, weights = random.normal(size=(80, 2)), random.integers(1, 9, 80).astype(np.float64)
    found = kmeans(points, weights, points[:4], 100)
    distances = np.hypot(*(points[:, None] - found.centers[None]).T).T
    assert np.array_equal(distances.argmin(axis=1), found.labels)
    for label, center in enumerate(found.centers):
        of_it = found.labels == label
        assert np.allclose(center, np.average(points[of_it], axis=0, weights=weights[of_it]))
    assert found.inertia == pytest.approx((weights * distances.min(axis=1) ** 2).sum())


def test_a_centre_that_nobody_is_nearest_to_is_dropped() -> None:
    found = kmeans(blobs((0, 0), (5, 5)), np.ones(60), np.array([[0, 0], [99, 99], [5, 5.0]]), 100)
    assert found.centers.shape == (2, 2)
    assert sorted(set(found.labels.tolist())) == [0, 1]


def test_missing_centres_are_the_points_furthest_from_those_there_are() -> None:
    points = np.array([[0, 0], [1, 0], [9, 0], [9, 9.0]])
    assert filled(points, np.array([[0, 0], [0, 0.0]]), 3).tolist() == [[0, 0], [9, 9], [9, 0]]
    assert len(filled(points[[0, 0]], points[:1], 3)) == 1


def test_starting_centres_are_different_points() -> None:
    points = np.repeat(np.arange(4.0), 5)[:, None] * np.array([[1.0, 2.0]])
    chosen = spread(points, np.ones(20), 6, np.random.default_rng(1))
    assert len(np.unique(chosen, axis=0)) == len(chosen) == 4


def test_groups_change_little_when_few_votes_are_added() -> None:
    """Of a conversation that grows by a hundredth, nine of ten keep the id of their group."""
    before, state = None, None
    sizes = [chance(200, 40, share, seed=9) for share in (0.5, 0.505, 0.51)]
    analyses = []
    for votes in sizes:
        before = analyse(votes, state)
        state = before.state
        analyses.append(before.participant_groups)
    assert all((one == other).mean() > 0.9 for one, other in pairwise(analyses))
