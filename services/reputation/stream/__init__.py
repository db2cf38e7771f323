"""What happens elsewhere, on its way from the stream of committed events into ledgers."""
