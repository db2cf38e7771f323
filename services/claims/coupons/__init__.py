"""Coupons, their claims and their waitlists."""
