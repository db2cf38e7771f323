"""Seeds of tests that draw what they do."""

import os
import random


def chosen_seed() -> str:
    """A new one, told to whoever reads the test's report. TALLY_SEED repeats that of an earlier run."""
    seed = os.environ.get("TALLY_SEED") or str(random.randrange(10**9))
    print(f"TALLY_SEED={seed}")
    return seed
