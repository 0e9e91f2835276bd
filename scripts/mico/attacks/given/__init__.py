"""What attacks are given: what a participant computes once from a released challenge."""
