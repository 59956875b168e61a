"""Models that describe pictures in words: one small file per family, and what all have in common."""
