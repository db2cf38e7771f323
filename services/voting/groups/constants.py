"""Every number of the method, as Polis has them. docs/opinion-groups.md says what each is for."""

# Who is in: people with so many votes, or with one on every opinion; where they would be fewer than so many, the most active.
VOTES_TO_BE_IN = 7
FEWEST_IN = 15

BASE_CLUSTERS = 100  # at most
FEWEST_GROUPS, MOST_GROUPS = 2, 5
# One more group may be looked for with every so many base clusters.
BASE_CLUSTERS_A_GROUP = 12
# A number of groups takes over when it has been the best in so many runs in a row.
WINS_TO_CHANGE = 4

# Of the normal distribution: one-sided tests at 90 %.
SIGNIFICANT = 1.2816
MOST_REPRESENTATIVE = 5
MOST_CONSENSUS = 5

# Of an opinion about the conversation itself, before it is squared.
META_PRIORITY = 7.0
# An opinion that nobody has seen counts for so much more, halved with every so many people who have.
NEWNESS, NEWNESS_HALVED = 8.0, 5.0
