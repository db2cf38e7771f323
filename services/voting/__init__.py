"""Conversations, opinions and votes."""
