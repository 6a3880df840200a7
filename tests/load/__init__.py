"""The benchmark: what a query costs beside peers that check less, or the same in the ordinary way (`make bench`)."""
