"""Users, their ledgers, and the scores and levels that follow."""
