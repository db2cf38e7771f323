"""The claims service: limited goods, given out exactly as many times as there are."""
