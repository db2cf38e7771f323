"""Groups of people on the opinion map, by way of base clusters; how many there are changes only when it keeps being better."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from services.voting.groups.arrays import Floats, Ints
from services.voting.groups.constants import (
    BASE_CLUSTERS,
    BASE_CLUSTERS_A_GROUP,
    FEWEST_GROUPS,
    MOST_GROUPS,
    WINS_TO_CHANGE,
)
from services.voting.groups.kmeans import Clustering, filled, kmeans, means, silhouette, spread

NUMBERS = range(FEWEST_GROUPS, MOST_GROUPS + 1)

_ITERATIONS = 100
# Base clusters summarise where people are; they are good enough when none moves further than this on the map.
_BASE_STILL = 0.01
# Of k-means without a run before: the best of so many starts.
_STARTS = 20
_SEED = 1


@dataclass(frozen=True, slots=True)
class Choice:
    """How many groups.

    Attributes:
        k: the number in use.
        best: the best of the latest run, and in how many runs in a row (wins).
    """

    k: int
    best: int
    wins: int


@dataclass(frozen=True, slots=True)
class Grouping:
    """Attributes:
    base_clusters: (people,), of each person.
    by_number: (4, people), the group of each person if there are 2, 3, 4 or 5; -1 where so many are not looked for.
    choice: None where nobody is there.
    """

    base_clusters: Ints
    by_number: Ints
    choice: Choice | None

    @property
    def groups(self) -> Ints:
        """Of each person, from 0."""
        return self.base_clusters if self.choice is None else self.by_number[self.choice.k - FEWEST_GROUPS]


def group(points: Floats, before: Grouping) -> Grouping:
    """Args:
    points: (people, 2), of those who are in.
    before: the same people in the run before; -1 where somebody was not in.
    """
    people = len(points)
    by_number = np.full((len(NUMBERS), people), -1, np.int32)
    if people == 0:
        return Grouping(np.zeros(0, np.int32), by_number, None)
    base = _base_clusters(points, before.base_clusters)
    sizes = np.bincount(base.labels).astype(np.float64)
    distances = cdist(base.centers, base.centers)
    scores = {}
    for k in numbers(len(base.centers)):
        members = before.by_number[k - FEWEST_GROUPS]
        found = _groups(base.centers, sizes, k, _centers_of(points, members))
        by_number[k - FEWEST_GROUPS] = found.labels[base.labels]
        scores[k] = silhouette(distances, found.labels)
    return Grouping(base.labels, by_number, choose(scores, before.choice))


def numbers(base_clusters: int) -> range:
    """How many groups are looked for."""
    return range(FEWEST_GROUPS, min(MOST_GROUPS, FEWEST_GROUPS + base_clusters // BASE_CLUSTERS_A_GROUP) + 1)


def choose(scores: dict[int, float], before: Choice | None) -> Choice:
    """The number with the best silhouette once it has been the best in four runs in a row, and until then the one in use.

    Of two as good, the smaller.
    """
    best = max(scores, key=lambda k: (scores[k], -k))
    wins = before.wins + 1 if before and before.best == best else 1
    in_use = before.k if before and before.k in scores else best
    return Choice(best if wins >= WINS_TO_CHANGE else in_use, best, wins)


def _base_clusters(points: Floats, members: Ints) -> Clustering:
    """At most a hundred; where people have no more places than that, a place each."""
    weights = np.ones(len(points))
    distinct, labels = np.unique(points, axis=0, return_inverse=True)
    if len(distinct) <= BASE_CLUSTERS:
        return Clustering(labels.ravel().astype(np.int32), distinct, 0.0)
    start = _centers_of(points, members)
    if len(start):
        start = filled(points, start, BASE_CLUSTERS)
    else:
        start = spread(points, weights, BASE_CLUSTERS, np.random.default_rng(_SEED))
    return kmeans(points, weights, start, _ITERATIONS, _BASE_STILL)


def _groups(points: Floats, weights: Floats, k: int, before: Floats) -> Clustering:
    """From where the groups of the run before are now; without one, the best of several starts."""
    if len(before):
        return kmeans(points, weights, filled(points, before, k), _ITERATIONS)
    tried = (kmeans(points, weights, start, _ITERATIONS) for start in _starts(points, weights, k))
    return min(tried, key=lambda found: found.inertia)


def _starts(points: Floats, weights: Floats, k: int) -> Iterator[Floats]:
    chance = np.random.default_rng(_SEED)
    return (spread(points, weights, k, chance) for _ in range(_STARTS))


def _centers_of(points: Floats, members: Ints) -> Floats:
    """Where the clusters are that these people were members of; -1 is none."""
    there = members >= 0
    present, labels = np.unique(members[there], return_inverse=True)
    return means(points[there], np.ones(labels.size), labels, present.size)
