"""Groups of people on the opinion map; how many there are changes only when it keeps being better."""

from collections.abc import Mapping
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

_ITERATIONS = 100
# Base clusters summarise where people are: so many of them, evenly by id, are enough, and so is that no cluster moves further.
_BASE_PEOPLE, _BASE_STILL = 5_000, 0.01
# K-means ends where it began to go; the tightest of so many beginnings, of which so many are followed to the end.
_STARTS, _FOLLOWED = 20, 5
# Groups from anew replace those of the run before when they are tighter than this part of it, so that nobody moves for nothing.
_CLEARLY = 0.995
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


def group(points: Floats, before: Ints, choice: Choice | None) -> tuple[Ints, Choice | None]:
    """The group of each person, from 0, and how the number of groups came about; None where nobody is there.

    Base clusters, a hundred places where people are, say how many groups there are and where to look for them. The people
    themselves settle which they are in.

    Args:
        points: (people, 2), of those who are in.
        before: of each, any number of their group in the run before; -1 where they were in none.
        choice: that of the run before.
    """
    if not len(points):
        return np.zeros(0, np.int32), None
    base = base_clusters(points[:: -(-len(points) // _BASE_PEOPLE)])
    sizes = np.bincount(base.labels).astype(np.float64)
    distances = cdist(base.centers, base.centers)
    found = {k: tightest(base.centers, sizes, k) for k in numbers(len(base.centers))}
    choice = choose({k: silhouette(distances, tried[0].labels) for k, tried in found.items()}, choice)
    return settled(points, choice.k, found[choice.k], before).labels, choice


def base_clusters(points: Floats) -> Clustering:
    """At most a hundred; where people have no more places than that, a place each."""
    weights = np.ones(len(points))
    distinct, labels = np.unique(points, axis=0, return_inverse=True)
    if len(distinct) <= BASE_CLUSTERS:
        return Clustering(labels.ravel(), distinct, 0.0)
    start = spread(points, weights, BASE_CLUSTERS, np.random.default_rng(_SEED))
    return kmeans(points, weights, start, _ITERATIONS, _BASE_STILL)


def numbers(base_clusters: int) -> range:
    """How many groups are looked for."""
    return range(FEWEST_GROUPS, min(MOST_GROUPS, FEWEST_GROUPS + base_clusters // BASE_CLUSTERS_A_GROUP) + 1)


def tightest(points: Floats, weights: Floats, k: int) -> list[Clustering]:
    """Different ways to make k groups, the tightest first."""
    chance = np.random.default_rng(_SEED)
    starts = [spread(points, weights, k, chance) for _ in range(_STARTS)]
    tried = {round(found.inertia, 9): found for found in (kmeans(points, weights, s, _ITERATIONS) for s in starts)}
    return [tried[inertia] for inertia in sorted(tried)][:_FOLLOWED]


def choose(scores: Mapping[int, float], before: Choice | None) -> Choice:
    """The number with the best score once it has been the best in four runs in a row, and until then the one in use.

    Of two as good, the smaller.
    """
    best = max(scores, key=lambda k: (scores[k], -k))
    wins = before.wins + 1 if before and before.best == best else 1
    in_use = before.k if before and before.k in scores else best
    return Choice(best if wins >= WINS_TO_CHANGE else in_use, best, wins)


def settled(points: Floats, k: int, beginnings: list[Clustering], before: Ints) -> Clustering:
    """The groups that come of those of the run before, unless one of these beginnings leads to clearly tighter ones."""
    weights = np.ones(len(points))
    anew = [kmeans(points, weights, found.centers, _ITERATIONS) for found in beginnings]
    best = min(anew, key=lambda found: found.inertia)
    there = before >= 0
    present, labels = np.unique(before[there], return_inverse=True)
    if present.size != k:
        return best
    centers = means(points[there], weights[there], labels, k)
    kept = kmeans(points, weights, filled(points, centers, k), _ITERATIONS)
    return best if best.inertia < _CLEARLY * kept.inertia else kept
