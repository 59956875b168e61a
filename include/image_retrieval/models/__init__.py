"""Models that turn pixels into vectors. Only `towers` and what it loads import torch."""
