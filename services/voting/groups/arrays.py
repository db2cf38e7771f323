"""Names for the arrays that the parts of an analysis hand to each other, and for ids in them."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]
Flags = NDArray[np.bool_]
# Sixteen bytes each. Zeros at the end go missing when one is taken out, so they are only ever compared with each other.
Ids = NDArray[np.bytes_]


def packed(ids: Sequence[UUID]) -> Ids:
    """The same ids in the same order: that of UUIDs is that of their bytes."""
    return np.frombuffer(b"".join(map(attrgetter("bytes"), ids)), dtype="S16")


def places(wanted: Ids, among: Ids) -> Ints:
    """Where each id is among others, which ascend; -1 where it is not."""
    if not among.size:
        return np.full(wanted.size, -1, np.int32)
    found = np.minimum(np.searchsorted(among, wanted), among.size - 1)
    return np.where(among[found] == wanted, found, -1).astype(np.int32)
