"""Food posts, the exchanges that come of them, and ratings."""
