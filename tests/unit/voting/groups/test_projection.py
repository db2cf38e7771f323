"""The sparse way to the opinion map, beside the dense one."""

import tracemalloc

import numpy as np
import pytest

from services.voting.groups.arrays import Floats
from services.voting.groups.components import leading
from services.voting.groups.matrix import centred
from services.voting.groups.projection import project
from services.voting.groups.votes import Votes
from tests.load.groups.generated import generated
from tests.unit.voting.groups.conversations import chance, dense

CONVERSATIONS = {
    "more people": chance(300, 40, 0.4, seed=1),
    "more opinions": chance(40, 300, 0.4, seed=2),
    "moderated opinions": chance(60, 20, 0.6, seed=3, moderated=(2, 5, 19)),
    "larger than the basis": chance(330, 310, 0.2, seed=4),
}


def imputed(votes: Votes) -> tuple[Floats, Floats, Floats]:
    """Votes with means for those that were not cast, the means, and what was cast; moderated opinions passed on by all."""
    table = dense(votes)
    table[:, votes.moderated] = 0
    cast = ~np.isnan(table)
    means = np.nanmean(table, axis=0)
    return np.where(cast, table, means), means, cast


@pytest.mark.parametrize("votes", CONVERSATIONS.values(), ids=CONVERSATIONS.keys())
def test_everything_on_the_map_is_what_a_dense_decomposition_says(votes: Votes) -> None:
    table, means, cast = imputed(votes)
    _, sizes, directions = np.linalg.svd(table - means, full_matrices=False)
    found = project(centred(votes), directions[:2])
    assert np.allclose(found.components, directions[:2], rtol=0, atol=1e-10)
    assert np.allclose(found.explained_variance, (sizes**2 / (sizes**2).sum())[:2])
    scale = np.sqrt(table.shape[1] / cast.sum(axis=1))[:, None]
    assert np.allclose(found.participants, (table - means) @ directions[:2].T * scale, rtol=0, atol=1e-9)
    assert np.allclose(found.opinions, np.sqrt(table.shape[1]) * ((1 - means) * directions[:2]).T, rtol=0, atol=1e-9)


def test_without_a_run_before_the_largest_loading_is_positive_and_with_one_directions_stay() -> None:
    votes = centred(chance(50, 20, 0.8, seed=5))
    first = project(votes, np.zeros((2, 20))).components
    assert (np.take_along_axis(first, np.abs(first).argmax(axis=1)[:, None], axis=1) > 0).all()
    for signs in ([1, -1], [-1, 1], [-1, -1]):
        before = first * np.array(signs)[:, None]
        assert np.allclose(project(votes, before).components, before)


def test_the_leading_vectors_are_found_where_the_largest_eigenvalues_are_equal() -> None:
    matrix = np.diag([3.0, 3.0, *np.linspace(2, 0, 398)])
    values, vectors = leading(lambda block: matrix @ block, np.random.default_rng(1).normal(size=(400, 2)))
    assert np.allclose(values, [3, 3])
    assert np.allclose(vectors.T @ vectors, np.eye(2))
    assert np.abs(vectors[2:]).max() < 1e-9


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_matrix_of_low_rank_has_the_vectors_it_has(rank: int) -> None:
    factors = np.random.default_rng(rank).normal(size=(500, rank))
    expected = np.linalg.svd(factors)[1][:2] ** 2
    values, vectors = leading(lambda b: factors @ (factors.T @ b), np.random.default_rng(2).normal(size=(500, 2)))
    assert np.allclose(values[: expected.size], expected)
    assert np.allclose(values[expected.size :], 0)
    assert np.allclose(factors @ (factors.T @ vectors), vectors * values)


def test_the_matrix_is_never_made_dense() -> None:
    votes = generated(30_000, 5_000, 19_000)
    tracemalloc.start()
    try:
        project(centred(votes), np.zeros((2, 19_000)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000 * 19_000
