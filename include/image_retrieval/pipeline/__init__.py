"""The stages of a run, each a function that can be repeated at any time and ends in the same state."""
