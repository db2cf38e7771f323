"""Proportions of votes and how sure they are, estimated and tested as Polis does."""

import numpy as np

from services.voting.groups.arrays import Floats, Ints


def probability(votes: Ints, seen: Ints) -> Floats:
    """Estimated probability that somebody votes so."""
    return (votes + 1) / (seen + 2)


def proportion_test(votes: Ints, seen: Ints) -> Floats:
    """z of the test that more than half vote so."""
    return 2 * np.sqrt(seen + 1) * ((votes + 1) / (seen + 1) - 0.5)


def two_proportion_test(votes: Ints, seen: Ints, other_votes: Ints, other_seen: Ints) -> Floats:
    """z of the test that a larger share votes so than of the others; 0 where everybody does."""
    votes, seen, other_votes, other_seen = votes + 1, seen + 1, other_votes + 1, other_seen + 1
    pooled = (votes + other_votes) / (seen + other_seen)
    error = np.sqrt(pooled * (1 - pooled) * (1 / seen + 1 / other_seen))
    difference = votes / seen - other_votes / other_seen
    z: Floats = np.divide(difference, error, out=np.zeros_like(error), where=error > 0)
    return z
