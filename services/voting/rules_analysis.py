"""How often a conversation is analysed (V9)."""

# Seconds from one analysis to the next.
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 20.0
# Votes that make the pause a second longer: 100,000 make it the longest.
VOTES_A_SECOND = 5_000


def pause_after(vote_count: int) -> float:
    """Seconds to let pass before a conversation of so many votes is analysed again.

    In proportion to the votes, as the work is: however many conversations are busy, each takes its worker about as much of a
    second as another.
    """
    return min(LONGEST_PAUSE, max(SHORTEST_PAUSE, vote_count / VOTES_A_SECOND))
