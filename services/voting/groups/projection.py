"""The opinion map: two principal components of the votes, and where they put people and opinions."""

from dataclasses import dataclass

import numpy as np

from services.voting.groups.arrays import Floats
from services.voting.groups.components import COMPONENTS, leading
from services.voting.groups.matrix import CentredVotes

# A component that explains less than this, against the first, is rounding.
_NO_VARIANCE = 1e-12
# Loadings that are as large as the largest one.
_AS_LARGE = 1 - 1e-9
# How far the search begins beside the components of the run before, so that no direction is left out.
_ELSEWHERE = 1e-6
_SEED = 1


@dataclass(frozen=True, slots=True)
class OpinionMap:
    """Attributes:
    components: (2, opinions), orthonormal; zeros where the votes vary in fewer directions.
    explained_variance: (2,), share of the votes' variance along each.
    participants: (people, 2).
    opinions: (opinions, 2): where somebody would be who agrees with this one and has voted on no other.
    extremity: (opinions,), distance from the middle.
    """

    components: Floats
    explained_variance: Floats
    participants: Floats
    opinions: Floats
    extremity: Floats


def project(votes: CentredVotes, before: Floats) -> OpinionMap:
    """Args:
    before: (2, opinions), the components of the run before, as far as it knew the opinions; zeros where there was none.
    """
    components, explained = _principal_components(votes, before)
    components *= _signs(components, before)[:, None]
    reach = np.sqrt(votes.opinion_count / np.maximum(votes.seen, 1))
    opinions = (np.sqrt(votes.opinion_count) * (1 - votes.means) * components).T
    return OpinionMap(
        components=components,
        explained_variance=explained,
        participants=(votes.deviations @ components.T) * reach[:, None],
        opinions=opinions,
        extremity=np.hypot(opinions[:, 0], opinions[:, 1]),
    )


def _principal_components(votes: CentredVotes, before: Floats) -> tuple[Floats, Floats]:
    """Right singular vectors of the deviations, found on their smaller side."""
    deviations = votes.deviations
    people, opinions = deviations.shape
    components, explained = np.zeros((COMPONENTS, opinions)), np.zeros(COMPONENTS)
    variance = float(np.square(deviations.data).sum())
    if variance == 0.0:
        return components, explained
    transposed = deviations.T.tocsr()
    chance = np.random.default_rng(_SEED).standard_normal((opinions, COMPONENTS)) / np.sqrt(opinions)
    start = before.T + _ELSEWHERE * chance if before.any() else chance
    if people < opinions:
        values, left = leading(lambda block: deviations @ (transposed @ block), deviations @ start)
        vectors = transposed @ left
    else:
        values, vectors = leading(lambda block: transposed @ (deviations @ block), start)
    found = values > _NO_VARIANCE * values[0]
    count = np.count_nonzero(found)
    components[:count] = (vectors / np.linalg.norm(vectors, axis=0))[:, found].T if count else 0
    explained[:count] = values[found] / variance
    return components, explained


def _signs(components: Floats, before: Floats) -> Floats:
    """1 or -1 a component: to point where it pointed in the run before, else to have its largest loading positive."""
    overlaps = (components * before).sum(axis=1)
    sizes = np.abs(components)
    largest = (sizes >= _AS_LARGE * sizes.max(axis=1, initial=0.0)[:, None]).argmax(axis=1) if sizes.size else 0
    loadings = components[np.arange(len(components)), largest] if sizes.size else overlaps
    return np.where(np.where(overlaps == 0, loadings, overlaps) < 0, -1.0, 1.0)
