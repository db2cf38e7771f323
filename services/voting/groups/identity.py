"""Groups keep their ids from run to run, as far as their people stay."""

from collections.abc import Collection, Iterator
from itertools import count

import numpy as np
from scipy.optimize import linear_sum_assignment

from services.voting.groups.arrays import Ints


def identified(groups: Ints, before: Ints) -> Ints:
    """The id of each group (groups,): that of a group before, given so that as many people as possible stay where they were.

    Groups that share nobody with one before take the smallest ids that are free, the largest group first. An id is free where
    no group has it now or had it in the run before: whoever remembers "group 2" is not shown other people.

    Args:
        groups: of each person, from 0, none empty.
        before: the id of each person's group in the run before; -1 where there was none.
    """
    sizes = np.bincount(groups)
    ids = np.full(sizes.size, -1, np.int32)
    known = np.unique(before[before >= 0])
    shared = np.array([[np.count_nonzero((groups == g) & (before == i)) for i in known] for g in range(sizes.size)])
    if known.size:
        for g, column in zip(*linear_sum_assignment(shared, maximize=True), strict=True):
            if shared[g, column]:
                ids[g] = known[column]
    free = _free(known.tolist())
    for g in np.argsort(-sizes, kind="stable"):
        if ids[g] < 0:
            ids[g] = next(free)
    return ids


def _free(taken: Collection[int]) -> Iterator[int]:
    return (number for number in count() if number not in taken)
