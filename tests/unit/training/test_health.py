"""Spread and effective rank against plain formulas, and what counts as a collapse."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.training.health import Health, collapse, health_of


def noise(count: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


@given(st.integers(3, 12), st.integers(2, 6), st.integers(0, 99))
def test_spread_and_rank_are_those_of_plain_formulas(count, width, seed):
    features = noise(count, width, seed).double().numpy()
    rows = [row / math.sqrt(sum(value**2 for value in row)) for row in features]
    means = [sum(row[at] for row in rows) / count for at in range(width)]
    deviations = [math.sqrt(sum((row[at] - means[at]) ** 2 for row in rows) / count) for at in range(width)]
    values = np.linalg.svd(np.array(rows) - means, compute_uv=False)
    entropy = -sum(value / values.sum() * math.log(value / values.sum()) for value in values if value > 1e-12)
    found = health_of(torch.from_numpy(features))
    assert found.spread == pytest.approx(sum(deviations) / width * math.sqrt(width), abs=1e-6)
    assert found.rank == pytest.approx(math.exp(entropy), rel=1e-3)


def test_features_that_fill_the_sphere_are_well():
    found = health_of(noise(4_000, 16))
    assert found.spread == pytest.approx(1, abs=0.02)
    assert found.rank == pytest.approx(16, abs=0.2)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (torch.ones(64, 16), "become one"),
        (torch.ones(64, 16) + 1e-3 * noise(64, 16), "become one"),
        (noise(64, 1) @ noise(1, 16, 1), "few dimensions"),
        (torch.full((64, 16), float("nan")), "become one"),
    ],
)
def test_a_collapse_is_told(now, told):
    assert told in collapse(health_of(now), health_of(noise(64, 16)))


def test_what_changes_little_is_no_collapse():
    assert collapse(Health(0.3, 8), Health(0.9, 16)) == ""
    assert collapse(health_of(noise(64, 16, 1)), health_of(noise(64, 16))) == ""
