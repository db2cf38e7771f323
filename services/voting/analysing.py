"""From the votes as they were read to what is stored of their analysis. Called in a process that does nothing else."""

import gc

from services.voting.model_analysis import Ballots, Computed


def compute(ballots: Ballots) -> Computed:
    """Analyses the votes of one moment, on from where the analysis before it ended."""
    # Loaded where it is computed: the process that hands the work out needs a hundred megabytes less.
    from services.voting.analysing_numbers import analysed

    # Of the many small objects that are made none refers back to another. Looking for such took a quarter of the time.
    gc.disable()
    try:
        return analysed(ballots)
    finally:
        gc.enable()
