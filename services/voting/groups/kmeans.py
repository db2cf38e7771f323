"""K-means of weighted points in the plane, and how well a clustering separates them."""

from dataclasses import dataclass

import numpy as np

from services.voting.groups.arrays import Floats, Ints


@dataclass(frozen=True, slots=True)
class Clustering:
    """Attributes:
    labels: (points,), of each an index into centers.
    centers: (clusters, 2), means of their points; none is empty.
    inertia: weighted sum of the points' squared distances from their centres.
    """

    labels: Ints
    centers: Floats
    inertia: float


def kmeans(points: Floats, weights: Floats, centers: Floats, iterations: int, still: float = 0.0) -> Clustering:
    """Lloyd's iterations from these centres. A centre that no point is nearest to is dropped; of two as near, the first wins.

    Args:
        centers: (k, 2), at least one.
        iterations: at most so many.
        still: it also ends when no centre has moved further than this.
    """
    labels: Ints = np.full(len(points), -1)
    for _ in range(iterations):
        nearest = _nearest(points, centers)
        if np.array_equal(nearest, labels):
            break
        present = np.flatnonzero(np.bincount(nearest, minlength=len(centers)))
        labels = nearest if present.size == len(centers) else np.searchsorted(present, nearest)
        before, centers = centers[present], means(points, weights, labels, present.size)
        if np.hypot(*(centers - before).T).max() <= still:
            break
    squares = np.square(points - centers[labels]).sum(axis=1)
    return Clustering(labels, centers, float((weights * squares).sum()))


def means(points: Floats, weights: Floats, labels: Ints, count: int) -> Floats:
    """(count, 2), of the points with each label."""
    total = np.bincount(labels, weights=weights, minlength=count)
    sums = [np.bincount(labels, weights=weights * axis, minlength=count) for axis in points.T]
    return np.column_stack(sums) / total[:, None]


def spread(points: Floats, weights: Floats, count: int, chance: np.random.Generator) -> Floats:
    """Starting centres by k-means++: each next one a point, the likelier the further it is from those there are."""
    chosen = [int(chance.choice(len(points), p=weights / weights.sum()))]
    distances = np.full(len(points), np.inf)
    while len(chosen) < count:
        distances = np.minimum(distances, np.square(points - points[chosen[-1]]).sum(axis=1))
        odds = np.cumsum(weights * distances)
        if odds[-1] <= 0:
            break
        chosen.append(int(np.searchsorted(odds, chance.random() * odds[-1], side="right")))
    return points[chosen]


def filled(points: Floats, centers: Floats, count: int) -> Floats:
    """Centres with so many added as are missing, each the point that is furthest from all of them; equal ones count once."""
    centers = centers[np.sort(np.unique(centers, axis=0, return_index=True)[1])][:count]
    distances = np.full(len(points), np.inf)
    for center in centers:
        distances = np.minimum(distances, np.square(points - center).sum(axis=1))
    while len(centers) < count and distances.max() > 0:
        furthest = points[int(distances.argmax())]
        centers = np.vstack([centers, furthest])
        distances = np.minimum(distances, np.square(points - furthest).sum(axis=1))
    return centers


def silhouette(distances: Floats, labels: Ints) -> float:
    """Mean over the points of (b - a) / max(a, b): a is a point's mean distance from the others of its cluster, b that from the
    nearest other cluster. 0 for a point that is alone; -1 where there is one cluster only.

    Args:
        distances: between the points, (points, points).
    """
    sizes = np.bincount(labels)
    if sizes.size < 2:
        return -1.0
    every = np.arange(len(labels))
    sums = np.column_stack([distances[:, labels == label].sum(axis=1) for label in range(sizes.size)])
    own = sums[every, labels] / np.maximum(sizes[labels] - 1, 1)
    others = sums / sizes
    others[every, labels] = np.inf
    nearest = others.min(axis=1)
    larger = np.maximum(own, nearest)
    scores = np.divide(nearest - own, larger, out=np.zeros_like(own), where=(larger > 0) & (sizes[labels] > 1))
    return float(scores.mean())


def _nearest(points: Floats, centers: Floats) -> Ints:
    """Index of the centre nearest to each point: |p - c|² without what all centres share."""
    terms = np.vstack([-2 * centers.T, np.square(centers).sum(axis=1)])
    nearest: Ints = (np.column_stack([points, np.ones(len(points))]) @ terms).argmin(axis=1)
    return nearest
