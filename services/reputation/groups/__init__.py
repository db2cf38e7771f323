"""Groups that share food, their members, how their users share, and what goes on in them."""
