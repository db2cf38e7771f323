"""The leading eigenvectors of a large symmetric matrix that is known by what it does to vectors.

A block Lanczos method that keeps its whole basis and orthogonalises against it. It draws no random numbers on the way, as
ARPACK does when it meets an invariant subspace, so that conversations of low rank have one answer too; where a matrix is no
larger than the basis, the answer is exact.
"""

from collections.abc import Callable

import numpy as np

from services.voting.groups.arrays import Floats

COMPONENTS = 2
# Blocks after which the best so far is taken; twenty are usual.
_MOST_BLOCKS = 150
# Of a residual, against the largest eigenvalue.
_TOLERANCE = 1e-13
# What is left of a vector after orthogonalising, below which it is rounding.
_NOTHING = 1e-12


def leading(apply: Callable[[Floats], Floats], start: Floats) -> tuple[Floats, Floats]:
    """The two largest eigenvalues, descending, and their vectors (n, 2); fewer where the matrix has no more.

    Args:
        apply: the matrix, positive semi-definite, times (n, k).
        start: (n, 2), not orthogonal to the answer; the closer, the sooner.
    """
    size = start.shape[0]
    basis = np.empty((size, min(size, COMPONENTS * _MOST_BLOCKS)), order="F")
    within = np.zeros((basis.shape[1], basis.shape[1]))
    values, vectors = np.zeros(0), np.zeros((0, 0))
    done, used = 0, _extend(basis, 0, start)
    while used > done:
        image = apply(basis[:, done:used])
        within[:used, done:used] = basis[:, :used].T @ image
        within[done:used, :done] = within[:done, done:used].T
        values, vectors = np.linalg.eigh((within[:used, :used] + within[:used, :used].T) / 2)
        values, vectors = values[::-1][:COMPONENTS], vectors[:, ::-1][:, :COMPONENTS]
        extended = _extend(basis, used, image)
        outside = basis[:, used:extended].T @ image @ vectors[done:]
        if np.linalg.norm(outside) <= _TOLERANCE * values[0] and used >= COMPONENTS:
            break
        done, used = used, extended
    return values, basis[:, : vectors.shape[0]] @ vectors


def _extend(basis: Floats, used: int, block: Floats) -> int:
    """Appends what of the block's vectors is new, orthonormal; how many vectors the basis then has."""
    for column in block.T:
        if used == basis.shape[1]:
            break
        before = np.linalg.norm(column)
        for _ in range(2):
            column = column - basis[:, :used] @ (basis[:, :used].T @ column)
        after = np.linalg.norm(column)
        if after > _NOTHING * before:
            basis[:, used] = column / after
            used += 1
    return used
