"""What a conversation's votes say, by Polis' method. Pure: votes in, an analysis out (docs/opinion-groups.md)."""
