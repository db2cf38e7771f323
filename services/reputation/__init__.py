"""The reputation service: a ledger of what people did, the scores that follow from it, and their groups."""
