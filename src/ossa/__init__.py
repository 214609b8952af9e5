"""ossa: every bone of the hand, from a radiograph."""
