"""Measurements: `python -m benchmarks.NAME` prints a table, then one JSON object as the last line."""
